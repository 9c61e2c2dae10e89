//! What the group coordinator is asked, and what it answers: the requests' content without their wire form.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::MemberId;
use super::consumer::Subscription;
use super::modern::{Partitions, TopicIdPartition};
use super::share::{ShareGroup, Topics};
use super::state::GroupId;
use crate::coordinator::shard::Producer;
use crate::types::{ErrorCode, LeaderEpoch, Ms, Offset, PartitionIndex, TopicId, TopicName};

/// A request to a shard. All groups named in it belong to the shard's partition.
#[derive(Clone, Debug)]
pub enum Command {
    /// JoinGroup.
    Join(Join),
    /// SyncGroup.
    Sync(Sync),
    /// Heartbeat.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(Leave),
    /// ConsumerGroupHeartbeat.
    ConsumerHeartbeat(Box<ConsumerHeartbeat>),
    /// ConsumerGroupDescribe.
    ConsumerDescribe(Vec<GroupId>),
    /// OffsetCommit.
    Commit(OffsetCommit),
    /// OffsetFetch, one group.
    Fetch(OffsetFetch),
    /// OffsetDelete.
    DeleteOffsets(OffsetDelete),
    /// ListGroups.
    List(ListGroups),
    /// DescribeGroups.
    Describe(Vec<GroupId>),
    /// DeleteGroups.
    Delete(Vec<GroupId>),
    /// ShareGroupHeartbeat.
    ShareHeartbeat(ShareHeartbeat),
    /// ShareGroupDescribe.
    ShareDescribe(Vec<GroupId>),
    /// Share coordinators keep positions for these partitions now.
    ShareInitialized(GroupId, Vec<(TopicId, PartitionIndex)>),
    /// For which partitions a share group has positions.
    SharePositions(GroupId),
    /// AlterShareGroupOffsets: positions are about to be begun anew.
    ShareAlter(GroupId, Topics),
    /// DeleteShareGroupOffsets: positions are about to be deleted.
    ShareForget(GroupId, Vec<TopicId>),
    /// And now they are.
    ShareForgotten(GroupId, Vec<TopicId>),
}

/// The answer to a [`Command`], of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Command::Join`].
    Join(Joined),
    /// To [`Command::Sync`].
    Sync(Synced),
    /// To [`Command::Heartbeat`].
    Heartbeat(ErrorCode),
    /// To [`Command::Leave`], one per member asked for.
    Leave(Vec<Left>),
    /// To [`Command::ConsumerHeartbeat`].
    ConsumerHeartbeat(Result<Beaten, Refusal>),
    /// To [`Command::ConsumerDescribe`], in the order asked.
    ConsumerDescribe(Vec<(GroupId, Result<DescribedConsumerGroup, Refusal>)>),
    /// To [`Command::Commit`].
    Commit(Result<Vec<TopicErrors>, ErrorCode>),
    /// To [`Command::Fetch`].
    Fetch(Result<Vec<FetchedTopic>, ErrorCode>),
    /// To [`Command::DeleteOffsets`].
    DeleteOffsets(Result<Vec<TopicErrors>, ErrorCode>),
    /// To [`Command::List`].
    List(Vec<ListedGroup>),
    /// To [`Command::Describe`], in the order asked.
    Describe(Vec<DescribedGroup>),
    /// To [`Command::Delete`], in the order asked.
    Delete(Vec<(GroupId, ErrorCode)>),
    /// To [`Command::ShareHeartbeat`].
    ShareHeartbeat(Result<ShareBeat, (ErrorCode, String)>),
    /// To [`Command::ShareDescribe`], in the order asked.
    ShareDescribe(Vec<(GroupId, Option<Box<ShareGroup>>)>),
    /// To [`Command::ShareInitialized`] and [`Command::ShareForgotten`].
    ShareDone,
    /// To [`Command::SharePositions`] and [`Command::ShareForget`].
    SharePositions(Result<Topics, ErrorCode>),
    /// To [`Command::ShareAlter`]: the epoch of the positions.
    ShareAlter(Result<i32, ErrorCode>),
}

