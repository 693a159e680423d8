//! The unit that copies journals to another machine: its command, run against a folder of this one.

use crate::journal_support::{append_all, events_of_lane, never_silent, read, settings};
use crate::pipeline_support::root;
use peregrine::journal::{Journal, LaneEnd};
use std::path::Path;
use std::process::Command;

/// The words of the unit's command, with `to` where it is sent.
fn words(to: &Path) -> Vec<String> {
    let unit = root().join("tools/deploy/peregrine-ship.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let to = format!("{}/", to.display());
    line.split(' ').map(|word| word.replace("${SHIP_TO}", &to)).collect()
}

/// Runs it in `state_parent`; false, and said so, where the program is absent.
fn ship(state_parent: &Path, to: &Path) -> bool {
    let words = words(to);
    if !Path::new(&words[0]).is_file() {
        println!("{} is absent: nothing was copied", words[0]);
        return false;
    }
    let output = Command::new(&words[0]).args(&words[1..]).current_dir(state_parent).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn a_journal_that_is_written_to_is_copied_up_to_then_and_whole_once_it_is_closed() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let own = here.path().join("state/journal/0000001-paper");
    let copy = there.path().join("0000001-paper");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let events = events_of_lane(0, 500);
    let (journal, mut writers) = Journal::create(&own, settings(64, true)).unwrap();
    append_all(&mut writers[0], &events[..200]);
    if !ship(here.path(), there.path()) {
        return;
    }
    never_silent(&copy, 0, &events[..200], "while it is written to");
    assert!(read(&copy, 0).events.len() >= 192, "three segments were finished");
    append_all(&mut writers[0], &events[200..]);
    journal.close(writers).unwrap();
    assert!(ship(here.path(), there.path()));
    let copied = read(&copy, 0);
    assert!(copied.events == events && matches!(copied.end, Ok(LaneEnd::Closed(_))));
    std::fs::remove_dir_all(&own).unwrap();
    assert!(ship(here.path(), there.path()));
    assert!(read(&copy, 0).events == events, "what was deleted here stays there");
}
