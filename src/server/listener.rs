//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connection::{ConnectionSettings, serve};
use super::limits::ConnectionLimits;
use crate::api::{Broker, ConnectionInfo, ListenerInfo, connection_ended};
use crate::env::{Env, Listener};

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(20);

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
        let (tasks, net) = (env.tasks.clone(), Arc::clone(&env.net));
        env.tasks.spawn("listener", async move {
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    accepted = self.listener.accept() => accepted,
                };
                let admitted = accepted.and_then(|conn| {
                    let peer = conn.peer_addr()?;
                    if let Some(bytes) = send_buffer(self.send_buffer_bytes) {
                        conn.set_send_buffer(bytes)?;
                    }
                    Ok((conn, peer, limits.admit(peer.ip())))
                });
                match admitted {
                    Ok((conn, peer, Some(permit))) => {
                        let info = Arc::new(ConnectionInfo::new(Arc::clone(&self.info), peer));
                        let (broker, settings) = (Arc::clone(&broker), Arc::clone(&settings));
                        let net = Arc::clone(&net);
                        tasks.spawn("connection", async move {
                            serve(conn, Arc::clone(&broker), Arc::clone(&info), settings).await;
                            drop(permit);
                            connection_ended(&broker, &net, &info);
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

/// The send buffer, from `socket.send.buffer.bytes`; `None` leaves it to the system, as the default does too: there it
/// follows the distance, which a fixed size cannot, and hot fetches are fastest with it.
fn send_buffer(configured: i32) -> Option<usize> {
    usize::try_from(configured).ok().filter(|&bytes| bytes != SEND_BYTES_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_buffers_are_the_systems_unless_they_are_configured() {
        assert_eq!([102_400, -1].map(send_buffer), [None; 2]);
        assert_eq!([4096, 1 << 20].map(send_buffer), [Some(4096), Some(1 << 20)]);
    }
}
