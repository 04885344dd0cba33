//! What every benchmark shares: its command line, the conditions that it ran under, its lines of output.
#![allow(dead_code, reason = "each benchmark uses its own part of this module")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

pub mod child;
pub mod conditions;
pub mod etcd;
pub mod figures;
pub mod game_server;
#[cfg(feature = "raft")]
pub mod raft_node;

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use self::{conditions::Conditions, figures::Figure};

/// A whole benchmark: reads the command line, measures between two looks at the machine, and prints the figures.
/// `pairs` are its names that take a number.
pub fn run(name: &str, pairs: &[&str], measure: impl FnOnce(&Options) -> Vec<Figure>) -> ExitCode {
    let options = match Options::read(pairs) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    eprintln!("before: {}", Conditions::now());
    let figures = measure(&options);
    eprintln!("after:  {}", Conditions::now());
    figures::print(name, &figures, options.json);
    ExitCode::SUCCESS
}

/// Two threads, as many as there are cores on the machine of the figures.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// What one of several gets of a whole that is spread evenly over them.
pub fn share(whole: usize, parts: usize, number: usize) -> usize {
    whole / parts + usize::from(number < whole % parts)
}

/// The command line: `[PART] [--quick] [--json]` and pairs such as `--kills 20`; cargo's own `--bench` is taken too.
#[derive(Debug)]
pub struct Options {
    /// A run of two minutes at most, for a first look.
    pub quick: bool,
    /// One JSON object a line instead of a table.
    pub json: bool,
    part: Option<String>,
    pairs: Vec<(String, usize)>,
}

impl Options {
    /// Reads the command line; `pairs` are the further names that take a number.
    ///
    /// # Errors
    /// What is not understood, and what would be.
    pub fn read(pairs: &[&str]) -> Result<Self, String> {
        let mut options = Self { quick: false, json: false, part: None, pairs: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                name if pairs.contains(&name) => {
                    let value = arguments.next().and_then(|value| value.parse().ok());
                    let value = value.ok_or_else(|| format!("{name} needs a whole number after it"))?;
                    options.pairs.push((name.to_owned(), value));
                }
                part if !part.starts_with('-') => options.part = Some(part.to_owned()),
                other => return Err(format!("{other} is not understood: --quick, --json, {}", pairs.join(", "))),
            }
        }
        Ok(options)
    }

    /// Whether a part of the benchmark is wanted: all are, unless one is named.
    pub fn wants(&self, part: &str) -> bool {
        self.part.as_ref().is_none_or(|wanted| wanted == part)
    }

    /// The number that was given for a name, else the one for a quick or a full run.
    pub fn number(&self, name: &str, quick: usize, full: usize) -> usize {
        let given = self.pairs.iter().rev().find(|(given, _)| given == name).map(|(_, value)| *value);
        given.unwrap_or(if self.quick { quick } else { full })
    }
}
