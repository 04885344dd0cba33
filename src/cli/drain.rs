//! `roomraft drain` and `roomraft leave`: a server hands its rooms on, and a summary says what went where.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Failure, output, query::Order};

/// Has a node do it, and shows what became of its rooms.
pub(super) fn run(order: &Order, path: &str) -> Result<(), Failure> {
    let report = order.carry_out(path)?;
    if order.query.json {
        output::json(&report);
    } else {
        let fields = ["roomId", "roomType", "players", "fate", "to", "frozenMs", "reason"];
        let header = ["room", "type", "players", "fate", "server", "frozen ms", "reason"];
        if report["rooms"].as_array().is_some_and(|rooms| !rooms.is_empty()) {
            output::table(&header, output::rows(&report["rooms"], &fields));
        }
        output::line(&summary(&report));
    }
    // A script must notice a server that still has rooms.
    match count(&report, "stayed") {
        0 => Ok(()),
        stayed => {
            Err(Failure::Fault(format!("{stayed} rooms are still on the server: see the reasons and drain again")))
        }
    }
}

fn count(report: &Value, fate: &str) -> usize {
    report["rooms"].as_array().map_or(0, |rooms| rooms.iter().filter(|room| room["fate"] == fate).count())
}

/// The whole in one line.
fn summary(report: &Value) -> String {
    let rooms = report["rooms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut targets: BTreeMap<String, usize> = BTreeMap::new();
    let mut players = 0;
    for room in rooms.iter().filter(|room| room["fate"] == "moved") {
        *targets.entry(output::cell(&room["to"])).or_default() += 1;
        players += room["players"].as_u64().unwrap_or(0);
    }
    let targets: Vec<String> = targets.into_iter().map(|(server, rooms)| format!("{rooms} to {server}")).collect();
    let targets = if targets.is_empty() { String::new() } else { format!(" ({})", targets.join(", ")) };
    let [moved, parked, disposed, stayed] = ["moved", "parked", "disposed", "stayed"].map(|fate| count(report, fate));
    format!(
        "{moved} rooms moved{targets} with {players} players, {parked} parked, {disposed} disposed of, {stayed} stayed; \
         {} ms",
        report["tookMs"]
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_summary_says_what_went_where() {
        let report = json!({ "tookMs": 41, "rooms": [
            { "roomId": "a", "players": 2, "fate": "moved", "to": "s3", "frozenMs": 5 },
            { "roomId": "b", "players": 3, "fate": "moved", "to": "s2", "frozenMs": 6 },
            { "roomId": "c", "players": 4, "fate": "moved", "to": "s3", "frozenMs": 7 },
            { "roomId": "d", "players": 1, "fate": "parked" },
        ]});
        let expected = "3 rooms moved (1 to s2, 2 to s3) with 9 players, 1 parked, 0 disposed of, 0 stayed; 41 ms";
        assert_eq!(summary(&report), expected);
        let none = json!({ "tookMs": 0, "rooms": [] });
        assert_eq!(summary(&none), "0 rooms moved with 0 players, 0 parked, 0 disposed of, 0 stayed; 0 ms");
    }
}
