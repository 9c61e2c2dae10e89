//! The machine's TCP.
#![allow(clippy::disallowed_types)] // This is the place the bans point to.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
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
            hurry_if_local(&stream, stream.peer_addr()?);
            Ok(Box::new(OsConn(stream)) as Box<dyn Conn>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) },
        )
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes the pacing from a connection within this machine, where there is no network to be careful with. BBR, the default
/// of some systems, measures and paces also there: hot fetches waited for its timers, had two thirds of the rate that they
/// have without, and took more processor time. Reno is always there and allowed; a refusal changes nothing but the speed.
fn hurry_if_local(stream: &TcpStream, peer: SocketAddr) {
    if peer.ip().to_canonical().is_loopback()
        && let Err(e) = rustix::net::sockopt::set_tcp_congestion(stream, "reno")
    {
        tracing::debug!(%peer, "cannot choose the congestion control: {e}");
    }
}

impl Listener for OsListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            hurry_if_local(&stream, peer);
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
        // A read that does not fill the buffer has emptied the socket: reporting `WouldBlock` to tokio as well makes it
        // wait for the next arrival, and spares a system call that would only say so.
        let mut last = 0;
        let result = self.0.try_io(Interest::READABLE, || {
            let (read, _) = rustix::net::recv(&self.0, &mut *buf, RecvFlags::empty())?;
            if read > 0 && read < buf.len() {
                last = read;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(read)
        });
        match result {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && last > 0 => Ok(last),
            result => result,
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(cx)
    }

    fn try_write(&self, parts: &[IoSlice<'_>], more_follows: bool) -> io::Result<usize> {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more_follows);
        self.0.try_io(Interest::WRITABLE, || {
            let mut ancillary = SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(&self.0, parts, &mut ancillary, flags)?)
        })
    }

    fn try_send_file(&self, file: BorrowedFd<'_>, mut offset: u64, len: usize) -> io::Result<usize> {
        self.0.try_io(Interest::WRITABLE, || Ok(rustix::fs::sendfile(&self.0, file, Some(&mut offset), len)?))
    }

    fn set_send_buffer(&self, bytes: usize) -> io::Result<()> {
        socket2::SockRef::from(&self.0).set_send_buffer_size(bytes)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
