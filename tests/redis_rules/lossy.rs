//! A way to Redis on which replies are lost: the script has run, and its caller does not know.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Of so many replies to scripts one is lost, on average.
const LOST_ONE_IN: u32 = 10;

/// Listens on a port of its own until it is dropped.
pub struct LossyWay {
    pub url: String,
    listening: JoinHandle<()>,
}

impl Drop for LossyWay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl LossyWay {
    pub async fn to(redis_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(pass_on(client, redis_port));
            }
        });
        Self { url, listening }
    }
}

/// Carries one connection until either side ends it, or a reply is to be lost.
async fn pass_on(client: TcpStream, redis_port: u16) {
    let Ok(redis) = TcpStream::connect((Ipv4Addr::LOCALHOST, redis_port)).await else { return };
    client.set_nodelay(true).unwrap();
    redis.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_redis, mut to_redis) = redis.into_split();
    let mut runs_scripts = false;
    loop {
        let carried = tokio::select! {
            sent = read(&mut from_client) => {
                runs_scripts |= sent.windows(7).any(|word| word == b"EVALSHA");
                write(&mut to_redis, sent).await
            }
            replied = read(&mut from_redis) => {
                let lost = runs_scripts && rand::random_ratio(1, LOST_ONE_IN);
                !lost && write(&mut to_client, replied).await
            }
        };
        if !carried {
            return;
        }
    }
}

/// What has come; nothing where the side has ended. Cancel-safe.
async fn read(side: &mut OwnedReadHalf) -> Vec<u8> {
    let mut buffer = vec![0; 64 * 1024];
    let length = side.read(&mut buffer).await.unwrap_or(0);
    buffer.truncate(length);
    buffer
}

/// Whether there was something, and it could be written.
async fn write(side: &mut OwnedWriteHalf, bytes: Vec<u8>) -> bool {
    !bytes.is_empty() && side.write_all(&bytes).await.is_ok()
}
