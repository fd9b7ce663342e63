//! Where browsers connect: the port, how many connections there may be, and how long a silent
//! one is kept.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::{Error, PORT, Result};

/// Ports tried after the usual one.
const PORTS_AFTER: u16 = 20;
/// Connections at once; whoever comes beyond is turned away.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a connection may say nothing. Sockets answer a ping every 15 s.
const SILENT: Duration = Duration::from_secs(50);

/// Listens where it was asked to, or on the usual port of this machine or the next free one.
///
/// # Errors
/// Where the port is taken or the address cannot be listened on.
pub async fn bind(asked: Option<SocketAddr>) -> Result<TcpListener> {
    if let Some(at) = asked {
        return TcpListener::bind(at).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => Error::Taken { at },
            _ => Error::Listen { at, source },
        });
    }
    let last = PORT + PORTS_AFTER;
    for port in PORT..=last {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match TcpListener::bind(at).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(Error::Listen { at, source }),
        }
    }
    Err(Error::AllTaken { from: PORT, to: last })
}

/// A listener with bounds.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let (stream, from) = Listener::accept(&mut self.listener).await;
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { continue };
            // Frames are small and wanted at once; without it they are merely later.
            let _ = stream.set_nodelay(true);
            let silent = Box::pin(sleep(SILENT));
            return (Connection { stream, silent, _place: place }, from);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when it is silent for too long.
pub(super) struct Connection {
    stream: TcpStream,
    silent: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                self.silent.as_mut().reset(Instant::now() + SILENT);
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.silent.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
