//! Where secrets come from: the credentials folder that systemd gives a service, else the
//! environment. Never a configuration file, never the command line.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 4_096;

/// The secret `name`: the file of that name, in lower case, in `$CREDENTIALS_DIRECTORY`, else the
/// variable; `None` where neither is there. The end of a line at its end is not part of it.
///
/// # Errors
/// Names the file or variable that cannot be one.
pub fn read(name: &str) -> Result<Option<String>> {
    read_named(name, &name.to_lowercase())
}

/// The same where the file has a name of its own.
///
/// # Errors
/// As [`read`].
pub fn read_named(name: &str, file: &str) -> Result<Option<String>> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    read_from(folder, std::env::var_os(name), (name, file))
}

/// Where [`read`] has the secret `name` from, in words that name the file or the variable.
pub fn place(name: &str) -> String {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    place_in(folder, name)
}

fn place_in(folder: Option<PathBuf>, name: &str) -> String {
    let file = folder.map(|folder| folder.join(name.to_lowercase()));
    match file.filter(|file| std::fs::metadata(file).is_ok()) {
        Some(file) => file.display().to_string(),
        None => format!("{name} in the environment"),
    }
}

fn read_from(
    folder: Option<PathBuf>,
    variable: Option<OsString>,
    (name, file): (&str, &str),
) -> Result<Option<String>> {
    if let Some(file) = folder.map(|folder| folder.join(file)) {
        let named = || file.display().to_string();
        match std::fs::metadata(&file) {
            Ok(about) if about.len() > SECRET_BYTES_MAX => bail!("{}: too long", named()),
            Ok(_) => {
                let text = Zeroizing::new(std::fs::read_to_string(&file).with_context(named)?);
                return Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(named),
        }
    }
    match variable.map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => bail!("{name}: not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_s_file_comes_before_the_variable_and_loses_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = || Some(dir.path().to_owned());
        let variable = || Some("from the environment".into());
        let read =
            |folder, variable| read_from(folder, variable, ("PEREGRINE_X", "peregrine_x")).unwrap();
        assert_eq!(read(None, None), None);
        assert_eq!(read(folder(), variable()).as_deref(), Some("from the environment"));
        let place = |folder| place_in(folder, "PEREGRINE_X");
        for folder in [None, folder()] {
            assert_eq!(place(folder), "PEREGRINE_X in the environment");
        }
        std::fs::write(dir.path().join("peregrine_x"), "from the file\n").unwrap();
        assert_eq!(read(folder(), variable()).as_deref(), Some("from the file"));
        assert_eq!(place(folder()), dir.path().join("peregrine_x").display().to_string());
        std::fs::write(dir.path().join("peregrine_x"), vec![b'x'; 9_000]).unwrap();
        assert!(read_from(folder(), None, ("PEREGRINE_X", "peregrine_x")).is_err());
    }
}
