//! The client against servers that say exactly what a test tells them to.
#![cfg(feature = "client")]
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use roomraft::{
    client::{Client, ClientConfig, ClientError, Event, Events, JoinOptions},
    model::{RoomId, RoomType},
    protocol::{ErrorCode, ListRoomsInput},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

const DEADLINE: Duration = Duration::from_secs(20);

/// A server that a test plays by hand.
struct Scripted {
    listener: TcpListener,
    address: String,
}

impl Scripted {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        Self { listener, address }
    }

    async fn accept(&self) -> Connection {
        let (stream, _) = timeout(DEADLINE, self.listener.accept()).await.expect("in time").expect("a connection");
        Connection(accept_async(stream).await.expect("a handshake"))
    }
}

struct Connection(WebSocketStream<TcpStream>);

impl Connection {
    /// The next packet.
    async fn heard(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.0.next()).await.expect("in time").expect("open").expect("a message");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// The input of the next call, which must be this one, and its id.
    async fn called(&mut self, name: &str) -> (Value, Value) {
        let packet = self.heard().await;
        assert_eq!((&packet[0], &packet[2]), (&json!(0), &json!(name)));
        (packet[1].clone(), packet[3].clone())
    }

    async fn say(&mut self, packet: Value) {
        self.0.send(Message::text(packet.to_string())).await.expect("sent");
    }

    /// Answers one call and gives back its input.
    async fn answer(&mut self, name: &str, output: Value) -> Value {
        let (id, input) = self.called(name).await;
        self.say(json!([1, id, output])).await;
        input
    }

    async fn refuse(&mut self, name: &str, code: &str) {
        let (id, _) = self.called(name).await;
        self.say(json!([2, id, code, "as the test says"])).await;
    }

    async fn seat(&mut self, name: &str) -> Value {
        self.answer(name, json!({ "roomId": "arena-1", "playerId": "p1", "sessionToken": "token" })).await
    }
}

async fn client(addresses: &[&Scripted]) -> (Client, Events) {
    let config = ClientConfig {
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(20),
        ..ClientConfig::default()
    };
    let addresses: Vec<_> = addresses.iter().map(|server| server.address.clone()).collect();
    Client::connect(addresses, config).await.expect("connected")
}

/// A client and its connection at the first of these servers.
async fn connect(servers: &[&Scripted]) -> ((Client, Events), Connection) {
    tokio::join!(client(servers), servers[0].accept())
}

async fn event(events: &mut Events) -> Event {
    timeout(DEADLINE, events.next()).await.expect("in time").expect("an event")
}

fn arena() -> JoinOptions {
    JoinOptions::room_type(RoomType::new("arena").expect("a name"))
}

#[tokio::test]
async fn a_client_told_to_measure_offers_the_round_trips_of_the_servers_that_answer() {
    let (near, silent) = (Scripted::start().await, Scripted::start().await);
    let config = ClientConfig { measure_limit: Some(Duration::from_secs(1)), ..ClientConfig::default() };
    let addresses = [near.address.clone(), silent.address.clone()];
    let play = async {
        let mut connection = near.accept().await;
        let measured = async {
            let mut probe = near.accept().await;
            for _ in 0..3 {
                assert_eq!(probe.heard().await, json!([9]));
                probe.say(json!([9])).await;
            }
        };
        // The silent one takes the connection and says nothing.
        let (_silent, ()) = tokio::join!(silent.accept(), measured);
        connection.seat("JoinRoom").await
    };
    let joins = async {
        let (client, _events) = Client::connect(addresses, config).await.expect("connected");
        client.join(arena()).await.expect("a seat");
    };
    let (input, ()) = tokio::join!(play, joins);
    let offered = input["roundTrips"].as_object().expect("round trips");
    assert_eq!(offered.keys().collect::<Vec<_>>(), [&near.address], "{offered:?}");
    assert!(offered[&near.address].as_f64().is_some_and(|ms| ms >= 0.0));
}

