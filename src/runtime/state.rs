//! The state folder: who owns it, the order-id epoch, where journals go.

use crate::base::Nanos;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The folder a session writes to; held exclusively while this lives.
#[derive(Debug)]
pub struct StateFolder {
    dir: PathBuf,
    /// Keeps the lock; released when dropped or when the process dies.
    _lock: File,
}

/// Until when the venue may not be asked, nanoseconds since the epoch.
const ASKED_NOT_UNTIL: &str = "asked-not-until";
/// Largest epoch an order id can carry.
const EPOCH_MAX: u32 = (1 << 20) - 1;

impl StateFolder {
    /// Creates the folder if need be and takes its lock.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process holds it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", dir.display()));
        fs::create_dir_all(dir).map_err(named)?;
        let lock = File::create(dir.join("lock")).map_err(named)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                io::Error::other(format!(
                    "{} is in use by another peregrine; two may not share a state folder",
                    dir.display()
                ))
            },
        )?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The next order-id epoch, made durable before it is returned: ids of a lost journal tail can
    /// then never come again. It lies above `newest`, the newest of the journals: a lost file does
    /// not begin again at one.
    ///
    /// # Errors
    /// When the file cannot be read, holds no number, is used up, or cannot be made durable.
    pub fn next_epoch(&self, newest: u32) -> io::Result<u32> {
        let path = self.dir.join("epoch");
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse::<u32>().map_err(|_| {
                io::Error::other(format!("{}: {:?} is no epoch", path.display(), text.trim()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let next = last.max(newest).saturating_add(1);
        if next > EPOCH_MAX {
            return Err(io::Error::other(format!("{}: epochs are used up", path.display())));
        }
        write_durably(&path, next.to_string().as_bytes())?;
        Ok(next)
    }

    /// Until when the venue said not to be asked, as an earlier process kept it; zero for never.
    ///
    /// # Errors
    /// When the file cannot be read or holds no time.
    pub fn stopped_until(&self) -> io::Result<Nanos> {
        let path = self.dir.join(ASKED_NOT_UNTIL);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Nanos).map_err(|_| {
                io::Error::other(format!("{}: {:?} is no time", path.display(), text.trim()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Nanos::ZERO),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Keeps durably until when the venue said not to be asked; a later time stays.
    ///
    /// # Errors
    /// When the file cannot be read or made durable.
    pub fn stop_until(&self, until: Nanos) -> io::Result<()> {
        let until = until.max(self.stopped_until()?);
        write_durably(&self.dir.join(ASKED_NOT_UNTIL), until.0.to_string().as_bytes())
    }

    /// Its path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the journals.
    pub fn journals(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// A fresh journal's name, by epoch and session.
    pub fn journal_name(epoch: u32, session: &str) -> String {
        format!("{epoch:07}-{session}")
    }

    /// The name of the journal that was begun last under the name `session`, if one was.
    ///
    /// # Errors
    /// When the file that tells it cannot be read.
    pub fn begun(&self, session: &str) -> io::Result<Option<String>> {
        let path = self.dir.join(format!("begun-{session}"));
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Notes durably that the journal `name` is begun under the name `session`, so that its absence
    /// is seen at the next start.
    ///
    /// # Errors
    /// When the file cannot be made durable.
    pub fn begin(&self, session: &str, name: &str) -> io::Result<()> {
        write_durably(&self.dir.join(format!("begun-{session}")), name.as_bytes())
    }
}

/// Replaces a file so that a crash leaves either the old or the new content.
///
/// # Errors
/// When a step fails; the old file is then still there.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_rise_over_restarts_and_are_never_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut epochs = Vec::new();
        for _ in 0..5 {
            let state = StateFolder::open(dir.path()).unwrap();
            epochs.push(state.next_epoch(0).unwrap());
            epochs.push(state.next_epoch(0).unwrap());
        }
        assert_eq!(epochs, (1..=10).collect::<Vec<u32>>());
    }

    #[test]
    fn an_epoch_lies_above_every_journals_though_its_file_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        assert_eq!(state.next_epoch(41).unwrap(), 42);
        assert_eq!(state.next_epoch(0).unwrap(), 43);
        fs::remove_file(dir.path().join("epoch")).unwrap();
        assert_eq!(state.next_epoch(43).unwrap(), 44);
    }

    #[test]
    fn a_second_owner_of_the_state_folder_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let held = StateFolder::open(dir.path()).unwrap();
        let error = StateFolder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
        drop(held);
        assert!(StateFolder::open(dir.path()).is_ok());
    }

    #[test]
    fn a_damaged_epoch_file_stops_the_start_instead_of_beginning_again_at_one() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        fs::write(dir.path().join("epoch"), "x").unwrap();
        assert!(state.next_epoch(0).unwrap_err().to_string().contains("epoch"));
    }
}
