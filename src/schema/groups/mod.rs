//! The records of `__consumer_offsets`, as Apache Kafka 4.4 declares them.
//!
//! A key begins with an int16, the record's type; a value begins with an int16, the value's version. A null
//! value is a tombstone.
//!
//! Types that are not known here are kept apart as [`GroupRecord::Unknown`] with their bytes: a log that a
//! newer Kafka has written must load, and what is not understood must survive a rewrite. A *known* type
//! whose bytes cannot be read is an error for the caller to weigh.

mod classic;
mod consumer;
mod share;
mod streams;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

pub use classic::*;
pub use consumer::*;
pub use share::*;
pub use streams::*;

use super::codec::{DecodeError, EncodeError};

/// The type that old versions of Kafka gave committed offsets; it means the same as type 1.
const LEGACY_OFFSET_COMMIT: i16 = 0;

macro_rules! group_records {
    ($($key:literal => $variant:ident($key_ty:ident, $value_ty:ident);)*) => {
        /// A record of `__consumer_offsets`: its key, and its value or a tombstone.
        #[derive(Clone, Debug, PartialEq)]
        pub enum GroupRecord {
            $(#[doc = concat!("Type ", stringify!($key), ".")] $variant($key_ty, Option<$value_ty>),)*
            /// A type that this version does not know, with all its bytes.
            Unknown {
                /// The type.
                kind: i16,
                /// The whole key, type included.
                key: Bytes,
                /// The whole value, version included.
                value: Option<Bytes>,
            },
        }

        impl GroupRecord {
            /// The record's type.
            pub fn kind(&self) -> i16 {
                match self {
                    $(GroupRecord::$variant(..) => $key,)*
                    GroupRecord::Unknown { kind, .. } => *kind,
                }
            }

            /// Whether the value is null.
            pub fn is_tombstone(&self) -> bool {
                match self {
                    $(GroupRecord::$variant(_, value) => value.is_none(),)*
                    GroupRecord::Unknown { value, .. } => value.is_none(),
                }
            }

            /// Key and value as they stand in the log; the value in the version that Kafka 4.4 would write.
            ///
            /// # Errors
            ///
            /// If a field is too long for its length.
            pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
                match self {
                    $(GroupRecord::$variant(key, value) => {
                        let mut buf = BytesMut::with_capacity(2 + key.encoded_size(0));
                        buf.put_i16($key);
                        key.encode(&mut buf, 0)?;
                        let value = match value {
                            None => None,
                            Some(value) => {
                                let version = value.written_version();
                                let mut buf = BytesMut::with_capacity(2 + value.encoded_size(version));
                                buf.put_i16(version);
                                value.encode(&mut buf, version)?;
                                Some(buf.freeze())
                            }
                        };
                        Ok((buf.freeze(), value))
                    })*
                    GroupRecord::Unknown { key, value, .. } => Ok((key.clone(), value.clone())),
                }
            }

            /// Reads a record.
            ///
            /// # Errors
            ///
            /// If the key has no type, or the bytes of a known type are not such a record.
            pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<GroupRecord, DecodeError> {
                let mut rest = key.clone();
                let kind = rest.try_get_i16().map_err(|_| DecodeError::Short)?;
                let known = if kind == LEGACY_OFFSET_COMMIT { 1 } else { kind };
                match known {
                    $($key => {
                        let key = $key_ty::decode(&mut rest, 0)?;
                        if !rest.is_empty() {
                            return Err(DecodeError::Trailing(rest.len()));
                        }
                        let value = match value {
                            None => None,
                            Some(value) => {
                                let mut value = value.clone();
                                let version = value.try_get_i16().map_err(|_| DecodeError::Short)?;
                                let decoded = $value_ty::decode(&mut value, version)?;
                                if !value.is_empty() {
                                    return Err(DecodeError::Trailing(value.len()));
                                }
                                Some(decoded)
                            }
                        };
                        Ok(GroupRecord::$variant(key, value))
                    })*
                    _ => Ok(GroupRecord::Unknown { kind, key: key.clone(), value: value.cloned() }),
                }
            }
        }
    };
}

