//! The machine's TCP.
#![allow(clippy::disallowed_types)] // This is the place the bans point to.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::net::{BoxFuture, Conn, Listener, Net};

/// How many connections may wait to be accepted; the kernel's own limit (`somaxconn`) caps it.
const BACKLOG: u32 = 4096;

pub(super) struct OsNet;

struct OsListener(TcpListener);

struct OsConn(TcpStream);

impl Net for OsNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            // Every address of this machine: one IPv6 socket takes IPv4 as well; without IPv6, IPv4 alone.
            let addresses: Vec<SocketAddr> = if host.is_empty() {
                vec![
                    (std::net::Ipv6Addr::UNSPECIFIED, port).into(),
                    (std::net::Ipv4Addr::UNSPECIFIED, port).into(),
                ]
            } else {
                tokio::net::lookup_host((host, port)).await?.collect()
            };
            let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in addresses {
                match bind(address) {
                    Ok(listener) => return Ok(Box::new(OsListener(listener)) as Box<dyn Listener>),
                    Err(e) if e.kind() == io::ErrorKind::AddrInUse => return Err(e),
                    Err(e) => failure = e,
                }
            }
            Err(failure)
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(OsConn(stream)) as Box<dyn Conn>)
        })
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listener for OsListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let (stream, _peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            socket2::SockRef::from(&stream).set_keepalive(true)?;
            Ok(Box::new(OsConn(stream)) as Box<dyn Conn>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Conn for OsConn {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn try_send_file(&self, file: BorrowedFd<'_>, mut offset: u64, len: usize) -> io::Result<usize> {
        self.0.try_io(Interest::WRITABLE, || Ok(rustix::fs::sendfile(&self.0, file, Some(&mut offset), len)?))
    }

    fn hold_back(&self, more_follows: bool) -> io::Result<()> {
        socket2::SockRef::from(&self.0).set_tcp_cork(more_follows)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
