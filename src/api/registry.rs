//! THE list of what is served, and the way from a frame to its handler.
//!
//! ApiVersions, the table in the README and the per-API metrics read [`APIS`]. A key that is not in it is in
//! [`NOT_SERVED`] with the reason.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use super::access::{CreateAcls, DeleteAcls, DescribeAcls};
use super::cluster::{
    AddRaftVoter, AllocateProducerIds, AlterPartition, AlterReplicaLogDirs, ApiVersions, BrokerHeartbeat,
    BrokerRegistration, ControllerRegistration, DescribeCluster, DescribeLogDirs, DescribeQuorum, Envelope,
    FetchSnapshot, RaftAppendEntries, RaftSnapshot, RaftTransferLeader, RaftVote, RemoveRaftVoter,
    UnregisterBroker, UnregisterController, UpdateFeatures, UpdateRaftVoter,
};
use super::configs::{AlterConfigs, DescribeConfigs, IncrementalAlterConfigs, ListConfigResources};
use super::data::{
    DeleteRecords, DescribeProducers, Fetch, ListOffsets, OffsetForLeaderEpoch, Produce, ReplicaSynced,
};
use super::groups::{
    ConsumerGroupDescribe, ConsumerGroupHeartbeat, DeleteGroups, DescribeGroups, FindCoordinator, Heartbeat,
    JoinGroup, LeaveGroup, ListGroups, OffsetCommit, OffsetDelete, OffsetFetch, SyncGroup,
};
use super::request::{Broker, ConnectionInfo, ListenerInfo, RequestContext};
use super::share::{
    AlterShareGroupOffsets, DeleteShareGroupOffsets, DeleteShareGroupState, DescribeShareGroupOffsets,
    InitializeShareGroupState, ReadShareGroupState, ReadShareGroupStateSummary, ShareAcknowledge, ShareFetch,
    ShareGroupDescribe, ShareGroupHeartbeat, WriteShareGroupState,
};
use super::topics::{
    AlterPartitionReassignments, CreatePartitions, CreateTopics, DeleteTopics, DescribeTopicPartitions,
    ElectLeaders, ListPartitionReassignments, Metadata,
};
use super::transactions::{
    AddOffsetsToTxn, AddPartitionsToTxn, DescribeTransactions, EndTxn, InitProducerId, ListTransactions,
    TxnOffsetCommit, WriteTxnMarkers,
};
use super::{Answer, On, Served};
use crate::wire::guard;
use crate::wire::header::RequestHeader;

/// One API as the dispatcher sees it.
pub struct Entry {
    /// Kafka's number of it.
    pub key: i16,
    /// The versions that are served.
    pub versions: RangeInclusive<i16>,
    /// Where it is served.
    pub on: On,
    is_served_by: fn(&Broker) -> bool,
    begin: fn(RequestContext, Bytes) -> Answer,
}

impl Entry {
    /// True if `broker` serves the API on `listener`.
    pub(super) fn is_served(&self, broker: &Broker, listener: &ListenerInfo) -> bool {
        let for_brokers = *listener.name == *broker.config.inter_broker_listener_name;
        listener.serves(self.on) && (self.on != On::InterBroker || for_brokers) && (self.is_served_by)(broker)
    }
}

const fn entry<A: Served>() -> Entry {
    Entry { key: A::KEY, versions: A::VERSIONS, on: A::ON, is_served_by: A::is_served_by, begin: A::begin }
}

/// Everything that is served, in the order of the keys.
pub static APIS: &[Entry] = &[
    entry::<Produce>(),
    entry::<Fetch>(),
    entry::<ListOffsets>(),
    entry::<Metadata>(),
    entry::<OffsetCommit>(),
    entry::<OffsetFetch>(),
    entry::<FindCoordinator>(),
    entry::<JoinGroup>(),
    entry::<Heartbeat>(),
    entry::<LeaveGroup>(),
    entry::<SyncGroup>(),
    entry::<DescribeGroups>(),
    entry::<ListGroups>(),
    entry::<ApiVersions>(),
    entry::<CreateTopics>(),
    entry::<DeleteTopics>(),
    entry::<DeleteRecords>(),
    entry::<InitProducerId>(),
    entry::<OffsetForLeaderEpoch>(),
    entry::<AddPartitionsToTxn>(),
    entry::<AddOffsetsToTxn>(),
    entry::<EndTxn>(),
    entry::<WriteTxnMarkers>(),
    entry::<TxnOffsetCommit>(),
    entry::<DescribeAcls>(),
    entry::<CreateAcls>(),
    entry::<DeleteAcls>(),
    entry::<DescribeConfigs>(),
    entry::<AlterConfigs>(),
    entry::<AlterReplicaLogDirs>(),
    entry::<DescribeLogDirs>(),
    entry::<CreatePartitions>(),
    entry::<DeleteGroups>(),
    entry::<ElectLeaders>(),
    entry::<IncrementalAlterConfigs>(),
    entry::<AlterPartitionReassignments>(),
    entry::<ListPartitionReassignments>(),
    entry::<OffsetDelete>(),
    entry::<DescribeQuorum>(),
    entry::<AlterPartition>(),
    entry::<UpdateFeatures>(),
    entry::<Envelope>(),
    entry::<FetchSnapshot>(),
    entry::<DescribeCluster>(),
    entry::<DescribeProducers>(),
    entry::<BrokerRegistration>(),
    entry::<BrokerHeartbeat>(),
    entry::<UnregisterBroker>(),
    entry::<DescribeTransactions>(),
    entry::<ListTransactions>(),
    entry::<AllocateProducerIds>(),
    entry::<ConsumerGroupHeartbeat>(),
    entry::<ConsumerGroupDescribe>(),
    entry::<ControllerRegistration>(),
    entry::<ListConfigResources>(),
    entry::<DescribeTopicPartitions>(),
    entry::<ShareGroupHeartbeat>(),
    entry::<ShareGroupDescribe>(),
    entry::<ShareFetch>(),
    entry::<ShareAcknowledge>(),
    entry::<AddRaftVoter>(),
    entry::<RemoveRaftVoter>(),
    entry::<UpdateRaftVoter>(),
    entry::<InitializeShareGroupState>(),
    entry::<ReadShareGroupState>(),
    entry::<WriteShareGroupState>(),
    entry::<DeleteShareGroupState>(),
    entry::<ReadShareGroupStateSummary>(),
    entry::<DescribeShareGroupOffsets>(),
    entry::<AlterShareGroupOffsets>(),
    entry::<DeleteShareGroupOffsets>(),
    entry::<UnregisterController>(),
];

