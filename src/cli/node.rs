//! `roomraft node`: one game server in the foreground.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use super::{Failure, output};
use crate::{
    config::{LogFormat, NodeArguments, NodeConfig},
    node::{self, NodeFault},
};

pub(super) fn run(arguments: NodeArguments) -> Result<(), Failure> {
    let config = NodeConfig::load(arguments).map_err(|error| Failure::Configuration(error.to_string()))?;
    log_to_standard_error(config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Fault(format!("no threads to run on ({error})")))?;
    let outcome = runtime.block_on(node::run(config, |ready| output::line(&ready.to_string())));
    // A second signal leaves tasks behind; the process ends without them.
    runtime.shutdown_background();
    outcome.map_err(|fault| match fault {
        NodeFault::Configuration(error) => Failure::Configuration(error.to_string()),
        fault => Failure::Fault(fault.to_string()),
    })
}

/// `RUST_LOG` filters; without it the project's own lines from info on, and warnings of the rest;
/// openraft warns of each message that a dead peer does not answer, which the project says in its own words.
fn log_to_standard_error(format: LogFormat) -> Result<(), Failure> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            Failure::Configuration(format!("RUST_LOG: {text:?} is no filter ({error}): give one such as info"))
        })?,
        _ => EnvFilter::new("warn,openraft=error,roomraft=info"),
    };
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().finish().try_init(),
    };
    installed.map_err(|error| Failure::Fault(format!("logs cannot be written ({error})")))
}
