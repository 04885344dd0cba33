//! Processes of the benchmark's own: the same executable, started again to serve.
//!
//! A child reads commands from its standard input and answers each with one line; it ends with its
//! parent, since its input ends then.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// What tells a process that it is a child, and of what kind.
const VARIABLE: &str = "ROOMRAFT_BENCH_CHILD";

/// Clock ticks a second of the processor times in `/proc`, on every Linux of today.
const TICKS: f64 = 100.0;

/// What this process is to serve, if it is a child.
pub fn role() -> Option<Value> {
    let role = std::env::var(VARIABLE).ok()?;
    Some(serde_json::from_str(&role).expect("the parent writes JSON"))
}

/// Answers commands, one a line, until the parent is gone. To be called on a thread of its own.
pub fn serve(mut answer: impl FnMut(&str) -> Value) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let answer = answer(&line);
        let mut out = io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts one with its role.
    pub fn start(role: &Value) -> Self {
        let executable = std::env::current_exe().expect("this executable");
        let mut process = Command::new(executable)
            .env(VARIABLE, role.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child starts");
        let orders = process.stdin.take().expect("its input");
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        Self { process, orders, answers }
    }

    /// Sends a command; the answer is to be taken by [`answer`](Self::answer).
    pub fn order(&mut self, command: impl fmt::Display) {
        writeln!(self.orders, "{command}").expect("the child reads");
    }

    /// The answer to the oldest command that has none yet.
    pub fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the child answers");
        assert!(!line.is_empty(), "a child ended: see its words above");
        serde_json::from_str(&line).expect("the child writes JSON")
    }

    /// Sends a command and takes its answer.
    pub fn ask(&mut self, command: impl fmt::Display) -> Value {
        self.order(command);
        self.answer()
    }

    /// Ends it by kill -9.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The processor time that it has used, in seconds.
    pub fn processor_time(&self) -> f64 {
        processor_time(&self.process.id().to_string())
    }

    /// Its memory that is in use now, in bytes.
    pub fn resident(&self) -> u64 {
        resident(&self.process.id().to_string())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processor time in seconds that a process has used: its number, or `self`. In steps of 10 ms.
pub fn processor_time(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in the second field may hold spaces; after it the fields are numbers.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The memory in bytes that a process has in use now: its number, or `self`.
pub fn resident(process: &str) -> u64 {
    status(process, "VmRSS:")
}

/// The part of it that is no page of a file.
pub fn anonymous(process: &str) -> u64 {
    status(process, "RssAnon:")
}

/// A line of a process's status that counts kB, in bytes.
fn status(process: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or_default() * 1024
}