#[tokio::test]
async fn a_join_follows_a_redirect_with_its_reservation_and_player_data() {
    let (first, second) = (Scripted::start().await, Scripted::start().await);
    let reservation = "0000000000000000000000000000002a";
    let play = async {
        let redirect = json!({ "redirect": second.address, "roomId": "arena-1", "reservation": reservation });
        let input = first.accept().await.answer("JoinRoom", redirect).await;
        assert_eq!((&input["roomType"], &input["playerData"]), (&json!("arena"), &json!({ "hat": 3 })));
        let mut connection = second.accept().await;
        let input = connection.seat("JoinRoom").await;
        let kept = json!({ "roomId": "arena-1", "reservation": reservation, "reservations": true,
            "playerData": { "hat": 3 } });
        assert_eq!(input, kept);
        connection.say(json!([3, "RoomMessage", { "type": "hello", "data": 5 }])).await;
        connection.0.send(Message::binary(vec![1, 2])).await.expect("sent");
        assert_eq!(connection.heard().await, json!([3, "RoomMessage", { "type": "move", "data": [1] }]));
    };
    let game = async {
        let (client, mut events) = client(&[&first]).await;
        assert_eq!(client.send("move", json!([1])).await, Err(ClientError::NotInRoom));
        let joined = client.join(arena().player_data(json!({ "hat": 3 }))).await.expect("joined");
        assert_eq!(joined.player_id.as_str(), "p1");
        assert_eq!(event(&mut events).await, Event::Redirected { address: second.address.clone() });
        let message = Event::Message { message_type: "hello".to_owned(), data: json!(5) };
        assert_eq!(event(&mut events).await, message);
        assert_eq!(event(&mut events).await, Event::Binary(vec![1, 2].into()));
        assert_eq!(client.join(arena()).await, Err(ClientError::AlreadyInRoom));
        client.send("move", json!([1])).await.expect("sent");
        client
    };
    tokio::join!(play, game);
}

#[tokio::test]
async fn servers_that_redirect_in_a_circle_end_in_an_error() {
    let server = Scripted::start().await;
    let play = async {
        for _ in 0..9 {
            let redirect = json!({ "redirect": server.address, "roomId": "arena-1" });
            server.accept().await.answer("JoinRoom", redirect).await;
        }
    };
    let game = async {
        let (client, _events) = client(&[&server]).await;
        client.join(arena()).await
    };
    let ((), joined) = tokio::join!(play, game);
    assert_eq!(joined, Err(ClientError::TooManyRedirects { hops_max: 8 }));
}

#[tokio::test]
async fn a_join_goes_elsewhere_while_a_server_is_unavailable_or_drops_the_connection() {
    let (first, second) = (Scripted::start().await, Scripted::start().await);
    let play = async {
        first.accept().await.refuse("JoinRoom", "UNAVAILABLE").await;
        second.accept().await.called("JoinRoom").await;
        let mut connection = first.accept().await;
        connection.seat("JoinRoom").await;
        connection
    };
    let game = async {
        let (client, events) = client(&[&first, &second]).await;
        (client.join(arena()).await.expect("joined"), client, events)
    };
    let (_connection, (joined, ..)) = tokio::join!(play, game);
    assert_eq!(joined.session_token, "token");
}

#[tokio::test]
async fn a_refusal_for_good_comes_back_at_once_and_leaves_the_client_usable() {
    let server = Scripted::start().await;
    let play = async {
        let mut connection = server.accept().await;
        connection.refuse("JoinRoom", "NOT_FOUND").await;
        connection.refuse("ListRooms", "UNAVAILABLE").await;
        connection.answer("ListRooms", json!({ "rooms": [] })).await;
        connection.answer("LeaveRoom", json!({ "success": true })).await;
    };
    let game = async {
        let (client, _events) = client(&[&server]).await;
        let error = client.join(JoinOptions::room_id(RoomId::new("arena-9").expect("a name"))).await;
        assert!(matches!(error, Err(ClientError::Refused { code: ErrorCode::NotFound, .. })), "{error:?}");
        assert_eq!(client.list_rooms(ListRoomsInput::default()).await, Ok(Vec::new()));
        client.leave().await.expect("left");
    };
    tokio::join!(play, game);
}