/// Calls of ours between the nodes of a cluster, in the order of their keys. They are in no ApiVersions.
pub static PRIVATE: &[Entry] = &[
    entry::<RaftVote>(),
    entry::<RaftAppendEntries>(),
    entry::<RaftSnapshot>(),
    entry::<RaftTransferLeader>(),
    entry::<ReplicaSynced>(),
];

/// Every other API of Kafka, and why it is not served.
pub static NOT_SERVED: &[(&[i16], &str)] = &[
    (&[17, 36], "authentication is not served yet: SaslHandshake, SaslAuthenticate"),
    (&[38, 39, 40, 41], "delegation tokens are not served yet"),
    (&[48, 49], "client quotas are not served yet"),
    (&[50, 51], "SCRAM credentials are not served yet, except at formatting"),
    (&[52, 53, 54], "controllers speak Raft among themselves, not KRaft's calls"),
    (&[73], "replicas do not move between log directories yet"),
    (&[71, 72], "client metrics are not collected yet"),
    (&[88, 89, 93], "streams groups are not served yet"),
];

/// The entry of an API key, if it is served.
pub fn find(key: i16) -> Option<&'static Entry> {
    APIS.binary_search_by_key(&key, |entry| entry.key).ok().map(|at| &APIS[at])
}

/// The entry of one of our own calls.
pub fn find_private(key: i16) -> Option<&'static Entry> {
    PRIVATE.iter().find(|entry| entry.key == key)
}

/// True if the request may begin while produces of its connection wait for their answers: it is a produce too.
pub fn may_overlap(frame: &[u8]) -> bool {
    frame.first_chunk() == Some(&Produce::KEY.to_be_bytes())
}

/// Begins the request in `frame`, which is whole and without its length.
pub fn begin(broker: &Arc<Broker>, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Answer {
    let mut body = frame;
    let header = match RequestHeader::decode(&mut body) {
        Ok(header) => header,
        Err(e) => return Answer::Close(format!("the request's header cannot be read: {e}")),
    };
    let (key, version) = (header.api.key, header.version);
    let served =
        find(key).or_else(|| find_private(key)).filter(|entry| entry.is_served(broker, &connection.listener));
    let Some(entry) = served else {
        return Answer::Close(format!("{} is not served on {}", header.api.name, connection.listener.name));
    };
    let cx = RequestContext::new(Arc::clone(broker), Arc::clone(connection), header);
    if !entry.versions.contains(&version) {
        if key == ApiVersions::KEY {
            return ApiVersions::unsupported_version(cx);
        }
        return Answer::Close(format!("version {version} of API {key} is not served"));
    }
    if let Err(e) = guard::check(key, version, &body, &broker.guard_limits) {
        return Answer::Close(format!("API {key} version {version}: {e}"));
    }
    (entry.begin)(cx, body)
}

/// Logs that a connection was ended for what came through it; at most a few lines a second, since whoever sends
/// nonsense can send much of it.
pub fn log_refusal(broker: &Broker, connection: &ConnectionInfo, why: &str) {
    if broker.refusals.allow() {
        tracing::warn!(peer = %connection.peer, listener = %connection.listener.name, "connection closed: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_is_served_or_says_why_not() {
        for api in crate::wire::versions::APIS.iter().filter(|api| !api.versions.is_empty()) {
            let refused = NOT_SERVED.iter().filter(|(keys, _)| keys.contains(&api.key)).count();
            let places = refused + usize::from(find(api.key).is_some());
            assert_eq!(places, 1, "{} ({}) is in {places} places", api.name, api.key);
        }
    }

    #[test]
    fn apis_are_in_the_order_of_their_keys() {
        assert!(APIS.is_sorted_by_key(|entry| entry.key));
        assert!(APIS.windows(2).all(|pair| pair[0].key != pair[1].key));
    }

    #[test]
    fn our_own_calls_are_served_where_their_callers_come_and_nowhere_else() {
        let declared = crate::wire::versions::PRIVATE_APIS;
        assert!(declared.iter().map(|api| api.key).eq(PRIVATE.iter().map(|entry| entry.key)));
        for entry in PRIVATE {
            assert!(find(entry.key).is_none(), "{} is one of Kafka's", entry.key);
            // Those of controllers come first, then those of brokers; none is on a listener that is for clients alone.
            let on = if entry.key < ReplicaSynced::KEY { On::Controller } else { On::InterBroker };
            assert_eq!(entry.on, on, "{}", entry.key);
        }
        assert!(APIS.iter().all(|entry| entry.on != On::InterBroker), "what is for brokers alone is private");
    }
}