group_records! {
    1 => OffsetCommit(OffsetCommitKey, OffsetCommitValue);
    2 => GroupMetadata(GroupMetadataKey, GroupMetadataValue);
    3 => ConsumerGroupMetadata(ConsumerGroupMetadataKey, ConsumerGroupMetadataValue);
    4 => ConsumerGroupPartitionMetadata(
        ConsumerGroupPartitionMetadataKey,
        ConsumerGroupPartitionMetadataValue
    );
    5 => ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue);
    6 => ConsumerGroupTargetAssignmentMetadata(
        ConsumerGroupTargetAssignmentMetadataKey,
        ConsumerGroupTargetAssignmentMetadataValue
    );
    7 => ConsumerGroupTargetAssignmentMember(
        ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupTargetAssignmentMemberValue
    );
    8 => ConsumerGroupCurrentMemberAssignment(
        ConsumerGroupCurrentMemberAssignmentKey,
        ConsumerGroupCurrentMemberAssignmentValue
    );
    10 => ShareGroupMemberMetadata(ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue);
    11 => ShareGroupMetadata(ShareGroupMetadataKey, ShareGroupMetadataValue);
    12 => ShareGroupTargetAssignmentMetadata(
        ShareGroupTargetAssignmentMetadataKey,
        ShareGroupTargetAssignmentMetadataValue
    );
    13 => ShareGroupTargetAssignmentMember(
        ShareGroupTargetAssignmentMemberKey,
        ShareGroupTargetAssignmentMemberValue
    );
    14 => ShareGroupCurrentMemberAssignment(
        ShareGroupCurrentMemberAssignmentKey,
        ShareGroupCurrentMemberAssignmentValue
    );
    15 => ShareGroupStatePartitionMetadata(
        ShareGroupStatePartitionMetadataKey,
        ShareGroupStatePartitionMetadataValue
    );
    16 => ConsumerGroupRegularExpression(
        ConsumerGroupRegularExpressionKey,
        ConsumerGroupRegularExpressionValue
    );
    17 => StreamsGroupMetadata(StreamsGroupMetadataKey, StreamsGroupMetadataValue);
    19 => StreamsGroupMemberMetadata(StreamsGroupMemberMetadataKey, StreamsGroupMemberMetadataValue);
    20 => StreamsGroupTargetAssignmentMetadata(
        StreamsGroupTargetAssignmentMetadataKey,
        StreamsGroupTargetAssignmentMetadataValue
    );
    21 => StreamsGroupTargetAssignmentMember(
        StreamsGroupTargetAssignmentMemberKey,
        StreamsGroupTargetAssignmentMemberValue
    );
    22 => StreamsGroupCurrentMemberAssignment(
        StreamsGroupCurrentMemberAssignmentKey,
        StreamsGroupCurrentMemberAssignmentValue
    );
    23 => StreamsGroupTopology(StreamsGroupTopologyKey, StreamsGroupTopologyValue);
}

/// The version that a value is written in, as Kafka 4.4 does.
trait WrittenVersion {
    fn written_version(&self) -> i16;
}

impl WrittenVersion for OffsetCommitValue {
    /// Version 1 is the only one with an expiry.
    fn written_version(&self) -> i16 {
        if self.expire_timestamp == -1 { 4 } else { 1 }
    }
}

impl WrittenVersion for GroupMetadataValue {
    /// Version 4 only makes the same fields flexible.
    fn written_version(&self) -> i16 {
        3
    }
}

macro_rules! written_in_version_0 {
    ($($ty:ident)*) => { $(
        impl WrittenVersion for $ty {
            fn written_version(&self) -> i16 {
                0
            }
        }
    )* };
}

