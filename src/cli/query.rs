//! Asking a node's ops listener, and telling it to do something.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::Value;

use super::Failure;
use crate::config::{host_port, ops_token, secret};

/// The time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// The time for something to be done: a server with many rooms drains for a while.
const WORK_TIME: Duration = Duration::from_hours(1);
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
        let address = self.address()?;
        ask(&address, path).map_err(|problem| {
            Failure::Fault(format!(
                "no answer from the node at {address} ({problem}): is it running, and --ops its address?"
            ))
        })
    }

    fn address(&self) -> Result<String, Failure> {
        host_port("ops", &self.ops).map_err(|error| Failure::Configuration(error.to_string()))
    }
}

/// A change that a node is asked for, with the operators' token.
#[derive(Debug, Args)]
pub(crate) struct Order {
    #[command(flatten)]
    pub(crate) query: Query,
    /// File with the cluster secret; `ROOMRAFT_SECRET` or `ROOMRAFT_OPS_TOKEN` may hold what is asked for instead
    #[arg(long, env = "ROOMRAFT_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Order {
    /// One POST; its answer as JSON.
    pub(crate) fn carry_out(&self, path: &str) -> Result<Value, Failure> {
        let address = self.query.address()?;
        let token = self.token()?;
        let request = agent(WORK_TIME).post(format!("http://{address}{path}"));
        let response = request.header("authorization", format!("Bearer {token}")).send_empty();
        read(response).map_err(|problem| Failure::Fault(format!("the node at {address} did not do it: {problem}")))
    }

    fn token(&self) -> Result<String, Failure> {
        if let Some(token) = ops_token() {
            return Ok(token);
        }
        let secret = secret(self.secret_file.as_deref()).map_err(|error| Failure::Configuration(error.to_string()))?;
        secret.map(|secret| secret.ops_token()).ok_or_else(|| {
            let mend =
                "give --secret-file the file of the cluster secret, or set ROOMRAFT_SECRET or ROOMRAFT_OPS_TOKEN";
            Failure::Configuration(format!("changes need the operators' token: {mend}"))
        })
    }
}

/// One GET on an ops listener; an error answer's own words, or what went wrong on the way.
pub(crate) fn ask(address: &str, path: &str) -> Result<Value, String> {
    read(agent(ANSWER_TIME).get(format!("http://{address}{path}")).call())
}

fn agent(patience: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(patience)).http_status_as_error(false).build().into()
}

fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut response = response.map_err(|error| error.to_string())?;
    let answer: Value =
        response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json().map_err(|error| error.to_string())?;
    if response.status().is_success() {
        return Ok(answer);
    }
    let words = answer["error"].as_str().or_else(|| answer["reason"].as_str()).unwrap_or("no reason given");
    Err(format!("status {}: {words}", response.status().as_u16()))
}
