//! The fault that no server can play: an address at which nobody listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// An address that refuses every connection for as long as this lives: the port is taken, so that
/// nobody else comes to listen there.
#[derive(Debug)]
pub struct Shut {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl Shut {
    /// Takes a free port and does not listen.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }

    /// In the form of a server's: [`super::Server::url`].
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
