//! The pinned cores: who else runs there, and what slows them down.

use super::list::{cores_of, missing, written};
use super::{Finding, Host, Wanted};

/// Interrupts named in a finding.
const NAMED_MAX: usize = 6;
/// Longest way out of an idle state that is no cost, in microseconds.
const IDLE_EXIT_US_MAX: u64 = 10;

const CPU: &str = "sys/devices/system/cpu";

pub(super) fn examine(host: &Host, wanted: &Wanted) -> Vec<Finding> {
    let cores = &wanted.cores;
    if cores.is_empty() {
        let what = "no thread has a core to itself: the layout leaves none, and threads float";
        let remedy = "more cores, or a layout of fewer threads in [topology]";
        return vec![Finding::warn("pinned cores", what, remedy)];
    }
    vec![
        Finding::ok("pinned cores", written(cores)),
        isolation(host, cores),
        ticks(host, cores),
        callbacks(host, cores),
        interrupts(host, cores),
        siblings(host, cores),
        frequency(host, cores),
        idle_states(host, wanted),
    ]
}

/// By the kernel's command line, or by a partition of control groups.
fn isolation(host: &Host, cores: &[usize]) -> Finding {
    let at_boot = host.text(&format!("{CPU}/isolated")).unwrap_or_default();
    let partitions = host.text("sys/fs/cgroup/cpuset.cpus.isolated").unwrap_or_default();
    let isolated = [cores_of(&at_boot), cores_of(&partitions)].concat();
    match missing(cores, &isolated) {
        open if open.is_empty() => Finding::ok("isolation", "the pinned cores are isolated"),
        open => {
            let open = written(&open);
            let remedy = format!("isolcpus={open} at boot, or an isolated cpuset partition");
            Finding::warn("isolation", format!("cores {open} run other processes too"), remedy)
        }
    }
}

fn ticks(host: &Host, cores: &[usize]) -> Finding {
    let quiet = host.text(&format!("{CPU}/nohz_full")).unwrap_or_default();
    match missing(cores, &cores_of(&quiet)) {
        loud if loud.is_empty() => Finding::ok("timer ticks", "off on the pinned cores"),
        loud => {
            let loud = written(&loud);
            let remedy = format!("nohz_full={loud} at boot");
            Finding::warn("timer ticks", format!("the scheduler's tick runs on {loud}"), remedy)
        }
    }
}

/// Callbacks of read-copy-update; cores without a tick have none of them either.
fn callbacks(host: &Host, cores: &[usize]) -> Finding {
    let line = host.text("proc/cmdline").unwrap_or_default();
    let mut given = cores_of(&host.text(&format!("{CPU}/nohz_full")).unwrap_or_default());
    for word in line.split_whitespace() {
        match word.strip_prefix("rcu_nocbs=") {
            Some("all") => given.extend(cores),
            Some(list) => given.extend(cores_of(list)),
            None => {}
        }
    }
    match missing(cores, &given) {
        left if left.is_empty() => Finding::ok("rcu callbacks", "run on other cores"),
        left => {
            let left = written(&left);
            let remedy = format!("rcu_nocbs={left} at boot");
            Finding::warn("rcu callbacks", format!("run on {left}"), remedy)
        }
    }
}

/// Interrupts that somebody handles and that may arrive at a pinned core.
fn interrupts(host: &Host, cores: &[usize]) -> Finding {
    let mut hits = Vec::new();
    for number in host.entries("proc/irq").into_iter().filter(|name| name.parse::<u32>().is_ok()) {
        let folder = format!("proc/irq/{number}");
        let handled = host.entries(&folder).iter().any(|name| host.is_folder(&folder, name));
        let lists = ["effective_affinity_list", "smp_affinity_list"];
        let lists = lists.iter().filter_map(|name| host.text(&format!("{folder}/{name}")));
        let there = lists.map(|list| cores_of(&list)).find(|there| !there.is_empty());
        if handled && there.is_some_and(|there| there.iter().any(|core| cores.contains(core))) {
            hits.push(number);
        }
    }
    if hits.is_empty() {
        return Finding::ok("interrupts", "none arrives at a pinned core");
    }
    let named: Vec<&str> = hits.iter().take(NAMED_MAX).map(String::as_str).collect();
    let more = if hits.len() > NAMED_MAX { " …" } else { "" };
    let what = format!("{} may arrive at pinned cores: {}{more}", hits.len(), named.join(" "));
    let remedy = "write other cores to /proc/irq/N/smp_affinity_list, and keep irqbalance off them";
    Finding::warn("interrupts", what, remedy)
}

fn siblings(host: &Host, cores: &[usize]) -> Finding {
    let mut shared = Vec::new();
    for &core in cores {
        let path = format!("{CPU}/cpu{core}/topology/thread_siblings_list");
        let others = cores_of(&host.text(&path).unwrap_or_default());
        shared.extend(others.iter().filter(|&&other| other != core).map(|o| format!("{core}+{o}")));
    }
    if shared.is_empty() {
        return Finding::ok("hardware threads", "every pinned core is a core of its own");
    }
    let what = format!("pinned cores share theirs with another: {}", shared.join(" "));
    Finding::warn("hardware threads", what, "leave the siblings idle, or nosmt at boot")
}

fn frequency(host: &Host, cores: &[usize]) -> Finding {
    let read = |core: &usize| host.text(&format!("{CPU}/cpu{core}/cpufreq/scaling_governor"));
    let slow: Vec<String> = cores
        .iter()
        .filter_map(|core| Some((core, read(core)?)))
        .filter(|(_, governor)| governor != "performance")
        .map(|(core, governor)| format!("{core} {governor}"))
        .collect();
    if !slow.is_empty() {
        let what = format!("governors: {}", slow.join(", "));
        return Finding::warn("frequency", what, "cpupower frequency-set -g performance");
    }
    match cores.iter().any(|core| read(core).is_some()) {
        true => Finding::ok("frequency", "governor performance"),
        false => Finding::ok("frequency", "the host scales none that can be seen here"),
    }
}

/// States that take long to leave; a core that spins never enters one.
fn idle_states(host: &Host, wanted: &Wanted) -> Finding {
    if wanted.spins {
        return Finding::ok("idle states", "pinned threads spin: their cores never idle");
    }
    let mut deep = Vec::new();
    for core in &wanted.cores {
        let folder = format!("{CPU}/cpu{core}/cpuidle");
        for state in host.entries(&folder) {
            let number = |file: &str| host.number(&format!("{folder}/{state}/{file}"));
            let exit_us = number("latency").unwrap_or(0);
            if exit_us > IDLE_EXIT_US_MAX && number("disable") == Some(0) {
                let name = host.text(&format!("{folder}/{state}/name")).unwrap_or(state);
                deep.push(format!("{core} {name} {exit_us} µs"));
            }
        }
    }
    if deep.is_empty() {
        return Finding::ok("idle states", "none that takes long to leave");
    }
    let remedy = "cpupower idle-set -D 10, or processor.max_cstate=1 at boot";
    Finding::warn("idle states", format!("deep ones are on: {}", deep.join(", ")), remedy)
}
