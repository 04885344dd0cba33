//! Lines and tables. A reader that went away, as in `roomraft rooms | head`, is no error.

use std::io::Write;

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::config::one_line;

/// One line on standard output.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line on standard error.
pub(crate) fn error(text: &str) {
    let _ = writeln!(std::io::stderr(), "roomraft: {}", one_line(text));
}

/// A value for scripts.
pub(crate) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// A table for people.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    line(&table.trim_fmt());
}

/// A field as people read it: text without quotes, nothing as a dash.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // What players and servers named must not move the terminal's cursor.
        Value::String(text) => one_line(text),
        other => other.to_string(),
    }
}

/// Some fields of each object, in order.
pub(crate) fn rows<'a>(objects: &'a Value, fields: &'a [&str]) -> impl Iterator<Item = Vec<String>> + 'a {
    let objects = objects.as_array().into_iter().flatten();
    objects.map(|object| fields.iter().map(|field| cell(&object[*field])).collect())
}
