//! Python with packages from its registry, installed once below the target folder. Where Python or
//! the registry is out of reach a test says so and checks nothing; with `CI=true` Python must also
//! be able to install.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program to its end; what it said where that was not a success.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{}: {said}", output.status))
}

/// The folder of Python with these packages, `name==version` each, installed if they were not; or
/// why there is none. The first names the folder.
pub fn environment(packages: &[&str]) -> Result<PathBuf, String> {
    if let Err(why) = run(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        return Err(format!("python3 is not to be had here: {why}"));
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(packages[0].replace("==", "-"));
    fs::create_dir_all(&dir).expect("a folder");
    let lock = File::create(dir.with_extension("lock")).expect("a file");
    // Held until the file is closed; other runs wait for the one who installs.
    lock.lock().expect("a lock");
    let (done, names) = (dir.join("installed"), packages.join(" "));
    if fs::read_to_string(&done).is_ok_and(|had| had == names) {
        return Ok(dir);
    }
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a folder");
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let steps = [
        run(Command::new("python3").args(["-m", "venv", "."]).current_dir(&dir)),
        run(Command::new(dir.join("bin/python")).args(quiet).args(packages).current_dir(&dir)),
    ];
    for step in steps {
        if let Err(why) = step {
            let failure = format!("{names} did not install: {why}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{failure}");
            return Err(failure);
        }
    }
    fs::write(done, names).expect("written");
    Ok(dir)
}
