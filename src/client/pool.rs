//! Connections by the place that they lead to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::CallError;
use super::backoff::Backoff;
use super::conn::{Connection, ConnectionSettings};
use crate::env::{Env, Net, Tasks};
use crate::types::Rng;

/// The first wait before connecting again.
const RECONNECT_FIRST: Duration = Duration::from_millis(20);
/// The longest.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// How long one attempt to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Places that are remembered; beyond, those without a connection are forgotten.
const PEERS_MAX: usize = 1024;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Name or address.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// What the connection is for. A node answers the calls of one connection in turn, so what must not wait behind
    /// something slow goes by another lane.
    pub lane: &'static str,
}

/// The connections of one node to others, one for each [`Peer`]. Clones share them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    net: Arc<dyn Net>,
    tasks: Tasks,
    settings: ConnectionSettings,
    rng: Mutex<Rng>,
    slots: Mutex<BTreeMap<Peer, Arc<Slot>>>,
}

struct Slot {
    /// Held while a connection is made, so that callers who come together share it.
    link: tokio::sync::Mutex<Link>,
}

struct Link {
    connection: Option<Connection>,
    backoff: Backoff,
    /// Not to be tried before.
    next_attempt: Instant,
    last_failure: String,
}

impl Pool {
    /// A pool without connections.
    pub fn new(env: &Env, settings: ConnectionSettings) -> Pool {
        let shared = Shared {
            net: Arc::clone(&env.net),
            tasks: env.tasks.clone(),
            settings,
            rng: Mutex::new(env.seeds.rng()),
            slots: Mutex::default(),
        };
        Pool { shared: Arc::new(shared) }
    }

    /// Sends `request` to `peer` in `version` and waits for the answer, until `deadline`; connects first where there is
    /// no connection.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. A peer that cannot be reached is tried again only after a wait; calls whose deadline lies
    /// before its end fail at once.
    pub async fn call<R: Request>(
        &self,
        peer: &Peer,
        version: i16,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Response, CallError> {
        self.call_by(peer, version, request, deadline, deadline).await
    }

    /// The same with a time of its own for connecting, for those who have somebody else to ask.
    ///
    /// # Errors
    ///
    /// As [`Pool::call`].
    pub async fn call_by<R: Request>(
        &self,
        peer: &Peer,
        version: i16,
        request: &R,
        connected_by: Instant,
        deadline: Instant,
    ) -> Result<R::Response, CallError> {
        let connection = match timeout_at(connected_by, self.connection(peer, connected_by)).await {
            Ok(connection) => connection?,
            Err(_) => return Err(CallError::Unreachable("it takes too long".to_owned())),
        };
        connection.call(version, request, deadline).await
    }

    /// Closes the connections to `host`:`port` and forgets that it could not be reached, because something is known to
    /// have changed there.
    pub fn forget(&self, host: &str, port: u16) {
        self.shared.slots.lock().retain(|peer, _| !(*peer.host == *host && peer.port == port));
    }

    fn slot(&self, peer: &Peer) -> Arc<Slot> {
        let mut slots = self.shared.slots.lock();
        if slots.len() >= PEERS_MAX && !slots.contains_key(peer) {
            slots.retain(|_, slot| {
                slot.link
                    .try_lock()
                    .is_ok_and(|link| link.connection.as_ref().is_some_and(|c| !c.is_closed()))
            });
        }
        let slot = slots.entry(peer.clone()).or_insert_with(|| {
            let link = Link {
                connection: None,
                backoff: Backoff::new(RECONNECT_FIRST, RECONNECT_MAX),
                next_attempt: Instant::now(),
                last_failure: String::new(),
            };
            Arc::new(Slot { link: tokio::sync::Mutex::new(link) })
        });
        Arc::clone(slot)
    }

    async fn connection(&self, peer: &Peer, deadline: Instant) -> Result<Connection, CallError> {
        let slot = self.slot(peer);
        let mut link = slot.link.lock().await;
        if let Some(connection) = &link.connection {
            if !connection.is_closed() {
                return Ok(connection.clone());
            }
            // It was good once; if it is lost over and over, the waits below hold that up.
            link.connection = None;
        }
        if link.next_attempt > deadline {
            return Err(CallError::Unreachable(link.last_failure.clone()));
        }
        sleep_until(link.next_attempt).await;
        // What follows an attempt that is given up is another one, but not at once.
        link.next_attempt = Instant::now() + link.backoff.next(&mut self.shared.rng.lock());
        let attempt_ends = deadline.min(Instant::now() + CONNECT_MAX);
        let why = match timeout_at(attempt_ends, self.shared.net.connect(&peer.host, peer.port)).await {
            Ok(Ok(conn)) => {
                let connection = Connection::new(conn, &self.shared.tasks, self.shared.settings.clone());
                link.connection = Some(connection.clone());
                link.backoff.reset();
                return Ok(connection);
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => "no connection in time".to_owned(),
        };
        link.last_failure = format!("{}:{}: {why}", peer.host, peer.port);
        Err(CallError::Unreachable(link.last_failure.clone()))
    }
}
