//! A network between nodes that can be cut: each node is dialled through a proxy of its own.
//!
//! A node sends from the socket that it listens on, so a proxy knows who a datagram comes from.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::SocketAddr,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{net::UdpSocket, task::JoinSet};

/// Larger than any datagram.
const DATAGRAM_MAX: usize = 65_536;

/// The proxies of some nodes. They end when this is dropped.
pub struct Network {
    /// Those that no other node hears, by the addresses that they listen on.
    cut_off: Arc<Mutex<BTreeSet<SocketAddr>>>,
    proxies: JoinSet<()>,
}

impl Network {
    /// A proxy for each of these addresses; gives those of the proxies, in the same order.
    pub async fn start(nodes: &[SocketAddr]) -> (Self, Vec<SocketAddr>) {
        let mut network = Self { cut_off: Arc::default(), proxies: JoinSet::new() };
        let mut addresses = Vec::new();
        for node in nodes {
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
            addresses.push(socket.local_addr().expect("an address"));
            let proxy = Proxy { node: *node, socket: Arc::new(socket), cut_off: Arc::clone(&network.cut_off) };
            network.proxies.spawn(proxy.run());
        }
        (network, addresses)
    }

    /// Lets nothing through any more between this node and all others.
    pub fn cut_off(&self, node: &str) {
        self.cut_off.lock().insert(node.parse().expect("an address"));
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.cut_off.lock().clear();
    }
}

#[derive(Clone)]
struct Proxy {
    node: SocketAddr,
    socket: Arc<UdpSocket>,
    cut_off: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Proxy {
    async fn run(self) {
        // For each sender a socket of its own, so that the node's answers find back to it.
        let mut senders: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut answers = JoinSet::new();
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            let Ok((length, sender)) = self.socket.recv_from(&mut buffer).await else { continue };
            if !self.passes(sender) {
                continue;
            }
            if !senders.contains_key(&sender)
                && let Ok(forward) = self.dial().await
            {
                answers.spawn(self.clone().answer(Arc::clone(&forward), sender));
                senders.insert(sender, forward);
            }
            let Some(forward) = senders.get(&sender) else { continue };
            // A datagram may be lost: that is what they are.
            let _ = forward.send(&buffer[..length]).await;
        }
    }

    async fn dial(&self) -> io::Result<Arc<UdpSocket>> {
        let forward = UdpSocket::bind("127.0.0.1:0").await?;
        forward.connect(self.node).await?;
        Ok(Arc::new(forward))
    }

    async fn answer(self, forward: Arc<UdpSocket>, sender: SocketAddr) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            // A node that is not there answers with an error.
            let Ok(length) = forward.recv(&mut buffer).await else { continue };
            if self.passes(sender) {
                let _ = self.socket.send_to(&buffer[..length], sender).await;
            }
        }
    }

    fn passes(&self, sender: SocketAddr) -> bool {
        let cut_off = self.cut_off.lock();
        !cut_off.contains(&sender) && !cut_off.contains(&self.node)
    }
}
