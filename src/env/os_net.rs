//! The machine's TCP.
#![allow(clippy::disallowed_types)] // This is the place the bans point to.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};

use rustix::net::sockopt::{set_tcp_congestion, tcp_congestion};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::net::{BoxFuture, Conn, Listener, Net};

/// How many connections may wait to be accepted; the kernel's own limit (`somaxconn`) caps it.
const BACKLOG: u32 = 4096;
/// The congestion control within the machine.
const UNPACED: &str = "reno";

pub(super) struct OsNet;

struct OsListener {
    listener: TcpListener,
    /// The congestion control that connections from elsewhere get; `None` if it is theirs already.
    usual: Option<String>,
}

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
                    Ok(listener) => return Ok(Box::new(listener) as Box<dyn Listener>),
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

    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) },
        )
    }
}

fn bind(address: SocketAddr) -> io::Result<OsListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let usual = begin_unpaced(&socket).ok();
    Ok(OsListener { listener: socket.listen(BACKLOG)?, usual })
}

/// Lets the connections that will be accepted begin without pacing, and gives back what the system paces connections with.
///
/// Within the machine there is no network to be careful with, and BBR, the default of some systems, measures and paces
/// there as well: hot fetches waited for its timers, had two thirds of the rate that they have without, and took half as
/// much processor time again. A connection that began with it is paced for ever, so that it is too late to choose when it
/// is accepted. Reno is always there and allowed; a refusal changes nothing but the speed.
fn begin_unpaced(socket: &TcpSocket) -> io::Result<String> {
    let usual = tcp_congestion(socket)?;
    set_tcp_congestion(socket, UNPACED)?;
    Ok(usual)
}

impl Listener for OsListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Box<dyn Conn>>> {
        Box::pin(async move {
            let (stream, peer) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            if let Some(usual) = &self.usual
                && !peer.ip().to_canonical().is_loopback()
                && let Err(e) = set_tcp_congestion(&stream, usual)
            {
                tracing::debug!(%peer, "the congestion control stays {UNPACED}: {e}");
            }
            socket2::SockRef::from(&stream).set_keepalive(true)?;
            Ok(Box::new(OsConn(stream)) as Box<dyn Conn>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_within_the_machine_are_not_paced() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.listener.accept().await.unwrap();
        if listener.usual.is_some() {
            assert_eq!(tcp_congestion(&accepted).unwrap(), UNPACED);
        }
    }
}
