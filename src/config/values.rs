//! Values of the configuration: from text to types, refused with a word on the mend.

use std::{collections::BTreeMap, net::SocketAddr, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer};

use super::ConfigError;
use crate::model::RoomType;

/// A room type that the binary can serve by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelaySpec {
    pub(crate) max_players: u32,
    pub(crate) tick_rate: u32,
    pub(crate) reconnect_grace: Duration,
    pub(crate) auto_dispose: bool,
}

impl Default for RelaySpec {
    fn default() -> Self {
        Self { max_players: 4, tick_rate: 0, reconnect_grace: Duration::from_secs(10), auto_dispose: true }
    }
}

const ROOM_FORM: &str =
    "write NAME=relay[,max_players=4,tick_rate=0,reconnect_grace_ms=10000,auto_dispose=true], such as arena=relay";

/// The room types of all `--room` values.
pub(crate) fn rooms(texts: &[String]) -> Result<BTreeMap<RoomType, RelaySpec>, ConfigError> {
    let mut rooms = BTreeMap::new();
    for text in texts {
        let (name, spec) = room(text)?;
        if rooms.insert(name, spec).is_some() {
            return Err(ConfigError::flag("room", format!("{text:?} names a room type twice"), "name each once"));
        }
    }
    if rooms.is_empty() {
        return Err(ConfigError::flag("room", "no room type", ROOM_FORM));
    }
    Ok(rooms)
}

fn room(text: &str) -> Result<(RoomType, RelaySpec), ConfigError> {
    let refuse = |problem: String, mend: &str| ConfigError::flag("room", format!("{text:?}: {problem}"), mend);
    let mut parts = text.split(',').map(str::trim);
    let Some((name, kind)) = parts.next().unwrap_or_default().split_once('=') else {
        return Err(refuse("no kind".to_owned(), ROOM_FORM));
    };
    let name = RoomType::new(name.trim()).map_err(|error| refuse(error.to_string(), ROOM_FORM))?;
    if kind.trim() != "relay" {
        return Err(refuse(format!("unknown room kind {kind:?}"), "the only kind is relay"));
    }
    let mut spec = RelaySpec::default();
    for part in parts {
        let Some((key, value)) = part.split_once('=') else {
            return Err(refuse(format!("{part:?} is no key=value"), ROOM_FORM));
        };
        let whole = |range: RangeInclusive<u32>| {
            let mend = format!("give a whole number from {} to {}", range.start(), range.end());
            let parsed = value.trim().parse().ok().filter(|number| range.contains(number));
            parsed.ok_or_else(|| refuse(format!("{key} cannot be {value:?}"), &mend))
        };
        match key.trim() {
            "max_players" => spec.max_players = whole(1..=100_000)?,
            "tick_rate" => spec.tick_rate = whole(0..=1000)?,
            "reconnect_grace_ms" => spec.reconnect_grace = Duration::from_millis(whole(0..=86_400_000)?.into()),
            "auto_dispose" => {
                let parsed = value.trim().parse();
                spec.auto_dispose =
                    parsed.map_err(|_| refuse(format!("{key} cannot be {value:?}"), "give true or false"))?;
            }
            _ => {
                let known = "the keys are max_players, tick_rate, reconnect_grace_ms and auto_dispose";
                return Err(refuse(format!("unknown key {key:?}"), known));
            }
        }
    }
    Ok((name, spec))
}

/// A whole number in a range, or the default where none was given.
pub(crate) fn number<T>(name: &str, given: Option<i64>, default: T, range: RangeInclusive<T>) -> Result<T, ConfigError>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let Some(given) = given else { return Ok(default) };
    T::try_from(given).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let mend = format!("give a whole number from {} to {}", range.start(), range.end());
        ConfigError::flag(name, format!("{given} is out of range"), mend)
    })
}

/// A time in milliseconds, or the default where none was given.
pub(crate) fn time(
    name: &str,
    given: Option<i64>,
    default: Duration,
    range: RangeInclusive<u64>,
) -> Result<Duration, ConfigError> {
    number(name, given, crate::clock::millis(default), range).map(Duration::from_millis)
}

/// One of some names, or the default where none was given.
pub(crate) fn choice<T: Copy>(
    name: &str,
    given: Option<&str>,
    default: T,
    known: &[(&str, T)],
) -> Result<T, ConfigError> {
    let Some(given) = given else { return Ok(default) };
    known.iter().find(|(known, _)| *known == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
        ConfigError::flag(name, format!("unknown value {given:?}"), format!("give one of {}", names.join(", ")))
    })
}

/// An address to listen on.
pub(crate) fn socket(name: &str, given: Option<&str>, default: SocketAddr) -> Result<SocketAddr, ConfigError> {
    let Some(given) = given else { return Ok(default) };
    given.parse().map_err(|_| {
        let mend = format!("give IP:PORT, such as {default}");
        ConfigError::flag(name, format!("{given:?} is not an address to listen on"), mend)
    })
}

/// A host with its port, for others to dial.
pub(crate) fn host_port(name: &str, given: &str) -> Result<String, ConfigError> {
    let given = given.trim();
    let parts = given.rsplit_once(':').filter(|(host, port)| {
        let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        let brackets = host.starts_with('[') && host.ends_with(']');
        plain && (brackets || !host.contains(':')) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    parts.map(|_| given.to_owned()).ok_or_else(|| {
        ConfigError::flag(name, format!("{given:?} is not an address"), "give HOST:PORT, such as 10.0.0.2:7400")
    })
}

/// What clap takes for a number; its range is checked later.
pub(crate) fn whole_number(text: &str) -> Result<i64, String> {
    text.trim().parse().map_err(|_| "give a whole number".to_owned())
}

/// A list that may be written as one text in TOML.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let given = Option::deserialize(deserializer)?.map(|value| match value {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    });
    Ok(given.map(|texts| texts.into_iter().map(T::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_type_is_read_with_its_options() {
        let rooms = rooms(&["arena=relay,max_players=8,auto_dispose=false".to_owned()]).unwrap();
        let expected = RelaySpec { max_players: 8, auto_dispose: false, ..RelaySpec::default() };
        assert_eq!(rooms[&RoomType::new("arena").unwrap()], expected);
    }

    #[test]
    fn a_bad_room_type_says_what_is_wrong() {
        for (text, word) in [
            ("arena", "no kind"),
            ("=relay", "must not be empty"),
            ("arena=chess", "unknown room kind"),
            ("arena=relay,max_players=0", "max_players"),
            ("arena=relay,max_players=-1", "max_players"),
            ("arena=relay,size=3", "unknown key"),
            ("arena=relay,auto_dispose=perhaps", "auto_dispose"),
            ("arena=relay,,", "no key=value"),
        ] {
            let error = rooms(&[text.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with("--room: ") && error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn an_address_needs_a_host_and_a_port() {
        for good in ["localhost:7400", "10.0.0.1:1", "[::1]:7400", "node-1.game.svc:7400"] {
            assert_eq!(host_port("peers", good), Ok(good.to_owned()));
        }
        for bad in ["", "localhost", ":7400", "a:0", "a:70000", "::1:7400", "http://a:1", "a b:1"] {
            assert!(host_port("peers", bad).is_err(), "{bad:?} was taken");
        }
    }
}