written_in_version_0! {
    ConsumerGroupMetadataValue
    ConsumerGroupPartitionMetadataValue
    ConsumerGroupMemberMetadataValue
    ConsumerGroupTargetAssignmentMetadataValue
    ConsumerGroupTargetAssignmentMemberValue
    ConsumerGroupCurrentMemberAssignmentValue
    ShareGroupMemberMetadataValue
    ShareGroupMetadataValue
    ShareGroupTargetAssignmentMetadataValue
    ShareGroupTargetAssignmentMemberValue
    ShareGroupCurrentMemberAssignmentValue
    ShareGroupStatePartitionMetadataValue
    ConsumerGroupRegularExpressionValue
    StreamsGroupMetadataValue
    StreamsGroupMemberMetadataValue
    StreamsGroupTargetAssignmentMetadataValue
    StreamsGroupTargetAssignmentMemberValue
    StreamsGroupCurrentMemberAssignmentValue
    StreamsGroupTopologyValue
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_committed_offset_has_kafkas_bytes() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 2 };
        let value =
            OffsetCommitValue { offset: 5, metadata: "m".into(), commit_timestamp: 6, ..Default::default() };
        let record = GroupRecord::OffsetCommit(key.clone(), Some(value.clone()));
        let (k, v) = record.encode().unwrap();
        assert_eq!(&k[..], &[0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2]);
        let v = v.unwrap();
        assert_eq!(
            &v[..],
            &[0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 255, 255, 255, 255, 2, b'm', 0, 0, 0, 0, 0, 0, 0, 6, 0]
        );
        assert_eq!(GroupRecord::decode(&k, Some(&v)).unwrap(), record);
        assert_eq!(GroupRecord::decode(&k, None).unwrap(), GroupRecord::OffsetCommit(key.clone(), None));

        for other in [
            OffsetCommitValue { topic_id: Uuid::from_u128(9), ..value.clone() },
            OffsetCommitValue { expire_timestamp: 9, ..value },
        ] {
            let record = GroupRecord::OffsetCommit(key.clone(), Some(other));
            let (k, v) = record.encode().unwrap();
            assert_eq!(GroupRecord::decode(&k, v.as_ref()).unwrap(), record);
        }
    }

    /// Values that Apache Kafka 4.3.1 wrote: a member of the consumer protocol, one of the classic protocol, and one
    /// that nothing was set in.
    #[test]
    fn a_null_struct_in_a_tagged_field_is_read_as_kafka_writes_it() {
        let members: [(&[u8], Option<ClassicMemberMetadata>); 3] = [
            (b"\0\0\x02i\0\x02c\x03/h\x02\x02t\0\0\0\x03\xe8\x06range\x01\0\x01\0", None),
            (
                b"\0\0\x02i\0\x02c\x03/h\x02\x02t\0\0\0\x03\xe8\x06range\
                  \x01\0\x12\x01\0\0\xaf\xc8\x02\x06range\x04\x01\x02\x03\0\0",
                Some(ClassicMemberMetadata {
                    session_timeout_ms: 45_000,
                    supported_protocols: vec![ClassicProtocol {
                        name: "range".into(),
                        metadata: Bytes::from_static(&[1, 2, 3]),
                    }],
                }),
            ),
            (b"\0\0\x01\x01\x01\x01\x01\x01\xff\xff\xff\xff\x01\0", Some(Default::default())),
        ];
        let key = ConsumerGroupMemberMetadataKey { group_id: "g".into(), member_id: "m".into() };
        let key = GroupRecord::ConsumerGroupMemberMetadata(key, None).encode().unwrap().0;
        for (kafkas, classic) in members {
            let value = Bytes::from_static(kafkas);
            let record = GroupRecord::decode(&key, Some(&value)).unwrap();
            let GroupRecord::ConsumerGroupMemberMetadata(_, Some(member)) = &record else {
                panic!("{record:?}")
            };
            assert_eq!(member.classic_member_metadata, classic);
            if classic.is_none() {
                assert_eq!((member.client_id.as_str(), member.rebalance_timeout_ms), ("c", 1000));
            }
            assert_eq!(record.encode().unwrap(), (key.clone(), Some(value)));
        }
    }

    #[test]
    fn the_legacy_key_means_the_same() {
        let key = Bytes::from_static(&[0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2]);
        assert_eq!(GroupRecord::decode(&key, None).unwrap().kind(), 1);
    }

    #[test]
    fn unknown_types_are_kept_apart_with_their_bytes() {
        let key = Bytes::from_static(&[0, 99, 1, 2, 3]);
        let value = Bytes::from_static(&[7]);
        let record = GroupRecord::decode(&key, Some(&value)).unwrap();
        assert_eq!(record, GroupRecord::Unknown { kind: 99, key: key.clone(), value: Some(value.clone()) });
        assert_eq!(record.encode().unwrap(), (key, Some(value)));
        assert_eq!(GroupRecord::decode(&Bytes::from_static(&[0]), None), Err(DecodeError::Short));
    }

    #[test]
    fn hostile_counts_cost_no_memory() {
        let key = Bytes::from_static(&[0, 2, 0, 1, b'g']);
        let mut value = BytesMut::new();
        value.put_slice(&[0, 3, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
        value.put_i64(0);
        value.put_i32(i32::MAX);
        assert_eq!(
            GroupRecord::decode(&key, Some(&value.freeze())),
            Err(DecodeError::Length(i64::from(i32::MAX)))
        );
    }
}
