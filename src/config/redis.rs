//! What a node is told about Redis.

use std::{convert::Infallible, fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError, HOUR_MS, NodeArguments, TlsFiles, pair,
    secret::redis_password,
    values::{number, time},
};
use crate::adapter::{RedisOptions, RedisTls, redis_name_problem, redis_urls_problem};

/// The longest time that something is kept: about a hundred years.
const KEPT_MAX_MS: u64 = 100 * 365 * 24 * HOUR_MS;

/// A URL that may hold a password: not shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RedisUrl(String);

impl From<String> for RedisUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for RedisUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(…)")
    }
}

/// The options of the adapter; its node id is the node's own to know.
pub(super) fn redis(given: &NodeArguments) -> Result<RedisOptions, ConfigError> {
    let urls = given.redis_url.iter().flatten().flat_map(|url| url.0.split(',')).map(str::trim);
    let urls: Vec<String> = urls.filter(|url| !url.is_empty()).map(str::to_owned).collect();
    if urls.is_empty() {
        let mend = "give one such as redis://127.0.0.1:6379, best as the variable ROOMRAFT_REDIS_URL";
        return Err(ConfigError::flag("redis-url", "missing on the redis adapter", mend));
    }
    if let Some(problem) = redis_urls_problem(&urls) {
        return Err(ConfigError::new(&format!("--redis-url: {problem}")));
    }
    let mut options = RedisOptions::new(urls);
    options.user.clone_from(&given.redis_user);
    options.password = redis_password(given.redis_password_file.as_deref())?;
    options.tls = tls(given)?;
    options.prefix = name("redis-prefix", given.redis_prefix.as_deref(), options.prefix)?;
    options.channel = name("redis-channel", given.redis_channel.as_deref(), options.channel)?;
    if options.channel.is_empty() {
        return Err(ConfigError::flag("redis-channel", "empty", "give a name such as distributed:events"));
    }
    options.shards = number("redis-shards", given.redis_shards, options.shards, 1..=64)?;
    options.server_ttl = time("server-ttl-ms", given.server_ttl_ms, options.server_ttl, 100..=HOUR_MS)?;
    options.room_ttl = time("room-ttl-ms", given.room_ttl_ms, options.room_ttl, 0..=KEPT_MAX_MS)?;
    options.call_max = time("redis-call-max-ms", given.redis_call_max_ms, options.call_max, 100..=HOUR_MS)?;
    let snapshots = &mut options.snapshots;
    snapshots.ttl = time("snapshot-ttl-ms", given.snapshot_ttl_ms, snapshots.ttl, 0..=KEPT_MAX_MS)?;
    snapshots.bytes_max =
        number("room-snapshot-bytes-max", given.room_snapshot_bytes_max, snapshots.bytes_max, 1..=1 << 28)?;
    Ok(options)
}

fn name(flag: &str, given: Option<&str>, default: String) -> Result<String, ConfigError> {
    let name = given.map_or(default, str::to_owned);
    match redis_name_problem(&name) {
        Some(problem) => Err(ConfigError::flag(flag, format!("{name:?} is not usable"), problem)),
        None => Ok(name),
    }
}

fn tls(given: &NodeArguments) -> Result<RedisTls, ConfigError> {
    let read = |flag: &str, path: &Path| {
        std::fs::read(path).map_err(|error| {
            ConfigError::flag(flag, format!("{} cannot be read ({error})", path.display()), "name a PEM file")
        })
    };
    let ca = given.redis_ca.as_deref().map(|path| read("redis-ca", path)).transpose()?;
    let files = pair("redis-cert", given.redis_cert.as_ref(), "redis-key", given.redis_key.as_ref())?;
    let identity = match files {
        Some(TlsFiles { cert, key }) => Some((read("redis-cert", &cert)?, read("redis-key", &key)?)),
        None => None,
    };
    Ok(RedisTls { ca, identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_not_shown_with_its_password() {
        let url = RedisUrl::from("redis://:sesame@127.0.0.1".to_owned());
        let given = NodeArguments { redis_url: Some(vec![url]), ..NodeArguments::default() };
        assert!(!format!("{given:?}").contains("sesame"));
        assert!(!format!("{:?}", redis(&given).unwrap()).contains("sesame"));
    }
}