/// ShareGroupHeartbeat.
#[derive(Clone, Debug)]
pub struct ShareHeartbeat {
    /// The group.
    pub group: GroupId,
    /// The member, which chose its id itself.
    pub member: MemberId,
    /// Its epoch; 0 to join, -1 to leave.
    pub member_epoch: i32,
    /// Where it is; none if that has not changed.
    pub rack_id: Option<Arc<str>>,
    /// The topics it wants; none if they have not changed.
    pub names: Option<Vec<TopicName>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Its address, as `/127.0.0.1`.
    pub client_host: Arc<str>,
}

/// What a member of a share group is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareBeat {
    /// Its epoch from now on.
    pub member_epoch: i32,
    /// How soon to come again.
    pub heartbeat_interval_ms: Ms,
    /// What to read; none if that has not changed.
    pub assignment: Option<Partitions>,
    /// The epoch of positions that are begun now.
    pub state_epoch: i32,
    /// Partitions for which positions are to be begun.
    pub initialize: Vec<(TopicId, PartitionIndex)>,
}

/// A protocol that a member can follow, with its metadata for it; in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name, such as `range`.
    pub name: Arc<str>,
    /// What the leader needs to know of the member, for instance its topics.
    pub metadata: Bytes,
}

/// JoinGroup.
#[derive(Clone, Debug)]
pub struct Join {
    /// The group.
    pub group: GroupId,
    /// The member; empty for one that has no id yet.
    pub member: MemberId,
    /// The static member's name (KIP-345).
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it is, as `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// How long a rebalance waits for it; version 0 has the session timeout here.
    pub rebalance_timeout_ms: i32,
    /// What the protocols are about.
    pub protocol_type: Arc<str>,
    /// What it can follow.
    pub protocols: Vec<Protocol>,
    /// True if a new member must come back with the id it is given first (KIP-394, version 4 and up).
    pub requires_known_member_id: bool,
    /// True if the client understands `skip_assignment` (KIP-814, version 9 and up).
    pub can_skip_assignment: bool,
}

/// The answer to JoinGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// `None` is success.
    pub error: ErrorCode,
    /// The generation joined; -1 with an error.
    pub generation: i32,
    /// What the protocols are about.
    pub protocol_type: Option<Arc<str>>,
    /// The one chosen.
    pub protocol: Option<Arc<str>>,
    /// Who assigns; empty with an error.
    pub leader: MemberId,
    /// True if the leader need not assign: the assignment stands (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member: MemberId,
    /// All members with their metadata, for the leader only.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedMember {
    /// Its id.
    pub id: MemberId,
    /// Its name, if it is static.
    pub instance_id: Option<Arc<str>>,
    /// Its metadata for the protocol chosen.
    pub metadata: Bytes,
}

impl Joined {
    /// The answer that says `error` to `member`.
    pub fn error(error: ErrorCode, member: MemberId) -> Joined {
        Joined {
            error,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member,
            members: Vec::new(),
        }
    }
}

/// SyncGroup.
#[derive(Clone, Debug)]
pub struct Sync {
    /// The group.
    pub group: GroupId,
    /// The generation.
    pub generation: i32,
    /// The member.
    pub member: MemberId,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// What the member takes the protocol type to be (version 5 and up).
    pub protocol_type: Option<Arc<str>>,
    /// What it takes the protocol to be.
    pub protocol: Option<Arc<str>>,
    /// From the leader: what each member gets.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// The answer to SyncGroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Synced {
    /// `None` is success.
    pub error: ErrorCode,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The group's protocol.
    pub protocol: Option<Arc<str>>,
    /// What the member got.
    pub assignment: Bytes,
}

impl Synced {
    /// The answer that says `error`.
    pub fn error(error: ErrorCode) -> Synced {
        Synced { error, protocol_type: None, protocol: None, assignment: Bytes::new() }
    }
}

/// Heartbeat.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The group.
    pub group: GroupId,
    /// The generation.
    pub generation: i32,
    /// The member.
    pub member: MemberId,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
}

/// ConsumerGroupHeartbeat (KIP-848). What is `None` has not changed since the member said it.
#[derive(Clone, Debug, Default)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: GroupId,
    /// The member; empty for one of version 0 that has no id yet.
    pub member: MemberId,
    /// Its epoch: 0 to join, -1 to leave, -2 to leave for a while as a static member.
    pub epoch: i32,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// Where it runs.
    pub rack_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it is, as `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long it may take to give up partitions; -1 has not changed.
    pub rebalance_timeout_ms: i32,
    /// Topics it subscribes to.
    pub names: Option<Vec<TopicName>>,
    /// The expression it subscribes to; empty for none.
    pub regex: Option<Arc<str>>,
    /// The assignor it would like.
    pub assignor: Option<Arc<str>>,
    /// The partitions it has.
    pub owned: Option<Vec<TopicIdPartition>>,
    /// True if the client has to make its id (version 1 and up, KIP-1082).
    pub is_member_id_required: bool,
}

