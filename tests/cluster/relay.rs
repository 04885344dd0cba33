//! Players of the room type `arena`, a relay, and what they find when they come back.

use serde_json::{Value, json};

use crate::support::{
    player::{Place, Player},
    process::Node,
    wait::until,
};

/// A player in a room, with `{number}` as the room's state.
pub(crate) async fn seated(node: &Node, number: usize) -> (Player, Place) {
    let (mut player, place) = Player::join(&node.gateway, "arena").await.expect("a seat");
    player.say("$set", json!({ "key": "number", "value": number })).await.expect("a connection");
    while player.heard("$state").await.expect("an acknowledged write")["number"] != number {}
    (player, place)
}

/// Waits until a snapshot has what was written before this call: one may be on its way that does not, so it waits for
/// the second.
pub(crate) async fn saved(node: &Node, (player, place): &mut (Player, Place)) {
    let before = until("a first snapshot", || version(node, &place.room_id)).await;
    for stir in 0.. {
        // A room is saved when it has changed.
        player.say("$set", json!({ "key": "stir", "value": stir })).await.expect("a connection");
        player.heard("$state").await.expect("an acknowledged write");
        if version(node, &place.room_id).await.expect("a snapshot") >= before + 2 {
            return;
        }
    }
}

/// The version of a room's snapshot.
async fn version(node: &Node, room_id: &str) -> Result<u64, String> {
    let rooms = node.rooms().await?;
    let room = rooms.iter().find(|room| room["roomId"] == room_id);
    room.and_then(|room| room["snapshotVersion"].as_u64()).ok_or_else(|| format!("no snapshot of {room_id}"))
}

/// Comes back to a room through any server, following its redirect; gives the connection and what it was answered.
pub(crate) async fn comes_back(gateway: &str, place: &Place) -> Player {
    until("the room, from any server", || async {
        let (player, answer) = reconnected(gateway, place).await?;
        if answer["playerId"] == place.player_id.as_str() { Ok(player) } else { Err(answer.to_string()) }
    })
    .await
}

async fn reconnected(gateway: &str, place: &Place) -> Result<(Player, Value), String> {
    let input = json!({ "sessionToken": place.session_token });
    let mut player = Player::connect(gateway).await.map_err(|error| format!("{error:?}"))?;
    let mut answer = player.call("ReconnectRoom", input.clone()).await.map_err(|error| format!("{error:?}"))?;
    if let Some(address) = answer["redirect"].as_str() {
        player = Player::connect(address).await.map_err(|error| format!("{error:?}"))?;
        answer = player.call("ReconnectRoom", input).await.map_err(|error| format!("{error:?}"))?;
    }
    Ok((player, answer))
}
