//! Generated records of Kafka's own topics come back byte for byte, and hostile ones cost nothing.

use bytes::{Bytes, BytesMut};
use ottla::schema;
use ottla::schema::layout::MessageLayout;
use proptest::prelude::*;

use super::allocations::largest;
use super::generate::{Shape, generate};

/// The most that decoding a mutilated record may ask for at once.
const ALLOCATION_MAX: usize = 64 << 10;

/// A type of record.
pub(crate) struct Record {
    /// The name of its class in Java.
    pub(crate) name: &'static str,
    pub(crate) layout: MessageLayout,
    /// Reads all of the bytes in the first version, and what it then writes in the second.
    pub(crate) again: fn(Bytes, i16, i16) -> Result<Vec<u8>, String>,
}

macro_rules! records {
    ($($module:ident: $($name:ident),*;)*) => {
        pub(crate) const RECORDS: &[Record] = &[$($(Record {
            name: stringify!($name),
            layout: schema::$module::$name::LAYOUT,
            again: |mut bytes, read, write| {
                let record = schema::$module::$name::decode(&mut bytes, read).map_err(|e| e.to_string())?;
                if !bytes.is_empty() {
                    return Err(format!("{} bytes left", bytes.len()));
                }
                let mut buf = BytesMut::new();
                record.encode(&mut buf, write).map_err(|e| e.to_string())?;
                assert_eq!(buf.len(), record.encoded_size(write));
                Ok(buf.to_vec())
            },
        },)*)*];
    };
}

records! {
    metadata:
        RegisterBrokerRecord, UnregisterBrokerRecord, TopicRecord, PartitionRecord, ConfigRecord,
        PartitionChangeRecord, FenceBrokerRecord, UnfenceBrokerRecord, RemoveTopicRecord,
        DelegationTokenRecord, UserScramCredentialRecord, FeatureLevelRecord, ClientQuotaRecord,
        ProducerIdsRecord, BrokerRegistrationChangeRecord, AccessControlEntryRecord,
        RemoveAccessControlEntryRecord, NoOpRecord, ZkMigrationStateRecord,
        RemoveUserScramCredentialRecord, BeginTransactionRecord, EndTransactionRecord,
        AbortTransactionRecord, RemoveDelegationTokenRecord, RegisterControllerRecord, ClearElrRecord,
        UnregisterControllerRecord;
    groups:
        OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue,
        ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
        ConsumerGroupPartitionMetadataValue, ConsumerGroupMemberMetadataKey,
        ConsumerGroupMemberMetadataValue, ConsumerGroupTargetAssignmentMetadataKey,
        ConsumerGroupTargetAssignmentMetadataValue, ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupCurrentMemberAssignmentKey,
        ConsumerGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataKey,
        ShareGroupMemberMetadataValue, ShareGroupMetadataKey, ShareGroupMetadataValue,
        ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue,
        ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
        ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue,
        ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue,
        ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, StreamsGroupMetadataKey,
        StreamsGroupMetadataValue, StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue,
        StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue,
        StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue,
        StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue,
        StreamsGroupTopologyKey, StreamsGroupTopologyValue;
    transactions:
        TransactionLogKey, TransactionLogValue;
    share_state:
        ShareSnapshotKey, ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue;
    remote_log:
        RemoteLogSegmentMetadataRecord, RemoteLogSegmentMetadataUpdateRecord,
        RemotePartitionDeleteMetadataRecord, RemoteLogSegmentMetadataSnapshotRecord;
    quorum:
        QuorumStateData, LeaderChangeMessage, SnapshotHeaderRecord, SnapshotFooterRecord,
        KRaftVersionRecord, VotersRecord;
    consumer_protocol:
        ConsumerProtocolSubscription, ConsumerProtocolAssignment;
}

/// The layouts that tests walk are the declarations' own; a tag out of order would be written out of order.
#[test]
fn tagged_fields_are_declared_in_the_order_of_their_tags() {
    for record in RECORDS {
        let tags: Vec<u32> =
            record.layout.body.fields.iter().filter(|f| !f.tagged.is_empty()).map(|f| f.tag).collect();
        assert!(tags.is_sorted(), "{}", record.name);
    }
}

#[test]
fn every_record_comes_back() {
    for record in RECORDS {
        for version in record.layout.versions.min..=record.layout.versions.max {
            for shape in [Shape::Bare, Shape::Full, Shape::Mixed] {
                for n in 0..20 {
                    let bytes = generate(&record.layout, version, shape, n).bytes;
                    let again = (record.again)(Bytes::from(bytes.clone()), version, version);
                    assert_eq!(again, Ok(bytes), "{} v{version} {shape:?} #{n}", record.name);
                }
            }
        }
    }
}

#[test]
fn unknown_tagged_fields_are_dropped() {
    for record in RECORDS {
        let version = record.layout.versions.max;
        for n in 0..20 {
            let bytes = generate(&record.layout, version, Shape::Unknown, n).bytes;
            assert!((record.again)(Bytes::from(bytes), version, version).is_ok(), "{}", record.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn mutilated_records_never_panic_nor_cost_much(
        pick in any::<prop::sample::Index>(),
        n in any::<u64>(),
        at in any::<prop::sample::Index>(),
        how in 0u8..4,
        byte in any::<u8>(),
    ) {
        let record = &RECORDS[pick.index(RECORDS.len())];
        let version = record.layout.versions.max;
        let mut bytes = generate(&record.layout, version, Shape::Unknown, n).bytes;
        if bytes.is_empty() {
            return Ok(());
        }
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, byte),
            _ => {
                bytes.remove(at);
            }
        }
        let (most, _) = largest(|| (record.again)(Bytes::from(bytes), version, version));
        prop_assert!(most <= ALLOCATION_MAX, "{}: {most} bytes", record.name);
    }
}
