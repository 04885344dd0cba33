//! Server addresses as people write them, made into WebSocket URLs.

use super::ClientError;

/// The URL of `host:port`, `ws://…` or `wss://…`; `secure` says what an address without a scheme means.
pub(crate) fn url(address: &str, secure: bool) -> Result<String, ClientError> {
    let address = address.trim();
    let invalid = |problem: &str| ClientError::InvalidAddress {
        address: address.chars().take(128).collect(),
        problem: problem.to_owned(),
    };
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme @ ("ws" | "wss"), rest)) => (scheme, rest),
        Some(_) => return Err(invalid("its scheme is neither ws nor wss")),
        None => (if secure { "wss" } else { "ws" }, address),
    };
    if rest.is_empty() || rest.starts_with('/') {
        return Err(invalid("it names no host"));
    }
    if rest.len() > 1024 || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid("it is longer than 1024 bytes or has blanks in it"));
    }
    Ok(if rest.contains('/') { format!("{scheme}://{rest}") } else { format!("{scheme}://{rest}/") })
}

/// Whether a URL of [`url`] is encrypted.
pub(crate) fn is_secure(url: &str) -> bool {
    url.starts_with("wss://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_gets_the_one_in_use() {
        assert_eq!(url("game:3000", false).as_deref(), Ok("ws://game:3000/"));
        assert_eq!(url("game:3000", true).as_deref(), Ok("wss://game:3000/"));
        assert_eq!(url("wss://game/play", false).as_deref(), Ok("wss://game/play"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_way_out() {
        for text in ["", "http://game", "ws://", "a b", "ws:///x"] {
            let error = url(text, false).expect_err(text).to_string();
            assert!(error.contains("host:port"), "{error}");
        }
    }
}
