//! Planted trees: a tuned host has nothing to tell, and each thing that is out of tune is told by
//! its own line, and by no other.

use super::{Finding, Level, Wanted, cores_of, examine};
use std::path::Path;
use tempfile::TempDir;

const CPU: &str = "sys/devices/system/cpu";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Four cores, of which 2 and 3 are kept for pinned threads, as the kernel tells it.
fn tuned() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    put(root, &format!("{CPU}/isolated"), "2-3\n");
    put(root, &format!("{CPU}/nohz_full"), "2-3\n");
    put(root, "proc/cmdline", "root=/dev/vda isolcpus=2-3 nohz_full=2-3 rcu_nocbs=2-3\n");
    put(root, "proc/irq/24/smp_affinity_list", "0-3\n");
    put(root, "proc/irq/24/effective_affinity_list", "0\n");
    put(root, "proc/irq/24/eth0-rx-0/spurious", "count 1\n");
    // Nobody handles this one, so it never arrives.
    put(root, "proc/irq/9/smp_affinity_list", "0-3\n");
    for core in 0..4 {
        let folder = format!("{CPU}/cpu{core}");
        put(root, &format!("{folder}/topology/thread_siblings_list"), &format!("{core}\n"));
        put(root, &format!("{folder}/cpufreq/scaling_governor"), "performance\n");
        put(root, &format!("{folder}/cpuidle/state0/name"), "POLL\n");
        put(root, &format!("{folder}/cpuidle/state0/latency"), "0\n");
        put(root, &format!("{folder}/cpuidle/state0/disable"), "0\n");
        put(root, &format!("{folder}/cpuidle/state3/name"), "C6\n");
        put(root, &format!("{folder}/cpuidle/state3/latency"), "133\n");
        put(root, &format!("{folder}/cpuidle/state3/disable"), "1\n");
    }
    put(root, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put(root, "proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    put(root, "proc/sys/kernel/numa_balancing", "0\n");
    put(root, "proc/sys/vm/nr_hugepages", "0\n");
    let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    put(root, source, "tsc\n");
    let flags = "flags\t\t: fpu tsc msr constant_tsc rep_good nonstop_tsc avx2\n";
    put(root, "proc/cpuinfo", &format!("processor\t: 0\nvendor_id\t: AuthenticAMD\n{flags}"));
    put(root, "proc/1/comm", "systemd\n");
    put(root, "proc/512/comm", "chronyd\n");
    put(root, "proc/stat", "cpu  4000 0 2000 93950 10 0 10 30 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\n");
    let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                  Max core file size        0                    unlimited            bytes\n\
                  Max open files            65536                65536                files\n";
    put(root, "proc/self/limits", limits);
    put(root, "proc/sys/net/core/busy_poll", "50\n");
    put(root, "proc/sys/net/core/busy_read", "50\n");
    dir
}

fn wanted() -> Wanted {
    Wanted { cores: vec![2, 3], spins: false }
}

/// What stands out.
fn told(root: &Path) -> Vec<Finding> {
    examine(root, &wanted()).into_iter().filter(|found| found.level != Level::Ok).collect()
}

#[test]
fn a_tuned_host_has_nothing_to_tell() {
    let host = tuned();
    assert_eq!(told(host.path()), []);
    assert_eq!(examine(host.path(), &wanted()).len(), 19);
}

#[test]
fn each_thing_out_of_tune_is_told_by_its_own_line_with_what_was_found_and_what_to_do() {
    let limits = "Max core file size        unlimited            unlimited            bytes\n\
                  Max open files            65536                65536                files\n";
    let few = "Max core file size        0                    0                    bytes\n\
               Max open files            256                  4096                 files\n";
    let swaps = "Filename Type Size Used Priority\n/dev/sda2 partition 8388604 0 -2\n";
    let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let cases: [(&str, &str, &str, &str, &str); 16] = [
        (&format!("{CPU}/isolated"), "2\n", "isolation", "cores 3 run", "isolcpus=3"),
        (&format!("{CPU}/isolated"), "\n", "isolation", "cores 2,3 run", "partition"),
        (
            "proc/irq/24/effective_affinity_list",
            "3\n",
            "interrupts",
            "1 may arrive",
            "smp_affinity",
        ),
        (
            &format!("{CPU}/cpu2/topology/thread_siblings_list"),
            "0,2\n",
            "hardware threads",
            "2+0",
            "nosmt",
        ),
        (
            &format!("{CPU}/cpu3/cpufreq/scaling_governor"),
            "powersave\n",
            "frequency",
            "3 powersave",
            "performance",
        ),
        (&format!("{CPU}/cpu3/cpuidle/state3/disable"), "0\n", "idle states", "C6 133", "-D 10"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never\n",
            "transparent huge pages",
            "always",
            "madvise",
        ),
        ("proc/swaps", swaps, "swap", "/dev/sda2", "swapoff"),
        ("proc/sys/kernel/numa_balancing", "1\n", "numa balancing", "on", "numa_balancing=0"),
        ("proc/sys/vm/nr_hugepages", "512\n", "reserved huge pages", "512", "nr_hugepages=0"),
        (source, "hpet\n", "clock source", "hpet", "tsc"),
        ("proc/cpuinfo", "flags : fpu tsc constant_tsc\n", "cycle counter", "pace", "machine"),
        ("proc/512/comm", "bash\n", "clock", "nothing", "chrony"),
        ("proc/stat", "cpu  400 0 200 9100 0 0 0 300 0 0\n", "stolen time", "3.0 %", "of its own"),
        ("proc/self/limits", limits, "core dumps", "keys", "LimitCORE=0"),
        ("proc/self/limits", few, "open files", "256", "LimitNOFILE"),
    ];
    for (path, text, name, what, remedy) in cases {
        let host = tuned();
        put(host.path(), path, text);
        let told = told(host.path());
        assert_eq!(told.len(), 1, "{path}: {told:#?}");
        assert_eq!((told[0].name, told[0].level), (name, Level::Warn), "{path}");
        assert!(told[0].what.contains(what), "{path}: {:?}", told[0].what);
        assert!(told[0].remedy.contains(remedy), "{path}: {:?}", told[0].remedy);
    }
    let host = tuned();
    put(host.path(), "proc/sys/net/core/busy_poll", "0\n");
    assert_eq!(told(host.path())[0].name, "busy polling");
}

#[test]
fn a_tick_on_a_pinned_core_brings_its_callbacks_with_it_unless_they_are_sent_away() {
    let host = tuned();
    put(host.path(), &format!("{CPU}/nohz_full"), "(null)\n");
    let names: Vec<_> = told(host.path()).iter().map(|found| found.name).collect();
    assert_eq!(names, ["timer ticks"]);
    put(host.path(), "proc/cmdline", "root=/dev/vda\n");
    let names: Vec<_> = told(host.path()).iter().map(|found| found.name).collect();
    assert_eq!(names, ["timer ticks", "rcu callbacks"]);
    put(host.path(), "proc/cmdline", "rcu_nocbs=all\n");
    assert_eq!(told(host.path()).len(), 1);
}

#[test]
fn a_partition_of_control_groups_isolates_as_the_command_line_does() {
    let host = tuned();
    put(host.path(), &format!("{CPU}/isolated"), "\n");
    put(host.path(), "sys/fs/cgroup/cpuset.cpus.isolated", "2-3\n");
    assert_eq!(told(host.path()), []);
}

#[test]
fn without_pinned_cores_that_alone_is_told_of_them_and_spinning_ones_need_no_idle_states() {
    let host = tuned();
    let none = Wanted::default();
    let found = examine(host.path(), &none);
    assert_eq!((found[0].name, found[0].level), ("pinned cores", Level::Warn));
    assert_eq!(found.len(), 12, "the rest of the host is looked at all the same");
    put(host.path(), &format!("{CPU}/cpu3/cpuidle/state3/disable"), "0\n");
    assert_eq!(told(host.path()).len(), 1);
    let spinning = Wanted { spins: true, ..wanted() };
    assert!(examine(host.path(), &spinning).iter().all(|found| found.level == Level::Ok));
}

#[test]
fn an_empty_tree_is_looked_at_without_a_panic_and_claims_nothing_of_the_cores() {
    let dir = tempfile::tempdir().unwrap();
    let found = examine(dir.path(), &wanted());
    assert_eq!(found.len(), 19);
    for name in ["isolation", "timer ticks", "rcu callbacks", "clock source", "clock"] {
        let line = found.iter().find(|found| found.name == name).unwrap();
        assert_eq!(line.level, Level::Warn, "{name}");
    }
}

#[test]
fn lists_of_cores_are_read_as_the_kernel_writes_them_and_nothing_else_is_one() {
    assert_eq!(cores_of("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
    for none in ["", "\n", "(null)", "3-1", "x", "1-", "0-99999999999", "-1"] {
        assert_eq!(cores_of(none), Vec::<usize>::new(), "{none:?}");
    }
}
