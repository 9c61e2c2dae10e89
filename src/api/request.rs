//! What a handler knows of a request besides its content.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;

use super::On;
use super::producer_ids::ProducerIdStock;
use super::rate_limit::RateLimit;
use super::signs_of_life::SignOfLife;
use super::transactions::TxnVerifier;
use crate::client::ToBrokers;
use crate::config::{BrokerConfig, Layers};
use crate::controller::{ActiveController, Asker};
use crate::coordinator::group::shard::GroupShard;
use crate::coordinator::runtime::Coordinator;
use crate::coordinator::share::ShareShard;
use crate::coordinator::txn::TxnShard;
use crate::env::{Clock, Tasks};
use crate::metadata::MetadataImage;
use crate::quorum::Quorum;
use crate::replica::{FetchWaiter, ReplicaManager, ShardedSessions};
use crate::share_partition::SharePartitions;
use crate::types::NodeId;
use crate::wire::guard;
use crate::wire::header::RequestHeader;

/// A listener, as far as the requests that come through it must know.
pub struct ListenerInfo {
    /// Its name, such as `PLAINTEXT`.
    pub name: Arc<str>,
    /// Kafka's number of its security protocol.
    pub security_protocol: i16,
    /// True if it is one of `controller.listener.names`.
    pub is_controller: bool,
    /// Who a client is that comes through it without authenticating itself.
    pub principal: Arc<str>,
}

impl ListenerInfo {
    /// True if an API that is served `on` may be served here. Which of a broker's listeners is for other brokers, its
    /// configuration says.
    pub fn serves(&self, on: On) -> bool {
        match on {
            On::Both => true,
            On::Broker | On::InterBroker => !self.is_controller,
            On::Controller => self.is_controller,
        }
    }
}

/// One connection, as far as its requests must know.
pub struct ConnectionInfo {
    /// What it came in through.
    pub listener: Arc<ListenerInfo>,
    /// The client's address.
    pub peer: SocketAddr,
    /// What the connection's fetches wait with.
    pub fetch_waiter: Arc<FetchWaiter>,
    /// Name and version of the client's software, once it told them (KIP-511).
    pub software: Mutex<Option<(StrBytes, StrBytes)>>,
    /// Who is known to live as long as the connection is open.
    pub sign_of_life: OnceLock<SignOfLife>,
    /// True once members of share groups have fetched through it.
    pub has_share_sessions: AtomicBool,
    /// True once a request met no active controller here.
    met_no_controller: AtomicBool,
    /// True once it was told what may be old.
    told_old: AtomicBool,
}

impl ConnectionInfo {
    /// A connection that has just come in.
    pub fn new(listener: Arc<ListenerInfo>, peer: SocketAddr) -> ConnectionInfo {
        ConnectionInfo {
            listener,
            peer,
            fetch_waiter: FetchWaiter::new(),
            software: Mutex::default(),
            sign_of_life: OnceLock::new(),
            has_share_sessions: AtomicBool::new(false),
            met_no_controller: AtomicBool::new(false),
            told_old: AtomicBool::new(false),
        }
    }

    /// What takes the connection's place for one request that a broker has passed on: `principal` sent it, from `address`.
    pub(super) fn of_forwarded(&self, principal: Arc<str>, address: IpAddr) -> ConnectionInfo {
        let listener = ListenerInfo {
            name: Arc::clone(&self.listener.name),
            security_protocol: self.listener.security_protocol,
            is_controller: self.listener.is_controller,
            principal,
        };
        ConnectionInfo::new(Arc::new(listener), SocketAddr::new(address, 0))
    }

    /// A request met no active controller here. Whoever passed it on is told to look elsewhere.
    pub(super) fn meets_no_controller(&self) {
        self.met_no_controller.store(true, Ordering::Relaxed);
    }

    /// See [`ConnectionInfo::meets_no_controller`].
    pub(super) fn met_no_controller(&self) -> bool {
        self.met_no_controller.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionInfo {
    fn drop(&mut self) {
        self.fetch_waiter.retire();
    }
}

/// What handlers work with: the broker, seen from its requests.
pub struct Broker {
    /// The cluster's id.
    pub cluster_id: Arc<str>,
    /// The broker's settings, as its file has them.
    pub config: Arc<BrokerConfig>,
    /// The broker's settings in layers, dynamic ones included.
    pub layers: Arc<ArcSwap<Layers>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Runs what may block.
    pub tasks: Tasks,
    /// The cluster as this broker knows it.
    pub metadata: Arc<ArcSwap<MetadataImage>>,
    /// The active controller, wherever it is.
    pub controller: ActiveController,
    /// The metadata quorum.
    pub quorum: Quorum,
    /// Partitions of this broker.
    pub replicas: Arc<ReplicaManager>,
    /// Groups that this broker coordinates.
    pub groups: Arc<Coordinator<GroupShard>>,
    /// Transactional ids that this broker coordinates.
    pub transactions: Arc<Coordinator<TxnShard>>,
    /// The way to other brokers.
    pub brokers: ToBrokers,
    /// Asks the coordinators of transactions on behalf of producers.
    pub txn_verifier: TxnVerifier,
    /// States of share groups that this broker coordinates.
    pub share_states: Arc<Coordinator<ShareShard>>,
    /// Share groups at the partitions that this broker leads.
    pub share: Arc<SharePartitions>,
    /// Incremental fetch sessions.
    pub fetch_sessions: ShardedSessions,
    /// Producer ids in stock.
    pub producer_ids: ProducerIdStock,
    /// What one request may cost to decode.
    pub guard_limits: guard::Limits,
    /// How often the log says that a client was refused.
    pub refusals: RateLimit,
}

impl Broker {
    /// The cluster as it is known now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.metadata.load_full()
    }

    /// A broker that clients can be sent to: this one if it is up, or any other.
    pub fn some_broker(&self, image: &MetadataImage) -> NodeId {
        if image.is_active(self.config.node_id) {
            return self.config.node_id;
        }
        image.brokers().unfenced().next().map_or(-1, |broker| broker.id)
    }
}

/// A request's surroundings.
#[derive(Clone)]
pub struct RequestContext {
    /// The broker that serves it.
    pub broker: Arc<Broker>,
    /// The connection it came through.
    pub connection: Arc<ConnectionInfo>,
    /// Kafka's number of the API.
    pub api_key: i16,
    /// The version of the message.
    pub version: i16,
    /// Ties the answer to the request.
    pub correlation_id: i32,
    /// What the client calls itself. Points into the request's memory: copy it before keeping it.
    pub client_id: StrBytes,
}

impl RequestContext {
    /// For answers to who leads what: true if this broker may be cut off from the others, so that what it says may be old, and
    /// the connection was told so before. A client that is connected here and asks again and again would never hear
    /// of the next leader; once its connection ends, it asks another broker. Who asks once gets what is known here.
    pub(super) fn may_be_old_again(&self) -> bool {
        let may_be_old = self.broker.replicas.lease().check().is_err();
        may_be_old && self.connection.told_old.swap(true, Ordering::Relaxed)
    }

    /// The surroundings of the request that `header` begins.
    pub fn new(
        broker: Arc<Broker>,
        connection: Arc<ConnectionInfo>,
        header: RequestHeader,
    ) -> RequestContext {
        RequestContext {
            broker,
            connection,
            api_key: header.api.key,
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.unwrap_or_default(),
        }
    }

    /// On whose behalf it is asked.
    pub fn asker(&self) -> Asker {
        Asker {
            principal: Arc::clone(&self.connection.listener.principal),
            address: self.connection.peer.ip(),
        }
    }
}
