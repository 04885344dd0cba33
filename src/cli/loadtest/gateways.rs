//! Where the players of the load test connect.

use serde_json::Value;

use super::Arguments;
use crate::{
    cli::Failure,
    client::{ClientError, address},
};

/// The URLs of the gateways that were given, else of all servers that a node knows to be online.
pub(super) fn find(arguments: &Arguments) -> Result<Vec<String>, Failure> {
    if !arguments.gateways.is_empty() {
        let urls = urls(&arguments.gateways);
        return urls.map_err(|error| Failure::Configuration(format!("--gateway: {error}")));
    }
    let status = arguments.query.ask("/status")?;
    let gateways = online(&status);
    if gateways.is_empty() {
        let ops = &arguments.query.ops;
        return Err(Failure::Fault(format!(
            "the node at {ops} knows no server that is online: give one with --gateway, or see roomraft status"
        )));
    }
    urls(&gateways).map_err(|error| {
        Failure::Fault(format!("a server's address in the answer of {}: {error}", arguments.query.ops))
    })
}

fn urls(gateways: &[String]) -> Result<Vec<String>, ClientError> {
    gateways.iter().map(|gateway| address::url(gateway, false)).collect()
}

fn online(status: &Value) -> Vec<String> {
    let servers = status["servers"].as_array().into_iter().flatten();
    let servers = servers.filter(|server| server["status"] == "online");
    let addresses = servers.filter_map(|server| Some(format!("{}:{}", server["address"].as_str()?, server["port"])));
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::online;

    #[test]
    fn only_servers_that_are_online_and_have_an_address_count() {
        let server = |status, address: Value| json!({ "status": status, "address": address, "port": 3000 });
        let servers = [server("online", json!("a")), server("draining", json!("b")), server("online", json!(5))];
        assert_eq!(online(&json!({ "servers": servers })), ["a:3000"]);
        assert!(online(&json!({ "servers": 7 })).is_empty());
        assert!(online(&json!("nothing")).is_empty());
    }
}
