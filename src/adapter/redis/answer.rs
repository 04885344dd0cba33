//! What a script replies, read.

use std::{collections::HashMap, str::FromStr, vec};

use redis::Value;

use crate::adapter::{AdapterError, AdapterResult};

/// The fields of a record, as text.
pub(super) type Fields = HashMap<String, String>;

/// How a script ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done; the rest of the reply is what it gives.
    Done(Answer),
    /// The shard has no copy of this server's row, or an old one.
    Stale(String),
    /// The script must be told what this server has in other shards.
    Counts(String),
    /// No room in this shard fits.
    Nothing,
}

/// The parts of a reply, to be taken in order.
#[derive(Debug)]
pub(super) struct Answer(vec::IntoIter<Value>);

fn damaged<T>(problem: &str) -> AdapterResult<T> {
    Err(AdapterError::Damaged(format!("a reply of Redis {problem}")))
}

/// Reads a script's reply; refusals are errors.
pub(super) fn outcome(reply: Value) -> AdapterResult<Outcome> {
    let mut answer = Answer::new(reply)?;
    match answer.text()?.as_str() {
        "OK" => Ok(Outcome::Done(answer)),
        "STALE" => Ok(Outcome::Stale(answer.text()?)),
        "COUNTS" => Ok(Outcome::Counts(answer.text()?)),
        "NONE" => Ok(Outcome::Nothing),
        "FENCED" => Err(AdapterError::Fenced { present: crate::model::Epoch(answer.number()?) }),
        "REJECTED" => match serde_json::from_str(&answer.text()?) {
            Ok(rejection) => Err(AdapterError::Rejected(rejection)),
            Err(error) => damaged(&format!("is no rejection: {error}")),
        },
        other => damaged(&format!("begins with {other:?}")),
    }
}

impl Answer {
    fn new(reply: Value) -> AdapterResult<Self> {
        match reply {
            Value::Array(parts) => Ok(Self(parts.into_iter())),
            other => damaged(&format!("is no list: {other:?}")),
        }
    }

    fn next(&mut self) -> AdapterResult<Value> {
        self.0.next().map_or_else(|| damaged("is too short"), Ok)
    }

    /// The next part as bytes; none where it is nil.
    pub(super) fn bytes(&mut self) -> AdapterResult<Option<Vec<u8>>> {
        // A list that ends in nil comes without it.
        match self.0.next() {
            None | Some(Value::Nil | Value::Boolean(false)) => Ok(None),
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::SimpleString(text)) => Ok(Some(text.into_bytes())),
            Some(Value::Okay) => Ok(Some(b"OK".to_vec())),
            Some(other) => damaged(&format!("has no text in place: {other:?}")),
        }
    }

    pub(super) fn text(&mut self) -> AdapterResult<String> {
        match self.bytes()?.map(String::from_utf8) {
            Some(Ok(text)) => Ok(text),
            _ => damaged("has no text in place"),
        }
    }

    pub(super) fn number<T: FromStr>(&mut self) -> AdapterResult<T> {
        let text = self.text()?;
        text.parse().or_else(|_| damaged(&format!("has no number in place: {text:?}")))
    }

    /// The next part as a list of its own.
    pub(super) fn list(&mut self) -> AdapterResult<Self> {
        Self::new(self.next()?)
    }

    pub(super) fn texts(&mut self) -> AdapterResult<Vec<String>> {
        self.list()?.each(Self::text)
    }

    /// The next part as a record's fields; empty where there is none.
    pub(super) fn fields(&mut self) -> AdapterResult<Fields> {
        let texts = self.texts()?;
        Ok(texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
    }

    /// Reads every part that is left in the same way.
    pub(super) fn each<T>(mut self, read: impl Fn(&mut Self) -> AdapterResult<T>) -> AdapterResult<Vec<T>> {
        let mut all = Vec::with_capacity(self.0.len());
        while !self.0.as_slice().is_empty() {
            all.push(read(&mut self)?);
        }
        Ok(all)
    }
}

/// A field that must be there.
pub(super) fn field<'a>(fields: &'a Fields, name: &str) -> AdapterResult<&'a str> {
    fields.get(name).map_or_else(|| damaged(&format!("lacks the field {name}")), |text| Ok(text.as_str()))
}

/// A field that must be there and be read as this.
pub(super) fn parsed<T: FromStr>(fields: &Fields, name: &str) -> AdapterResult<T> {
    let text = field(fields, name)?;
    text.parse().or_else(|_| damaged(&format!("has a bad field {name}: {text:?}")))
}

/// A field that may be missing.
pub(super) fn optional<T: FromStr>(fields: &Fields, name: &str) -> AdapterResult<Option<T>> {
    fields.contains_key(name).then(|| parsed(fields, name)).transpose()
}
