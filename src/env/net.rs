//! Sockets.
//!
//! A connection is readiness-based, as the operating system's are: wait until it may be read or written, then try. So
//! one task can wait for both directions, and a buffer exists only while there is something to put into it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A network.
pub trait Net: Send + Sync {
    /// Listens on `host`:`port`. An empty host means every address of this machine; port 0 picks a free one.
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
    /// Connects to `host`:`port`.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Conn>>>;
    /// The addresses of a name.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// A socket that takes in connections.
pub trait Listener: Send + Sync {
    /// The next connection.
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Conn>>>;
    /// Where it listens.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection.
pub trait Conn: Send + Sync {
    /// Ready once [`Conn::try_read`] may bring something.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Reads what is there, at most `buf.len()` bytes. 0 once the peer has closed; `WouldBlock` if nothing is there.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;
    /// Ready once [`Conn::try_write`] may take something.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Writes what fits, in order. `WouldBlock` if nothing fits. `more_follows` tells the kernel that it may wait for the
    /// next write before it sends a packet that is not full.
    fn try_write(&self, parts: &[IoSlice<'_>], more_follows: bool) -> io::Result<usize>;
    /// Sends up to `len` bytes of `file` from `offset` without bringing them into the process. `Unsupported` where the
    /// connection can't (TLS, the simulator): then read and write.
    fn try_send_file(&self, file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<usize>;
    /// Bounds what the system holds of what was written and has not arrived, in bytes; the system rounds as it likes.
    /// Without effect where there is no such bound.
    fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        let _: usize = bytes;
        Ok(())
    }
    /// The other end.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
    /// This end.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}
