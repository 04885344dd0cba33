//! Draws joins a second against rooms registered, from what `join_room -- --json` prints.
//!
//! ```sh
//! cargo bench --bench join_room -- --json |
//!     cargo run --release --locked --manifest-path bench/plot_joins/Cargo.toml -- bench/joins.svg
//! ```
//! Each figure with rooms was measured by turns with one without on the same backend, and others minutes apart on a
//! machine that may have been busier then. So every point bears its ratio to the one that it was measured by turns with.

mod chart;
mod rows;

use std::{error::Error, io::Read, process::ExitCode};

fn main() -> ExitCode {
    match draw() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn draw() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: plot_joins FILE.svg, with the rows of join_room -- --json on standard input".into());
    };
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines = rows::read(&text)?;
    std::fs::write(&file, chart::svg(&lines)?).map_err(|error| format!("{file} cannot be written: {error}").into())
}
