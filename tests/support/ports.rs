//! Ports for the nodes of a test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A port on loopback that nobody listens on, for TCP and UDP alike. It lies below those that the system gives to
/// outgoing connections, one of which could take it before the node does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..32_000);
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

/// Such a port with its address.
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
