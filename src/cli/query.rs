//! Asking a node's ops listener.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Failure;
use crate::config::host_port;

/// The time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// The largest answer: a list of all rooms can be long.
const ANSWER_BYTES_MAX: u64 = 1 << 30;

/// Which node is asked, and how the answer is shown.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The ops address of any node
    #[arg(long, env = "ROOMRAFT_OPS", value_name = "HOST:PORT", default_value = "127.0.0.1:9400")]
    pub(crate) ops: String,
    /// JSON for scripts instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Query {
    /// One GET; its answer as JSON.
    pub(crate) fn ask(&self, path: &str) -> Result<Value, Failure> {
        let address = host_port("ops", &self.ops).map_err(|error| Failure::Configuration(error.to_string()))?;
        ask(&address, path).map_err(|problem| {
            Failure::Fault(format!(
                "no answer from the node at {address} ({problem}): is it running, and --ops its address?"
            ))
        })
    }
}

/// One GET on an ops listener; an error answer's own words, or what went wrong on the way.
pub(crate) fn ask(address: &str, path: &str) -> Result<Value, String> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER_TIME)).http_status_as_error(false).build();
    let response = ureq::Agent::from(agent).get(format!("http://{address}{path}")).call();
    let mut response = response.map_err(|error| error.to_string())?;
    let answer: Value =
        response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json().map_err(|error| error.to_string())?;
    if response.status().is_success() {
        return Ok(answer);
    }
    let words = answer["error"].as_str().or_else(|| answer["reason"].as_str()).unwrap_or("no reason given");
    Err(format!("status {}: {words}", response.status().as_u16()))
}
