//! The rest of the host: clocks, stolen time, limits of the process, polling of the network.

use super::{Finding, Host};

/// Stolen time above which a virtual machine is told to be crowded, in thousandths.
const STOLEN_MAX: u64 = 5;
/// Open files a session may need: sockets of its streams, segments, a page's readers.
const FILES_MIN: u64 = 1_024;
/// What keeps a clock, as the kernel shortens their names.
const CLOCK_KEEPERS: [&str; 5] = ["chronyd", "ntpd", "ptp4l", "phc2sys", "systemd-timesyn"];

pub(super) fn examine(host: &Host) -> Vec<Finding> {
    vec![
        clock_source(host),
        counter(host),
        kept_clock(host),
        stolen(host),
        open_files(host),
        core_dumps(host),
        polling(host),
    ]
}

fn clock_source(host: &Host) -> Finding {
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    match host.text(path).as_deref() {
        Some("tsc") => Finding::ok("clock source", "tsc"),
        other => {
            let what = format!("{}: reading the time is a system call", other.unwrap_or("unknown"));
            Finding::warn("clock source", what, "tsc=reliable at boot where the counter is steady")
        }
    }
}

fn counter(host: &Host) -> Finding {
    let text = host.text("proc/cpuinfo").unwrap_or_default();
    let Some(flags) = text.lines().find(|line| line.starts_with("flags")) else {
        return Finding::ok("cycle counter", "not of the kind that has flags");
    };
    let has = |wanted: &str| flags.split_whitespace().any(|flag| flag == wanted);
    match has("constant_tsc") && has("nonstop_tsc") {
        true => Finding::ok("cycle counter", "constant and never stopped"),
        false => {
            let what = "may change its pace: latencies are taken from the system's clock";
            Finding::warn("cycle counter", what, "another processor or machine type")
        }
    }
}

/// Whether something keeps the clock. How far it is off only a look at the venue tells.
fn kept_clock(host: &Host) -> Finding {
    if host.path("run/systemd/timesync/synchronized").exists() {
        return Finding::ok("clock", "synchronised by systemd-timesyncd");
    }
    let processes = host.entries("proc").into_iter().filter(|name| name.parse::<u32>().is_ok());
    let mut names = processes.filter_map(|process| host.text(&format!("proc/{process}/comm")));
    match names.find(|name| CLOCK_KEEPERS.contains(&name.as_str())) {
        Some(keeper) => Finding::ok("clock", format!("kept by {keeper}")),
        None => {
            let what = "nothing is seen to keep it: the venue refuses orders of a wrong time";
            Finding::warn("clock", what, "chrony, or ptp4l with phc2sys where the network has PTP")
        }
    }
}

/// Since the host was started.
fn stolen(host: &Host) -> Finding {
    let text = host.text("proc/stat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let all: u64 = ticks.iter().take(8).sum();
    let thousandths = ticks.get(7).copied().unwrap_or(0) * 1_000 / all.max(1);
    let percent = format!("{}.{} %", thousandths / 10, thousandths % 10);
    if thousandths > STOLEN_MAX {
        let what = format!("{percent} of the time went to other machines of this host");
        return Finding::warn("stolen time", what, "a machine with cores of its own");
    }
    Finding::ok("stolen time", percent)
}

/// The soft limit in a row of `/proc/self/limits`; `None` for no limit.
fn soft_limit(host: &Host, name: &str) -> Option<u64> {
    let text = host.text("proc/self/limits")?;
    let row = text.lines().find_map(|line| line.strip_prefix(name))?;
    row.split_whitespace().next()?.parse().ok()
}

fn open_files(host: &Host) -> Finding {
    match soft_limit(host, "Max open files") {
        Some(files) if files < FILES_MIN => {
            let what = format!("{files} at most, {FILES_MIN} may be needed");
            Finding::warn("open files", what, "LimitNOFILE=65536 in the unit, or ulimit -n 65536")
        }
        Some(files) => Finding::ok("open files", format!("{files} at most")),
        None => Finding::ok("open files", "no limit"),
    }
}

fn core_dumps(host: &Host) -> Finding {
    match soft_limit(host, "Max core file size") {
        Some(0) => Finding::ok("core dumps", "off"),
        _ => {
            let what = "on: a dump of the process holds its keys";
            Finding::warn("core dumps", what, "LimitCORE=0 in the unit, or ulimit -c 0")
        }
    }
}

fn polling(host: &Host) -> Finding {
    let read = |name: &str| host.number(&format!("proc/sys/net/core/{name}")).unwrap_or(0);
    let (poll, read) = (read("busy_poll"), read("busy_read"));
    if poll > 0 && read > 0 {
        return Finding::ok("busy polling", format!("poll {poll} µs, read {read} µs"));
    }
    let what = "off: packets wait for their interrupt";
    let remedy = "sysctl net.core.busy_poll=50 net.core.busy_read=50, where the driver polls";
    Finding::warn("busy polling", what, remedy)
}
