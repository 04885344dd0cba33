//! Signals to the processes of a test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::process::Child;

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};

/// Sends a child process a signal. After SIGSTOP it waits until the process has stopped: until each of its threads
/// has heard of the signal, it may still answer.
pub fn send(child: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    kill(id, signal).expect("the process takes the signal");
    if signal == Signal::SIGSTOP {
        waitid(Id::Pid(id), WaitPidFlag::WSTOPPED).expect("the process stops");
    }
}
