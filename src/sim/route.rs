//! A client of a cluster: it asks one node who leads what, and has a connection to each node that it needs.
//!
//! It is as simple as a client can be: whatever fails, its owner drops it, waits and begins anew at another node,
//! with what that one knows. On a single node it is one connection.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::client::Client;
use super::model::Slot;
use super::net::SimNet;
use crate::schema::api::FindCoordinatorRequest;
use crate::schema::api::MetadataRequest;
use crate::schema::api::metadata_request::MetadataRequestTopic;
use crate::schema::api::metadata_response::MetadataResponse;
use crate::types::{LeaderEpoch, NodeId};

const METADATA_VERSION: i16 = 12;
const FIND_COORDINATOR_VERSION: i16 = 3;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a node is reached.
pub type Place = (String, u16);

/// Who leads a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leader {
    /// The node, -1 for nobody.
    pub node: NodeId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// How many replicas are in sync.
    pub in_sync: usize,
}

/// Connections to a cluster.
pub struct Routed {
    net: SimNet,
    patience: Duration,
    first: Place,
    nodes: BTreeMap<NodeId, Place>,
    leaders: BTreeMap<Slot, Leader>,
    clients: BTreeMap<Place, Client>,
}

impl Routed {
    /// Connects to one node; answers may take `patience`.
    pub async fn connect(net: &SimNet, first: Place, patience: Duration) -> io::Result<Routed> {
        let mut routed = Routed {
            net: net.clone(),
            patience,
            first: first.clone(),
            nodes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            clients: BTreeMap::new(),
        };
        routed.at(first).await?;
        Ok(routed)
    }

    /// The connection to a place.
    pub async fn at(&mut self, place: Place) -> io::Result<&mut Client> {
        if !self.clients.contains_key(&place) {
            let connecting = Client::connect_to(&self.net, &place.0, place.1);
            let client = timeout(CONNECT, connecting).await??.with_patience(self.patience);
            self.clients.insert(place.clone(), client);
        }
        self.clients.get_mut(&place).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The node that was connected to first.
    pub async fn any(&mut self) -> io::Result<&mut Client> {
        self.at(self.first.clone()).await
    }

    /// Asks what is known of topics, given with their numbers.
    pub async fn ask(
        &mut self,
        topics: Vec<(u32, MetadataRequestTopic)>,
        make: bool,
    ) -> io::Result<MetadataResponse> {
        let (numbers, named): (Vec<u32>, Vec<_>) = topics.into_iter().unzip();
        let request =
            MetadataRequest::default().with_topics(Some(named)).with_allow_auto_topic_creation(make);
        let answer = self.any().await?.call(METADATA_VERSION, &request).await?;
        for broker in &answer.brokers {
            let port = u16::try_from(broker.port).map_err(|_| io::ErrorKind::InvalidData)?;
            self.nodes.insert(broker.node_id.0, (broker.host.to_string(), port));
        }
        for (number, topic) in numbers.into_iter().zip(&answer.topics) {
            for partition in &topic.partitions {
                let leader = Leader {
                    node: partition.leader_id.0,
                    epoch: partition.leader_epoch,
                    in_sync: partition.isr_nodes.len(),
                };
                self.leaders.insert((number, partition.partition_index), leader);
            }
        }
        Ok(answer)
    }

    /// Who leads a partition, as far as is known.
    pub fn leader_of(&self, slot: Slot) -> Option<Leader> {
        self.leaders.get(&slot).copied().filter(|leader| leader.node >= 0)
    }

    /// Where the leader of a partition is.
    pub fn place_of(&self, slot: Slot) -> io::Result<Place> {
        let leader = self.leader_of(slot).ok_or(io::ErrorKind::NotConnected)?;
        self.nodes.get(&leader.node).cloned().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The connection to the leader of a partition.
    pub async fn leader(&mut self, slot: Slot) -> io::Result<&mut Client> {
        let place = self.place_of(slot)?;
        self.at(place).await
    }

    /// The connection to the coordinator of a group.
    pub async fn coordinator(&mut self, key: kafka_protocol::protocol::StrBytes) -> io::Result<&mut Client> {
        let request = FindCoordinatorRequest::default().with_key(key);
        let found = self.any().await?.call(FIND_COORDINATOR_VERSION, &request).await?;
        if found.error_code != 0 {
            return Err(io::Error::other("there is no coordinator"));
        }
        let port = u16::try_from(found.port).map_err(|_| io::ErrorKind::InvalidData)?;
        self.at((found.host.to_string(), port)).await
    }
}
