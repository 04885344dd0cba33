//! Free-form attributes of servers and rooms.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::Value;

/// A JSON object of a server's or a room's attributes, in key order. Cheap to clone.
///
/// In binary encodings it travels as JSON text, since a [`Value`] cannot be read back from them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata(Arc<BTreeMap<String, Value>>);

impl Metadata {
    /// The attributes.
    pub fn entries(&self) -> &BTreeMap<String, Value> {
        &self.0
    }

    /// One attribute.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every pair of `wanted` is here with an equal value.
    pub fn contains_all(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect()))
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else if self.0.is_empty() {
            serializer.serialize_str("")
        } else {
            serializer.serialize_str(&serde_json::to_string(&*self.0).map_err(S::Error::custom)?)
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return BTreeMap::deserialize(deserializer).map(|map| Self(Arc::new(map)));
        }
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let map = serde_json::from_str(&text).map_err(D::Error::custom)?;
        Ok(Self(Arc::new(map)))
    }
}
