//! What is wrong with a configuration, in one line.

use std::{fmt::Display, path::Path};

use clap::error::{ContextKind, ContextValue};

/// A configuration that cannot be used, in one line: which flag or key, what is wrong with it, and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(String);

impl ConfigError {
    /// Words that name the flag and the mend themselves.
    pub(crate) fn new(words: &impl ToString) -> Self {
        Self(one_line(&words.to_string()))
    }

    /// About the flag `--name`, which is the key `name` of the file too.
    pub(crate) fn flag(name: &str, problem: impl Display, mend: impl Display) -> Self {
        Self::new(&format!("--{name}: {problem}: {mend}"))
    }

    /// About something in the file.
    pub(crate) fn file(path: &Path, problem: impl Display, mend: impl Display) -> Self {
        Self::new(&format!("{}: {problem}: {mend}", path.display()))
    }
}

/// clap's report of a bad command line, in one line.
pub(crate) fn clap_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let body = text.split("\n\n").next().unwrap_or_default();
    let body = one_line(body.strip_prefix("error: ").unwrap_or(body));
    let variable = error.get(ContextKind::InvalidArg).zip(error.get(ContextKind::InvalidValue)).and_then(variable);
    let place = variable.map(|name| format!(" (from {name})")).unwrap_or_default();
    match error.get(ContextKind::SuggestedArg).or_else(|| error.get(ContextKind::SuggestedSubcommand)) {
        Some(ContextValue::String(meant)) => format!("{body}{place}: did you mean {meant}?"),
        Some(ContextValue::Strings(meant)) if !meant.is_empty() => {
            format!("{body}{place}: did you mean {}?", meant.join(" or "))
        }
        _ => format!("{body}{place}: see --help"),
    }
}

/// The variable that a bad value came from, if it was one.
fn variable((flag, value): (&ContextValue, &ContextValue)) -> Option<String> {
    let (ContextValue::String(flag), ContextValue::String(value)) = (flag, value) else { return None };
    let name = flag.trim_start_matches('-').split([' ', '=']).next()?;
    let variable = format!("ROOMRAFT_{}", name.to_uppercase().replace('-', "_"));
    let from_it = std::env::var(&variable).is_ok_and(|found| found.split([',', ';']).any(|part| part == value));
    from_it.then_some(variable)
}

/// Text without line breaks and control characters, so that a report stays one line whatever was typed.
pub(crate) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