/// The answer to ConsumerGroupHeartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Beaten {
    /// The member.
    pub member: MemberId,
    /// Its epoch now.
    pub epoch: i32,
    /// When the next heartbeat is expected.
    pub heartbeat_interval_ms: Ms,
    /// What it is to read, if that is new to it.
    pub assignment: Option<Partitions>,
}

/// An error with what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error.
    pub error: ErrorCode,
    /// Why.
    pub message: Option<Box<str>>,
}

impl Refusal {
    /// `error`, because of `why`.
    pub fn new(error: ErrorCode, why: impl Into<Box<str>>) -> Refusal {
        Refusal { error, message: Some(why.into()) }
    }
}

/// A consumer group in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedConsumerGroup {
    /// Its state.
    pub state: &'static str,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of its target assignment.
    pub target_epoch: i32,
    /// The assignor it uses.
    pub assignor: &'static str,
    /// Who is in it.
    pub members: Vec<DescribedConsumer>,
}

/// A member of a consumer group in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedConsumer {
    /// Its id.
    pub id: MemberId,
    /// Who it is and what it wants.
    pub subscription: Subscription,
    /// Its epoch.
    pub epoch: i32,
    /// What it has.
    pub assigned: Partitions,
    /// What it is to have in the end.
    pub target: Partitions,
}

/// LeaveGroup.
#[derive(Clone, Debug)]
pub struct Leave {
    /// The group.
    pub group: GroupId,
    /// Who leaves; an administrator names static members by their instance id and leaves the id empty.
    pub members: Vec<(MemberId, Option<Arc<str>>)>,
}

/// What became of one member of a LeaveGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// As asked.
    pub member: MemberId,
    /// As asked.
    pub instance_id: Option<Arc<str>>,
    /// `None` is success.
    pub error: ErrorCode,
}

/// OffsetCommit or TxnOffsetCommit. The topics exist.
#[derive(Clone, Debug)]
pub struct OffsetCommit {
    /// The producer in whose transaction it is done, if in one: the offsets count once that commits (KIP-98).
    pub producer: Option<Producer>,
    /// The group.
    pub group: GroupId,
    /// The generation; -1 from who is not a member.
    pub generation: i32,
    /// The member; empty from who is not one.
    pub member: MemberId,
    /// The static member's name.
    pub instance_id: Option<Arc<str>>,
    /// How long the offsets are to be kept (versions 2 to 4); -1 leaves it to the broker.
    pub retention_ms: Ms,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
    /// True if the client knows of member epochs (version 9 and up, KIP-848): a member of a consumer group has to. A group
    /// that is not there is GROUP_ID_NOT_FOUND then, else ILLEGAL_GENERATION. False in transactions, which have no such rule.
    pub knows_member_epochs: bool,
}

impl OffsetCommit {
    /// True for a TxnOffsetCommit.
    pub fn is_transactional(&self) -> bool {
        self.producer.is_some()
    }

