//! Every command of `docs/phase5_signoff.md` runs, and ends as the page says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a line says behind a command that ends otherwise than well.
const ENDS_WITH: &str = "# ends with ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Commands with the exit codes the page promises.
fn steps(page: &str) -> Vec<(String, i32)> {
    let (mut steps, mut inside) = (Vec::new(), false);
    for line in page.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() => {
                let (command, code) = command.split_once(ENDS_WITH).unwrap_or((command, "0"));
                steps.push((command.trim().to_owned(), code.trim().parse().expect("a number")));
            }
            _ => {}
        }
    }
    steps
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn every_command_of_the_sign_off_page_ends_as_it_says() {
    let dir = tempfile::tempdir().expect("a folder");
    for folder in ["config", "models_saved"] {
        copy_folder(&root().join(folder), &dir.path().join(folder));
    }
    let program = dir.path().join("target/release/peregrine");
    fs::create_dir_all(program.parent().expect("a folder")).expect("a folder");
    fs::write(&program, "the program that will trade").expect("written");
    let lab = Path::new(env!("CARGO_BIN_EXE_peregrine-lab")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let page = fs::read_to_string(root().join("docs/phase5_signoff.md")).expect("the page");
    let steps = steps(&page);
    let mut wanted = vec!["peregrine-lab paper", "gate keygen", "gate sign-off"];
    for (command, code) in steps {
        wanted.retain(|part| !command.contains(part));
        // An hour of market a day takes minutes; what is tested is the command.
        let short = command.replace("--minutes 60", "--minutes 1");
        let output = Command::new("sh")
            .args(["-c", &short])
            .current_dir(dir.path())
            .env("PATH", format!("{}:{path}", lab.display()))
            .output()
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{command}: {error}");
        assert!(code == 0 || !error.trim().is_empty(), "{command}: it says why");
    }
    assert!(wanted.is_empty(), "the page lacks {wanted:?}");
    let report = dir.path().join("reports/synthetic-1");
    let document = fs::read_to_string(report.join("phase5_signoff.md")).expect("the document");
    assert!(document.contains("| day-14 |"), "{document}");
    assert!(report.join("paper_campaign.json").exists());
}
