//! Which credentials are there, and whether their files are closed. What they are is never told.

use crate::base::settings::{OrderRoute, Settings};
use crate::runtime::access::{self, API_KEY, API_SECRET};
use crate::runtime::alerting::AlertSecrets;
use crate::runtime::host::Finding;
use crate::runtime::secret;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The variable with the page's token.
const HTTP_TOKEN: &str = "PEREGRINE_HTTP_TOKEN";
/// A file is open to everybody.
const OTHERS: u32 = 0o007;

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    // The demo's exchange gives its own credentials with its addresses.
    if settings.venue.orders == OrderRoute::Venue && !settings.venue.rest_url.is_empty() {
        found.push(account());
    }
    if !settings.http.bind.is_empty() {
        found.push(page());
    }
    if !settings.alerts.channels.is_empty() {
        found.push(channels(settings));
    }
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) {
        found.push(closed(&folder));
    }
    found
}

fn account() -> Finding {
    let remedy = "systemd credentials of these names in lower case, or variables";
    match access::credentials_from_environment() {
        Ok(Some(_)) => Finding::ok("credentials", "present"),
        Ok(None) => {
            Finding::fail("credentials", format!("{API_KEY} and {API_SECRET} are not set"), remedy)
        }
        Err(error) => Finding::fail("credentials", format!("{error:#}"), remedy),
    }
}

fn page() -> Finding {
    match secret::read(HTTP_TOKEN) {
        Ok(Some(_)) => Finding::ok("page's token", "present"),
        Ok(None) => Finding::ok("page's token", "absent: the page shows, and takes no commands"),
        Err(error) => Finding::fail("page's token", format!("{error:#}"), "a token of 43 letters"),
    }
}

fn channels(settings: &Settings) -> Finding {
    let names: Vec<&str> = settings.alerts.channels.iter().map(|way| way.name()).collect();
    match AlertSecrets::read(&settings.alerts) {
        Ok(_) => Finding::ok("alert channels", format!("{}: secrets present", names.join(", "))),
        Err(error) => {
            let remedy = "bring the secret that is named, or drop the channel";
            Finding::fail("alert channels", format!("{error:#}"), remedy)
        }
    }
}

/// Files that everybody may read are no secrets.
fn closed(folder: &Path) -> Finding {
    let name = "credential files";
    if !folder.exists() {
        return Finding::ok(name, "none: the folder that is named does not exist");
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        let what = format!("{} cannot be read", folder.display());
        return Finding::fail(name, what, "unset CREDENTIALS_DIRECTORY, or run as the service");
    };
    let open =
        |entry: &std::fs::DirEntry| entry.metadata().is_ok_and(|about| about.mode() & OTHERS != 0);
    let open: Vec<String> = entries
        .flatten()
        .filter(open)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    if open.is_empty() {
        return Finding::ok(name, "closed to others");
    }
    let what = format!("open to everybody: {}", open.join(" "));
    Finding::fail(name, what, "chmod 0400, and replace keys that others have seen")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::host::Level;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_credential_that_everybody_may_read_is_refused_by_its_name_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("peregrine_api_secret");
        std::fs::write(&file, "canary").unwrap();
        for (mode, level) in [(0o400, Level::Ok), (0o440, Level::Ok), (0o444, Level::Fail)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = closed(dir.path());
            assert_eq!(found.level, level, "{mode:o}");
            assert!(!format!("{found:?}").contains("canary"));
            let named = found.what.contains("peregrine_api_secret");
            assert_eq!(named, level == Level::Fail, "{found:?}");
        }
    }
}
