//! `roomraft cert`: secrets for the peers' mutual TLS.

use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use crate::quic::ClusterSecret;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a new cluster secret: `roomraft cert secret > secret && chmod 600 secret`
    Secret {
        /// JSON for scripts
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(arguments: &Arguments) {
    let Action::Secret { json } = arguments.action;
    let secret = ClusterSecret::generate();
    if json {
        output::json(&json!({ "secret": secret }));
    } else {
        output::line(&secret);
    }
}
