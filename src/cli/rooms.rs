//! `roomraft rooms`: the rooms of the cluster, oldest first.

use clap::Args;

use super::{Failure, output, query::Query};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    query: Query,
    /// Only rooms of this type
    #[arg(long = "type", value_name = "NAME")]
    room_type: Option<String>,
    /// Only rooms on this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// At most so many [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Leave out the first so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let answer = arguments.query.ask(&path(arguments))?;
    if arguments.query.json {
        output::json(&answer);
        return Ok(());
    }
    let fields = ["roomId", "roomType", "state", "serverId", "playerCount", "maxPlayers", "isLocked", "epoch"];
    let header = ["room", "type", "state", "server", "players", "seats", "locked", "epoch"];
    output::table(&header, output::rows(&answer["rooms"], &fields));
    Ok(())
}

fn path(arguments: &Arguments) -> String {
    let names = [("type", &arguments.room_type), ("server", &arguments.server)];
    let names = names.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", encoded(value.as_deref()?))));
    let limit = arguments.limit.map(|limit| format!("limit={limit}"));
    let offset = format!("offset={}", arguments.offset);
    format!("/rooms?{}", names.chain(limit).chain([offset]).collect::<Vec<_>>().join("&"))
}

/// Text as it may stand in a URL's query.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_signs_survives_the_url() {
        assert_eq!(super::encoded("a&b c/ü"), "a%26b%20c%2F%C3%BC");
    }
}
