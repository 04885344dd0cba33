//! Ports for the nodes of a test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]
#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixListener},
    },
    sync::Mutex,
};

/// What keeps a port for this process until it ends: a name that the system gives to one only.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port on loopback that nobody listens on, for TCP and UDP alike, and that no other call gets while this process
/// lives, here or in another test. It lies below those that the system gives to outgoing connections, one of which
/// could take it before the node does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        let address = (Ipv4Addr::LOCALHOST, port);
        let name = UnixAddress::from_abstract_name(format!("roomraft-test-port-{port}")).expect("a short name");
        let Ok(reserved) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            RESERVED.lock().expect("nobody panics with it").push(reserved);
            return port;
        }
    }
}

/// Such a port with its address.
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
