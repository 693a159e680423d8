//! Where a session reads and writes: who may too, how much room there is, whether it lasts.

use crate::base::settings::{JournalSettings, Settings};
use crate::runtime::host::Finding;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bits of a mode: others may write, the group or others may do anything, the group may write.
const OTHERS_WRITE: u32 = 0o002;
const NOT_OURS_ALONE: u32 = 0o077;
const GROUP_WRITES: u32 = 0o020;

/// Free space below which a running session stops trading, in bytes: the journal keeper's.
const FREE_MIN: u64 = 512 << 20;

/// File systems that forget, or that a lock and a memory map cannot be trusted on.
const UNFIT: [&str; 6] = ["tmpfs", "ramfs", "nfs", "nfs4", "cifs", "overlay"];

pub(super) fn examine(root: &Path, config: &Path, settings: &Settings) -> Vec<Finding> {
    let dir = Path::new(&settings.session.state_dir);
    vec![
        written_by("configuration file", config),
        private("state folder's permissions", dir),
        room(dir, settings.journal),
        lasting(root, dir),
    ]
}

/// A configuration is what we trade by: nobody else may write it.
fn written_by(name: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path).map(|about| about.mode() & 0o7777) {
        Err(error) => Finding::fail(name, format!("{shown}: {error}"), "see the error"),
        Ok(mode) if mode & OTHERS_WRITE != 0 => {
            let what = format!("{shown} has mode {mode:04o}: everybody may write it");
            Finding::fail(name, what, format!("chmod o-w {shown}"))
        }
        Ok(mode) if mode & GROUP_WRITES != 0 => {
            let what = format!("{shown} has mode {mode:04o}: its group may write it");
            Finding::warn(name, what, format!("chmod g-w {shown}"))
        }
        Ok(mode) => Finding::ok(name, format!("mode {mode:04o}")),
    }
}

fn private(name: &'static str, dir: &Path) -> Finding {
    let shown = dir.display();
    let about = match std::fs::metadata(dir) {
        Ok(about) => about,
        Err(error) => return Finding::fail(name, format!("{shown}: {error}"), "see the error"),
    };
    let (mode, own) = (about.mode() & 0o7777, rustix::process::geteuid().as_raw());
    if mode & OTHERS_WRITE != 0 {
        let what = format!("{shown} has mode {mode:04o}: everybody may kill, clear and forge");
        return Finding::fail(name, what, format!("chmod 0700 {shown}"));
    }
    if about.uid() != own {
        let what = format!("{shown} belongs to user {}, this is {own}", about.uid());
        return Finding::warn(name, what, "run this as the user of the service");
    }
    if mode & NOT_OURS_ALONE != 0 {
        let what = format!("{shown} has mode {mode:04o}: others may read journals and positions");
        return Finding::warn(name, what, format!("chmod 0700 {shown}"));
    }
    Finding::ok(name, format!("mode {mode:04o}, our own"))
}

/// What a start takes at once: two segments of each lane, and what a session keeps free.
fn needed(journal: JournalSettings) -> u64 {
    let (inputs, outputs) =
        (u64::from(journal.input_segment_mib), u64::from(journal.output_segment_mib));
    2 * (2 * inputs + 3 * outputs) * (1 << 20) + FREE_MIN
}

fn room(dir: &Path, journal: JournalSettings) -> Finding {
    let name = "disk";
    let free = match rustix::fs::statvfs(dir) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            return Finding::fail(name, format!("{}: {error}", dir.display()), "see the error");
        }
    };
    judged(free, needed(journal))
}

fn judged(free: u64, needed: u64) -> Finding {
    let mib = |bytes: u64| bytes >> 20;
    let what = format!("{} MiB free, a start takes {}", mib(free), mib(needed));
    let remedy = "free the disk, or shorten journal.keep_segments";
    if free < needed {
        return Finding::fail("disk", what, remedy);
    }
    if free / 4 < needed {
        return Finding::warn("disk", what, remedy);
    }
    Finding::ok("disk", what)
}

/// The kind of file system below a path, by the longest mount point above it.
fn kind_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let rows = mounts.lines().filter_map(|row| {
        let mut words = row.split_whitespace();
        Some((words.nth(1)?, words.next()?))
    });
    // A later mount covers an earlier one of the same place.
    rows.filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind)
}

fn lasting(root: &Path, dir: &Path) -> Finding {
    let name = "file system";
    let mounts = std::fs::read_to_string(root.join("proc/self/mounts")).unwrap_or_default();
    let path = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    match kind_of(&mounts, &path) {
        Some(kind) if UNFIT.contains(&kind) || kind.starts_with("fuse") => {
            let what = format!("{kind}: journals may be lost, or not be written in time");
            Finding::warn(name, what, "a state folder on a disk of this host, ext4 or xfs")
        }
        Some(kind) => Finding::ok(name, kind),
        None => Finding::warn(name, "not known: there is no table of mounts", "mount /proc"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::host::Level;
    use std::os::unix::fs::PermissionsExt;

    fn with_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_write_is_refused_and_what_they_may_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("trader.toml");
        std::fs::write(&config, "").unwrap();
        let levels = [(0o600, Level::Ok), (0o644, Level::Ok), (0o664, Level::Warn)];
        for (mode, level) in levels.into_iter().chain([(0o646, Level::Fail)]) {
            with_mode(&config, mode);
            assert_eq!(written_by("c", &config).level, level, "{mode:o}");
        }
        for (mode, level) in [(0o700, Level::Ok), (0o755, Level::Warn), (0o777, Level::Fail)] {
            with_mode(dir.path(), mode);
            assert_eq!(private("s", dir.path()).level, level, "{mode:o}");
        }
        assert_eq!(private("s", &dir.path().join("absent")).level, Level::Fail);
    }

    #[test]
    fn room_is_held_against_what_a_start_takes() {
        let journal = JournalSettings {
            input_segment_mib: 64,
            output_segment_mib: 16,
            flush_interval_ms: 100,
            keep_segments: 0,
        };
        // By hand: 2 × (2 × 64 + 3 × 16) + 512 = 864 MiB.
        let needed = needed(journal);
        assert_eq!(needed, 864 << 20);
        for (free, level) in
            [(863_u64, Level::Fail), (864, Level::Warn), (3_455, Level::Warn), (3_456, Level::Ok)]
        {
            assert_eq!(judged(free << 20, needed).level, level, "{free}");
        }
    }

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n\
                      host:/x /var/lib/peregrine nfs4 rw 0 0\n";
        let kind = |path: &str| kind_of(mounts, Path::new(path)).unwrap();
        assert_eq!(kind("/var/lib"), "ext4");
        assert_eq!(kind("/run/x"), "tmpfs");
        assert_eq!(kind("/var/lib/peregrine/state"), "nfs4");
        assert_eq!(kind("/var/lib/peregrine2"), "ext4");
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/self")).unwrap();
        let table = dir.path().join("proc/self/mounts");
        std::fs::write(table, "none / tmpfs rw 0 0\n").unwrap();
        assert_eq!(lasting(dir.path(), dir.path()).level, Level::Warn);
    }
}
