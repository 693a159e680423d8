//! The program as a process of its own.

use crate::pipeline_support::root;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Output, Stdio};

/// A running process; killed if a test fails before it ended.
pub struct Process(Option<Child>);

impl Process {
    /// Starts the program in the repository; its words are kept until it ends.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(root())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(child.unwrap()))
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub fn end(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
