//! What a figure was measured on, as far as the system tells, and pinning.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Processor, cores, kernel and frequency governor in one line.
pub fn facts() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = cores();
    let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown kernel".into());
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
        .unwrap_or_else(|| "unknown".into());
    let flags = field("/proc/cpuinfo", "flags").unwrap_or_default();
    let host = if flags.split(' ').any(|flag| flag == "hypervisor") { "virtual" } else { "bare" };
    let isolated = read("/sys/devices/system/cpu/isolated").filter(|list| !list.is_empty());
    let isolated = isolated.unwrap_or_else(|| "none".into());
    format!(
        "{cpu}, {cores} cores ({host}), isolated {isolated}, governor {governor}, kernel {kernel}"
    )
}

/// The system's load averages.
pub fn load() -> String {
    read("/proc/loadavg").unwrap_or_else(|| "unknown".into())
}

/// Resident memory of the process in MiB: all of it, and what no file stands behind.
pub fn resident() -> [f64; 2] {
    ["VmRSS", "RssAnon"].map(|name| {
        let text = field("/proc/self/status", name).unwrap_or_default();
        let kib = text.trim_end_matches("kB").trim().parse::<f64>();
        kib.map_or(f64::NAN, |kib| kib / 1_024.0)
    })
}

/// Pins the calling thread; `false` when the system refuses or has no such core.
pub fn pin(core: usize) -> bool {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).is_ok()
}

/// Pins to the last core, which interrupts visit least, and says so.
pub fn pin_last() {
    let pinned = pin(last_core());
    println!("pinned: {}", if pinned { "to the last core" } else { "no" });
}

/// Runs `start`, which starts side threads, on any core: a thread inherits where it may run, and a
/// journal's keeper on the measured core would be measured.
pub fn on_any_core<T>(start: impl FnOnce() -> T) -> T {
    let Ok(here) = sched_getaffinity(None) else { return start() };
    let mut all = CpuSet::new();
    (0..=last_core()).for_each(|core| all.set(core));
    let moved = sched_setaffinity(None, &all).is_ok();
    let started = start();
    if moved {
        sched_setaffinity(None, &here).expect("the thread was there before");
    }
    started
}

/// Number of the last core.
pub fn last_core() -> usize {
    cores().max(1) - 1
}

/// Processors of the system.
pub fn cores() -> usize {
    let text = read("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count()
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
