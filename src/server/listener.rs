//! Listening sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connection::{ConnectionSettings, serve};
use super::limits::ConnectionLimits;
use crate::api::{Broker, ConnectionInfo, ListenerInfo};
use crate::env::{Env, Listener};

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

/// The send buffer towards this machine itself, where a round trip takes some 20 us. A larger one is filled far ahead of
/// the reader, and both ends touch cold memory: with the megabytes that the system grows it to, hot fetches took twice
/// the processor time at half the rate. Not smaller: Linux doubles it, and takes more to send once a third is free, which
/// with one packet of 64 KiB under way must be the case. Else each packet waits until the reader's system acknowledges it
/// by itself, after 40 ms; 48 KiB halved the rate, and 32 KiB took it to nothing.
const LOOPBACK_SEND_BYTES: usize = 64 * 1024;
/// `socket.send.buffer.bytes` as it is by default.
const SEND_BYTES_DEFAULT: usize = 102_400;

/// One listener to open.
pub struct ListenerSettings {
    /// Who it is, for the requests that come through it.
    pub info: Arc<ListenerInfo>,
    /// Name or address to bind; empty for every address.
    pub host: String,
    /// Port to bind; 0 picks a free one.
    pub port: u16,
    /// `socket.send.buffer.bytes`.
    pub send_buffer_bytes: i32,
}

/// A listener that is bound and does not accept yet, so that a port that is taken is known before anything else starts.
pub struct Server {
    listener: Box<dyn Listener>,
    info: Arc<ListenerInfo>,
    send_buffer_bytes: i32,
}

impl Server {
    /// Binds the socket.
    pub async fn bind(env: &Env, settings: &ListenerSettings) -> io::Result<Server> {
        let listener = env.net.listen(&settings.host, settings.port).await?;
        let (info, send_buffer_bytes) = (Arc::clone(&settings.info), settings.send_buffer_bytes);
        Ok(Server { listener, info, send_buffer_bytes })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts connections until `stop` is cancelled; then the socket is closed.
    pub fn start(
        self,
        env: &Env,
        broker: Arc<Broker>,
        settings: Arc<ConnectionSettings>,
        limits: Arc<ConnectionLimits>,
        stop: CancellationToken,
    ) {
        let tasks = env.tasks.clone();
        env.tasks.spawn("listener", async move {
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    accepted = self.listener.accept() => accepted,
                };
                let admitted = accepted.and_then(|conn| {
                    let peer = conn.peer_addr()?;
                    if let Some(bytes) = send_buffer(self.send_buffer_bytes, peer.ip()) {
                        conn.set_send_buffer(bytes)?;
                    }
                    Ok((conn, peer, limits.admit(peer.ip())))
                });
                match admitted {
                    Ok((conn, peer, Some(permit))) => {
                        let info = Arc::new(ConnectionInfo::new(Arc::clone(&self.info), peer));
                        let (broker, settings) = (Arc::clone(&broker), Arc::clone(&settings));
                        tasks.spawn("connection", async move {
                            serve(conn, broker, info, settings).await;
                            drop(permit);
                        });
                    }
                    Ok((_conn, peer, None)) => {
                        tracing::debug!(%peer, "connection refused: too many connections");
                    }
                    Err(e) => {
                        tracing::warn!("cannot accept a connection on {}: {e}", self.info.name);
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                }
            }
        });
    }
}

/// The send buffer for a peer, from `socket.send.buffer.bytes`; `None` leaves it to the system. For peers elsewhere it is
/// left to it by default too: it follows the distance, which a fixed size cannot.
fn send_buffer(configured: i32, peer: IpAddr) -> Option<usize> {
    let configured = usize::try_from(configured).ok()?;
    if peer.to_canonical().is_loopback() {
        return Some(configured.min(LOOPBACK_SEND_BYTES));
    }
    (configured != SEND_BYTES_DEFAULT).then_some(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_buffers_are_small_towards_this_machine_and_follow_the_distance_elsewhere() {
        let near = ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"];
        let far = ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"];
        let all = |peers: &[&str], configured| -> Vec<Option<usize>> {
            peers.iter().map(|peer| send_buffer(configured, peer.parse().unwrap())).collect()
        };
        assert_eq!(all(&near, 102_400), [Some(65_536); 4]);
        assert_eq!(all(&near, 4096), [Some(4096); 4]);
        assert_eq!(all(&near, -1), [None; 4]);
        assert_eq!(all(&far, 102_400), [None; 3]);
        assert_eq!(all(&far, 1 << 20), [Some(1 << 20); 3]);
        assert_eq!(all(&far, -1), [None; 3]);
    }
}
