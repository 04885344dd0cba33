//! Running a command of the binary to its end.

use std::process::{Command, Output, Stdio};

/// The built binary, with an environment that says nothing of roomraft.
pub(crate) fn roomraft() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomraft"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ROOMRAFT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// How a command ended, and what it printed.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    ended(roomraft().args(arguments).output().expect("the built binary starts"))
}

pub(crate) fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a command to its end in a folder.
pub(crate) fn run_in(folder: &std::path::Path, arguments: &[&str]) -> Ended {
    ended(roomraft().current_dir(folder).args(arguments).output().expect("the built binary starts"))
}
