//! Reads from a real `redis-server`, by callers in a process of their own.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    bench::{
        self,
        child::{self, Child},
    },
    callers::{self, Slice},
    redis_server::{self, RedisServer},
};

/// The server, and the process of its callers.
pub struct RedisReads {
    callers: Child,
    _server: RedisServer,
}

impl RedisReads {
    /// Starts a server that holds a room's record, as one value and by its fields; none where there is no
    /// `redis-server`, which is said.
    pub fn start(record: &Value) -> Option<Self> {
        if !redis_server::is_installed() {
            eprintln!("Redis takes no part: install redis-server");
            return None;
        }
        let server = RedisServer::start(&[]);
        server.cli(&["SET", "value", &record.to_string()]);
        for (name, value) in record.as_object().expect("a room's record has fields") {
            server.cli(&["HSET", "fields", name, &value.to_string()]);
        }
        let callers = Child::start(&json!({ "redis": server.url() }));
        Some(Self { callers, _server: server })
    }

    /// Has so many callers send a command for so long.
    pub fn run(&mut self, command: &str, callers: usize, seconds: usize) -> Value {
        self.callers.ask(json!({ "command": command, "callers": callers, "seconds": seconds }))
    }
}

/// The callers: serves until the parent is gone.
pub fn serve(role: &Value) {
    let runtime = bench::runtime();
    let client = redis::Client::open(role["redis"].as_str().expect("an address")).expect("an address");
    let connection = runtime.block_on(client.get_multiplexed_async_connection()).expect("a connection");
    child::serve(|command| {
        let order: Value = serde_json::from_str(command).expect("the parent writes JSON");
        let number = |key: &str| order[key].as_u64().expect("a number");
        let callers = usize::try_from(number("callers")).expect("a small number");
        let name = order["command"].as_str().expect("a command");
        if callers == 1 {
            let client = client.clone();
            return json!(alone(&client, name, number("seconds")));
        }
        json!(runtime.block_on(run(&connection, name, callers, number("seconds"))))
    });
}

/// One caller on a blocking connection of its own: the quickest way for one, which nobody has to wake.
fn alone(client: &redis::Client, command: &str, seconds: u64) -> Slice {
    let mut connection = client.get_connection().expect("a connection");
    let command = read_command(command);
    let length = Duration::from_secs(seconds);
    let until = Instant::now() + length;
    let mut times = Vec::new();
    loop {
        let began = Instant::now();
        if began >= until {
            return callers::slice(times, length);
        }
        let answer: redis::Value = command.query(&mut connection).expect("an answer");
        black_box(answer);
        times.push(began.elapsed());
    }
}

/// Many callers on one connection, whose commands travel together.
async fn run(connection: &redis::aio::MultiplexedConnection, command: &str, callers: usize, seconds: u64) -> Slice {
    let (connection, command) = (connection.clone(), read_command(command));
    let read = move |_| {
        let (mut connection, command) = (connection.clone(), command.clone());
        async move {
            let answer: redis::Value = command.query_async(&mut connection).await.expect("an answer");
            black_box(answer);
        }
    };
    callers::run(callers, seconds, read).await
}

fn read_command(command: &str) -> redis::Cmd {
    let key = if command == "GET" { "value" } else { "fields" };
    redis::cmd(command).arg(key).to_owned()
}
