//! Calls to etcd by its native client, for the benchmarks.
//!
//! ```text
//! etcd_driver puts ENDPOINT,… CALLERS SECONDS BYTES    how many puts a second, and how long each takes
//! etcd_driver leader ENDPOINT,…                        the place of the leader's endpoint, once all agree
//! etcd_driver first-put ENDPOINT,…                     how long until each endpoint accepts a put
//! ```
//! Each prints one line of JSON; `first-put` prints a line when it is connected, and begins at a line on its input.

mod first_put;
mod leader;
mod puts;

use etcd_client::Client;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["puts", endpoints, callers, seconds, bytes] => {
            let clients = connect(endpoints).await?;
            println!("{}", puts::run(&clients, callers.parse()?, seconds.parse()?, bytes.parse()?).await?);
        }
        ["leader", endpoints] => println!("{}", leader::find(&mut connect(endpoints).await?).await?),
        ["first-put", endpoints] => first_put::run(connect(endpoints).await?).await?,
        _ => return Err("usage: etcd_driver puts | leader | first-put ENDPOINT,… [CALLERS SECONDS BYTES]".into()),
    }
    Ok(())
}

/// One client for each endpoint, so that none of them turns to another server by itself.
async fn connect(endpoints: &str) -> Outcome<Vec<Client>> {
    let mut clients = Vec::new();
    for endpoint in endpoints.split(',') {
        clients.push(Client::connect([endpoint], None).await?);
    }
    Ok(clients)
}
