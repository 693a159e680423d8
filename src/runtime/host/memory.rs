//! Memory: what makes a page fault, a move or a wait for a disk.

use super::{Finding, Host};

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    vec![large_pages(host), swap(host), balancing(host), reserved(host)]
}

/// The word in brackets of a list such as `always [madvise] never`.
fn chosen(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

fn large_pages(host: &Host) -> Finding {
    let text = host.text("sys/kernel/mm/transparent_hugepage/enabled");
    match text.as_deref().and_then(chosen) {
        Some("always") => {
            let what = "always: the kernel merges and splits pages under running threads";
            let remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
            Finding::warn("transparent huge pages", what, remedy)
        }
        Some(mode) => Finding::ok("transparent huge pages", mode),
        None => Finding::ok("transparent huge pages", "the kernel has none"),
    }
}

fn swap(host: &Host) -> Finding {
    let table = host.text("proc/swaps").unwrap_or_default();
    let areas: Vec<&str> =
        table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    if areas.is_empty() {
        return Finding::ok("swap", "none");
    }
    let what = format!("on {}: a page may have to come from a disk", areas.join(" "));
    Finding::warn("swap", what, "swapoff -a, or the unit's MemorySwapMax=0")
}

fn balancing(host: &Host) -> Finding {
    match host.number("proc/sys/kernel/numa_balancing") {
        None | Some(0) => Finding::ok("numa balancing", "off"),
        Some(_) => {
            let what = "on: pages are unmapped to see who uses them";
            Finding::warn("numa balancing", what, "sysctl kernel.numa_balancing=0")
        }
    }
}

fn reserved(host: &Host) -> Finding {
    match host.number("proc/sys/vm/nr_hugepages") {
        None | Some(0) => Finding::ok("reserved huge pages", "none: this program takes none"),
        Some(pages) => {
            let what = format!("{pages} are kept from every program that does not ask for them");
            let remedy = "sysctl vm.nr_hugepages=0 unless another program needs them";
            Finding::warn("reserved huge pages", what, remedy)
        }
    }
}