#[tokio::test]
async fn a_lost_seat_is_taken_again_by_token_at_another_server() {
    let (first, second, third) = (Scripted::start().await, Scripted::start().await, Scripted::start().await);
    let (second_address, third_address) = (second.address.clone(), third.address.clone());
    let ((client, mut events), mut connection) = connect(&[&first, &second]).await;
    let (joined, _) = tokio::join!(client.join(arena()), connection.seat("JoinRoom"));
    joined.expect("joined");
    drop((connection, first));
    assert_eq!(event(&mut events).await, Event::Disconnected);
    second.accept().await.refuse("ReconnectRoom", "UNAVAILABLE").await;
    let redirect = json!({ "redirect": third_address, "roomId": "arena-1" });
    second.accept().await.answer("ReconnectRoom", redirect).await;
    let mut connection = third.accept().await;
    assert_eq!(connection.seat("ReconnectRoom").await, json!({ "sessionToken": "token" }));
    assert_eq!(event(&mut events).await, Event::Redirected { address: third_address });
    assert_eq!(event(&mut events).await, Event::Reconnected);

    // The room moves back while the player is in it.
    let moved = json!({
        "address": second_address, "roomType": "arena", "roomId": "arena-1", "sessionToken": "token"
    });
    connection.say(json!([3, "$redirect", moved])).await;
    second.accept().await.seat("ReconnectRoom").await;
    assert_eq!(event(&mut events).await, Event::Redirected { address: second_address });
    assert_eq!(event(&mut events).await, Event::Reconnected);
}

#[tokio::test]
async fn a_session_that_is_over_closes_the_client_and_says_why() {
    let server = Scripted::start().await;
    let ((client, mut events), mut connection) = connect(&[&server]).await;
    let (joined, _) = tokio::join!(client.join(arena()), connection.seat("JoinRoom"));
    joined.expect("joined");
    drop(connection);
    server.accept().await.refuse("ReconnectRoom", "NOT_FOUND").await;
    assert_eq!(event(&mut events).await, Event::Disconnected);
    let closed = event(&mut events).await;
    assert!(
        matches!(closed, Event::Closed { reason: ClientError::Refused { code: ErrorCode::NotFound, .. } }),
        "{closed:?}"
    );
    assert_eq!(events.next().await, None);
    assert_eq!(client.leave().await, Err(ClientError::Closed));
}

#[tokio::test]
async fn a_token_that_was_accepted_is_shown_to_the_next_server() {
    let server = Scripted::start().await;
    let ((client, _events), mut connection) = connect(&[&server]).await;
    let accepted = json!({ "success": true, "user": { "name": "Ada" } });
    let (authenticated, _) = tokio::join!(client.authenticate("secret"), connection.answer("Authenticate", accepted));
    assert!(authenticated.expect("an answer").success);
    drop(connection);
    let input = server.accept().await.answer("Authenticate", json!({ "success": true })).await;
    assert_eq!(input, json!({ "token": "secret" }));
}

#[tokio::test]
async fn an_address_that_nobody_answers_is_given_up_at_the_deadline() {
    let gone = Scripted::start().await.address;
    let config = ClientConfig { join_deadline: Duration::from_millis(50), ..ClientConfig::default() };
    let error = Client::connect([gone], config).await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::DeadlinePassed { .. }), "{error:?}");
    let error = Client::connect([], ClientConfig::default()).await.expect_err("no address");
    assert_eq!(error, ClientError::NoAddresses);
}