    /// True for a TxnOffsetCommit that does not say for which member it is done, as producers of before KIP-447 have it.
    pub fn is_of_unnamed_member(&self) -> bool {
        let names_nobody = self.generation < 0 && self.member.is_empty() && self.instance_id.is_none();
        self.is_transactional() && names_nobody
    }
}

/// A topic of an OffsetCommit.
#[derive(Clone, Debug)]
pub struct CommitTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id; nil if the client used names.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// A partition of an OffsetCommit.
#[derive(Clone, Debug)]
pub struct CommitPartition {
    /// Its number.
    pub index: PartitionIndex,
    /// The offset of the next record to read.
    pub offset: Offset,
    /// Leader epoch of the last record read; -1 if unknown.
    pub leader_epoch: LeaderEpoch,
    /// The client's note.
    pub metadata: Arc<str>,
}

/// One error per partition of a topic, as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicErrors {
    /// The topic's name.
    pub name: TopicName,
    /// The topic's id; nil if the client used names.
    pub id: TopicId,
    /// What became of each partition.
    pub partitions: Vec<(PartitionIndex, ErrorCode)>,
}

/// OffsetFetch of one group.
#[derive(Clone, Debug)]
pub struct OffsetFetch {
    /// The group.
    pub group: GroupId,
    /// The member of a consumer group that asks (version 9 and up).
    pub member: Option<MemberId>,
    /// Its epoch; -1 from who is not a member.
    pub member_epoch: i32,
    /// What is asked for; `None` is everything.
    pub topics: Option<Vec<FetchTopic>>,
    /// True if an offset that a transaction may yet replace is an error (KIP-447).
    pub require_stable: bool,
}

/// A topic of an OffsetFetch.
#[derive(Clone, Debug)]
pub struct FetchTopic {
    /// Its name.
    pub name: TopicName,
    /// Its id; nil if the client used names.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// A topic of the answer to OffsetFetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: TopicName,
    /// As asked; when everything was asked for, as committed.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// A partition of the answer to OffsetFetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedPartition {
    /// Its number.
    pub index: PartitionIndex,
    /// What was committed; -1 if nothing.
    pub offset: Offset,
    /// The leader epoch committed with it, or -1.
    pub leader_epoch: LeaderEpoch,
    /// The note committed with it.
    pub metadata: Arc<str>,
    /// `None` is success.
    pub error: ErrorCode,
}

/// OffsetDelete. The topics exist.
#[derive(Clone, Debug)]
pub struct OffsetDelete {
    /// The group.
    pub group: GroupId,
    /// What is to be forgotten.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// ListGroups: empty filters let everything pass; case does not matter.
#[derive(Clone, Debug, Default)]
pub struct ListGroups {
    /// Names of states.
    pub states: Vec<String>,
    /// Names of types.
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub id: GroupId,
    /// What its protocols are about; empty if it has none.
    pub protocol_type: Arc<str>,
    /// Its state.
    pub state: &'static str,
    /// `Classic`, `Consumer`, `Share` or `Streams`.
    pub kind: &'static str,
}

/// A group in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup {
    /// Its name.
    pub id: GroupId,
    /// `GroupIdNotFound` if there is no such classic group; versions below 6 say `Dead` instead.
    pub error: ErrorCode,
    /// Why.
    pub error_message: Option<String>,
    /// Its state.
    pub state: &'static str,
    /// What its protocols are about; empty if it has none.
    pub protocol_type: Arc<str>,
    /// The protocol in force; empty unless the group is stable.
    pub protocol: Arc<str>,
    /// Who is in it.
    pub members: Vec<DescribedMember>,
}

/// A member in detail.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedMember {
    /// Its id.
    pub id: MemberId,
    /// Its name, if it is static.
    pub instance_id: Option<Arc<str>>,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// Where it is.
    pub client_host: Arc<str>,
    /// Its metadata for the protocol in force; empty unless the group is stable.
    pub metadata: Bytes,
    /// What it got.
    pub assignment: Bytes,
}
