//! The binary's commands, one file each.
//!
//! Exit codes: 0 after what was asked for was done, 1 where it failed, 2 for a command line or a
//! configuration that cannot be used. Errors are one line on standard error.

mod cert;
mod demo;
mod drain;
mod loadtest;
mod node;
mod output;
mod query;
mod rooms;
mod servers;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{NodeArguments, clap_line};

/// Distributed rooms for multiplayer game servers, with no broker.
#[derive(Debug, Parser)]
#[command(name = "roomraft", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run one game server in the foreground
    Node(Box<NodeArguments>),
    Demo(demo::Arguments),
    /// Show a node, its cluster and its servers
    Status(query::Query),
    /// List the servers that are online
    Servers(query::Query),
    /// List rooms
    Rooms(rooms::Arguments),
    /// Move every room of a server to others; it goes on without rooms until it is stopped
    Drain(query::Order),
    /// Drain a server and take its node out of the cluster for good; its process ends
    Leave(query::Order),
    Loadtest(loadtest::Arguments),
    /// Make secrets
    Cert(cert::Arguments),
}

/// How a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or the configuration cannot be used.
    Configuration(String),
    /// What was asked for could not be done.
    Fault(String),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let outcome = match Command::try_parse() {
        Ok(command) => act(command.action),
        Err(error)
            if error.use_stderr()
                && error.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            Err(Failure::Configuration(clap_line(&error)))
        }
        Err(help) => {
            // Where standard output is closed there is nobody to tell.
            let _ = help.print();
            return ExitCode::from(if help.use_stderr() { 2 } else { 0 });
        }
    };
    let (code, line) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Configuration(line)) => (2, line),
        Err(Failure::Fault(line)) => (1, line),
    };
    output::error(&line);
    ExitCode::from(code)
}

fn act(action: Action) -> Result<(), Failure> {
    match action {
        Action::Node(arguments) => node::run(*arguments),
        Action::Demo(arguments) => demo::run(&arguments),
        Action::Status(query) => status::run(&query),
        Action::Servers(query) => servers::run(&query),
        Action::Rooms(arguments) => rooms::run(&arguments),
        Action::Drain(order) => drain::run(&order, "/admin/drain"),
        Action::Leave(order) => drain::run(&order, "/admin/leave"),
        Action::Loadtest(arguments) => loadtest::run(&arguments),
        Action::Cert(arguments) => {
            cert::run(&arguments);
            Ok(())
        }
    }
}
