//! Rows of figures in, the points of each backend out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Joins a second with so many rooms registered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub rooms: u32,
    pub joins: f64,
    /// Of the figure without rooms that was measured by turns with this one; none where this is that figure.
    pub ratio: Option<f64>,
}

/// A backend's points in order of their rooms.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub backend: String,
    pub points: Vec<Point>,
}

#[derive(Deserialize)]
struct Row {
    bench: String,
    case: String,
    ours: f64,
    ratio: Option<f64>,
    unit: String,
}

/// Reads rows, one a line, in the order in which backends first come up; those of other figures are passed over.
///
/// # Errors
/// What is wrong with which line, or that no row is one of `join_room`.
pub fn read(text: &str) -> Result<Vec<Line>, String> {
    let mut order = Vec::new();
    let mut points: BTreeMap<String, BTreeMap<u32, Point>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: Row = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        if row.bench != "join_room" || row.unit != "joins/s" {
            continue;
        }
        let case = row.case.split_once("/rooms=").and_then(|(backend, rooms)| Some((backend, rooms.parse().ok()?)));
        let (backend, rooms) =
            case.ok_or_else(|| format!("line {}: {} is no BACKEND/rooms=N", number + 1, row.case))?;
        if !order.iter().any(|known| known == backend) {
            order.push(backend.to_owned());
        }
        let point = Point { rooms, joins: row.ours, ratio: row.ratio };
        points.entry(backend.to_owned()).or_default().insert(rooms, point);
    }
    if order.is_empty() {
        return Err("no row with the unit joins/s: give what cargo bench --bench join_room -- --json prints".to_owned());
    }
    let line = |backend: String| {
        let points = points.remove(&backend).unwrap_or_default().into_values().collect();
        Line { backend, points }
    };
    Ok(order.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_by_backend_and_rooms_and_other_figures_are_passed_over() {
        let rows = r#"
            {"bench":"join_room","case":"raft/rooms=10000","ours":950.0,"peer":1000.0,"ratio":0.95,"unit":"joins/s"}
            {"bench":"join_room","case":"raft/rooms=10000, p50","ours":9.0,"peer":9.0,"ratio":1.0,"unit":"ms"}
            {"bench":"join_room","case":"raft/rooms=0","ours":990.5,"peer":null,"ratio":null,"unit":"joins/s"}
            {"bench":"join_room","case":"memory/rooms=0","ours":2000.0,"peer":null,"ratio":null,"unit":"joins/s"}
            {"bench":"idle","case":"resident memory a node","ours":1.0,"peer":2.0,"ratio":0.5,"unit":"MiB"}
        "#;
        let raft = vec![
            Point { rooms: 0, joins: 990.5, ratio: None },
            Point { rooms: 10_000, joins: 950.0, ratio: Some(0.95) },
        ];
        let memory = vec![Point { rooms: 0, joins: 2000.0, ratio: None }];
        let expected = [("raft", raft), ("memory", memory)];
        let expected = expected.map(|(backend, points)| Line { backend: backend.to_owned(), points });
        assert_eq!(read(rows).expect("rows"), expected);
        assert!(read(&rows.replace("raft/rooms=10000\"", "raft/chairs=9\"")).is_err(), "a case that nobody can place");
        assert!(read("").is_err(), "nothing to draw");
    }
}
