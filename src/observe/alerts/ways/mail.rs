//! Alerts as mails, handed to a program such as sendmail on its standard input. The program gets no
//! environment, its words are not read, and one that does not end in time is killed: a hook that
//! hangs costs a few seconds of this thread and nothing else.

use super::super::dispatch::{Message, Undelivered};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time the program may take.
const PROGRAM_MAX: Duration = Duration::from_secs(4);
/// Wait between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Longest subject in characters.
const SUBJECT_CHARS_MAX: usize = 120;

/// See the head of this file.
pub struct Mail {
    program: String,
    to: String,
    from: String,
}

impl Mail {
    /// Mails from `from` to `to` through `program`, which gets `-t -i`: recipients stand in the
    /// mail, and a line with a dot does not end it.
    pub fn new(program: &str, from: &str, to: &str) -> Self {
        Self { program: program.to_owned(), to: to.to_owned(), from: from.to_owned() }
    }

    pub(super) fn carry(&self, message: &Message) -> Result<(), Undelivered> {
        self.run(&self.mail(message)).map_err(|what| Undelivered {
            what: format!("{}: {what}", self.program),
            retry_after: None,
        })
    }

    /// The mail as text. What comes from outside stands in the body alone; the subject has no line
    /// ends, so no header can be slipped in.
    fn mail(&self, message: &Message) -> String {
        let first = message.text.lines().next().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let subject: String = first.chars().map(plain).take(SUBJECT_CHARS_MAX).collect();
        format!(
            "From: {}\nTo: {}\nSubject: [peregrine] {subject}\nMIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{}\n",
            self.from, self.to, message.text
        )
    }

    fn run(&self, mail: &str) -> Result<(), String> {
        let mut child = Command::new(&self.program)
            .args(["-t", "-i"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // A mail fits into a pipe's buffer, so that this does not wait for the program.
        let written = child.stdin.take().map(|mut pipe| pipe.write_all(mail.as_bytes()));
        let ended = wait(&mut child);
        if !matches!(ended, Ok(true)) {
            let _ = child.kill();
            let _ = child.wait();
        }
        match (ended, written) {
            (Ok(true), Some(Ok(()))) => Ok(()),
            (Ok(true), _) => Err("did not take the mail".to_owned()),
            (Ok(false), _) => Err("did not end in time, or with an error".to_owned()),
            (Err(error), _) => Err(error.to_string()),
        }
    }
}

/// True when the program ended in time and without an error.
fn wait(child: &mut Child) -> std::io::Result<bool> {
    let began = Instant::now();
    while began.elapsed() < PROGRAM_MAX {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(false)
}
