//! The records of `__cluster_metadata` (KIP-500), as Apache Kafka 4.4 declares them.
//!
//! A record's value is a frame: three unsigned variable-length integers (frame version, type, version) and
//! then the message. A type or version that is not known here is an error, never skipped: metadata that is
//! not understood must not be half applied. `tests/wire` and Kafka's own dump tool hold the bytes to
//! Kafka's.

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::codec::{DecodeError, EncodeError, get_varint, put_varint, varint_size};

/// The version of the frame around each record.
const FRAME_VERSION: u32 = 1;

macro_rules! metadata_records {
    ($($key:literal => $variant:ident($ty:ident);)*) => {
        /// A record of the metadata log.
        #[derive(Clone, Debug, PartialEq)]
        pub enum MetadataRecord {
            $(#[doc = concat!("Type ", stringify!($key), ".")] $variant($ty),)*
        }

        $(impl From<$ty> for MetadataRecord {
            fn from(record: $ty) -> Self {
                MetadataRecord::$variant(record)
            }
        })*

        impl MetadataRecord {
            /// The numbers of all types.
            pub const TYPES: &'static [i16] = &[$($key),*];

            /// The record's type.
            pub fn api_key(&self) -> i16 {
                match self { $(MetadataRecord::$variant(_) => $key,)* }
            }

            /// The type's name in Kafka's schemas.
            pub fn name(&self) -> &'static str {
                match self { $(MetadataRecord::$variant(_) => stringify!($ty),)* }
            }

            /// The newest version of the record's type. Which one to write depends on `metadata.version`.
            pub fn highest_version(&self) -> i16 {
                match self { $(MetadataRecord::$variant(_) => $ty::HIGHEST_VERSION,)* }
            }

            /// Appends the frame and the record as `version` has it.
            ///
            /// # Errors
            ///
            /// If the type has no such version, or a field is null or too long where it must not be.
            pub fn encode(&self, buf: &mut BytesMut, version: i16) -> Result<(), EncodeError> {
                put_varint(buf, FRAME_VERSION);
                put_varint(buf, u32::from(self.api_key().cast_unsigned()));
                put_varint(buf, u32::from(version.cast_unsigned()));
                match self { $(MetadataRecord::$variant(record) => record.encode(buf, version),)* }
            }

            /// Bytes that [`MetadataRecord::encode`] appends.
            pub fn encoded_size(&self, version: i16) -> usize {
                let frame = varint_size(FRAME_VERSION)
                    + varint_size(u32::from(self.api_key().cast_unsigned()))
                    + varint_size(u32::from(version.cast_unsigned()));
                frame + match self { $(MetadataRecord::$variant(record) => record.encoded_size(version),)* }
            }

            /// The record in a frame, and the version it was written as.
            ///
            /// # Errors
            ///
            /// If the frame, type or version is not known, or the bytes are not exactly one record.
            pub fn decode_versioned(mut value: Bytes) -> Result<(MetadataRecord, i16), DecodeError> {
                let frame = get_varint(&mut value)?;
                if frame != FRAME_VERSION {
                    return Err(DecodeError::UnknownType("metadata frame version", i64::from(frame)));
                }
                let key = get_varint(&mut value)?;
                let raw = get_varint(&mut value)?;
                let version = i16::try_from(raw)
                    .map_err(|_| DecodeError::UnknownType("metadata record version", i64::from(raw)))?;
                let record = match key {
                    $($key => MetadataRecord::$variant($ty::decode(&mut value, version)?),)*
                    _ => return Err(DecodeError::UnknownType("metadata record type", i64::from(key))),
                };
                if !value.is_empty() {
                    return Err(DecodeError::Trailing(value.len()));
                }
                Ok((record, version))
            }
        }
    };
}

metadata_records! {
    0 => RegisterBroker(RegisterBrokerRecord);
    1 => UnregisterBroker(UnregisterBrokerRecord);
    2 => Topic(TopicRecord);
    3 => Partition(PartitionRecord);
    4 => Config(ConfigRecord);
    5 => PartitionChange(PartitionChangeRecord);
    7 => FenceBroker(FenceBrokerRecord);
    8 => UnfenceBroker(UnfenceBrokerRecord);
    9 => RemoveTopic(RemoveTopicRecord);
    10 => DelegationToken(DelegationTokenRecord);
    11 => UserScramCredential(UserScramCredentialRecord);
    12 => FeatureLevel(FeatureLevelRecord);
    14 => ClientQuota(ClientQuotaRecord);
    15 => ProducerIds(ProducerIdsRecord);
    17 => BrokerRegistrationChange(BrokerRegistrationChangeRecord);
    18 => AccessControlEntry(AccessControlEntryRecord);
    19 => RemoveAccessControlEntry(RemoveAccessControlEntryRecord);
    20 => NoOp(NoOpRecord);
    21 => ZkMigrationState(ZkMigrationStateRecord);
    22 => RemoveUserScramCredential(RemoveUserScramCredentialRecord);
    23 => BeginTransaction(BeginTransactionRecord);
    24 => EndTransaction(EndTransactionRecord);
    25 => AbortTransaction(AbortTransactionRecord);
    26 => RemoveDelegationToken(RemoveDelegationTokenRecord);
    27 => RegisterController(RegisterControllerRecord);
    28 => ClearElr(ClearElrRecord);
    29 => UnregisterController(UnregisterControllerRecord);
}

impl MetadataRecord {
    /// The record in a frame; see [`MetadataRecord::decode_versioned`] for the errors.
    pub fn decode(value: Bytes) -> Result<MetadataRecord, DecodeError> {
        Self::decode_versioned(value).map(|(record, _)| record)
    }

    /// The frame with the record in its newest version.
    ///
    /// # Errors
    ///
    /// If a field is too long for its length.
    pub fn to_bytes(&self) -> Result<Bytes, EncodeError> {
        let version = self.highest_version();
        let mut buf = BytesMut::with_capacity(self.encoded_size(version));
        self.encode(&mut buf, version)?;
        Ok(buf.freeze())
    }
}

message! {
    /// A broker has registered or changed its registration (KIP-631).
    RegisterBrokerRecord [0-4] flexible [0+] {
        broker_id: i32, [0+];
        is_migrating_zk_broker: bool, [2+];
        incarnation_id: Uuid, [0+];
        broker_epoch: i64, [0+];
        end_points: Vec<BrokerEndpoint>, [0+];
        features: Vec<BrokerFeature>, [0+];
        rack: Option<String>, [0+], null [0+], default Some(Default::default());
        fenced: bool, [0+], default true;
        in_controlled_shutdown: bool, [1+];
        log_dirs: Vec<Uuid>, [3+], tag 0 [3+];
        cordoned_log_dirs: Option<Vec<Uuid>>, [4+], null [4+], tag 1 [4+];
    }
}

structure! {
    /// A part of [`RegisterBrokerRecord`].
    BrokerEndpoint {
        name: String, [0+];
        host: String, [0+];
        port: u16, [0+];
        security_protocol: i16, [0+];
    }
}

structure! {
    /// A part of [`RegisterBrokerRecord`].
    BrokerFeature {
        name: String, [0+];
        min_supported_version: i16, [0+];
        max_supported_version: i16, [0+];
    }
}

message! {
    /// A broker is no longer part of the cluster.
    UnregisterBrokerRecord [0] flexible [0+] {
        broker_id: i32, [0+];
        broker_epoch: i64, [0+];
    }
}

message! {
    /// A topic exists.
    TopicRecord [0] flexible [0+] {
        name: String, [0+];
        topic_id: Uuid, [0+];
    }
}

message! {
    /// A partition exists, or is described anew.
    PartitionRecord [0-2] flexible [0+] {
        partition_id: i32, [0+], default -1;
        topic_id: Uuid, [0+];
        replicas: Vec<i32>, [0+];
        isr: Vec<i32>, [0+];
        removing_replicas: Vec<i32>, [0+];
        adding_replicas: Vec<i32>, [0+];
        leader: i32, [0+], default -1;
        leader_epoch: i32, [0+], default -1;
        partition_epoch: i32, [0+], default -1;
        directories: Vec<Uuid>, [1+];
        leader_recovery_state: i8, [0+], tag 0 [0+];
        eligible_leader_replicas: Option<Vec<i32>>, [2+], null [2+], tag 1 [2+];
        last_known_elr: Option<Vec<i32>>, [2+], null [2+], tag 2 [2+];
    }
}

message! {
    /// A configuration value is set, or unset if null.
    ConfigRecord [0] flexible [0+] {
        resource_type: i8, [0+];
        resource_name: String, [0+];
        name: String, [0+];
        value: Option<String>, [0+], null [0+], default Some(Default::default());
    }
}

message! {
    /// What changed in a partition; what is null or at its default has not.
    PartitionChangeRecord [0-2] flexible [0+] {
        partition_id: i32, [0+], default -1;
        topic_id: Uuid, [0+];
        isr: Option<Vec<i32>>, [0+], null [0+], tag 0 [0+];
        leader: i32, [0+], tag 1 [0+], default -2;
        replicas: Option<Vec<i32>>, [0+], null [0+], tag 2 [0+];
        removing_replicas: Option<Vec<i32>>, [0+], null [0+], tag 3 [0+];
        adding_replicas: Option<Vec<i32>>, [0+], null [0+], tag 4 [0+];
        leader_recovery_state: i8, [0+], tag 5 [0+], default -1;
        eligible_leader_replicas: Option<Vec<i32>>, [2+], null [2+], tag 6 [2+];
        last_known_elr: Option<Vec<i32>>, [2+], null [2+], tag 7 [2+];
        directories: Option<Vec<Uuid>>, [1+], null [1+], tag 8 [1+];
    }
}

message! {
    /// A broker is fenced; of old metadata versions.
    FenceBrokerRecord [0] flexible [0+] {
        id: i32, [0+];
        epoch: i64, [0+];
    }
}

message! {
    /// A broker is not fenced any more; of old metadata versions.
    UnfenceBrokerRecord [0] flexible [0+] {
        id: i32, [0+];
        epoch: i64, [0+];
    }
}

message! {
    /// A topic is deleted.
    RemoveTopicRecord [0] flexible [0+] {
        topic_id: Uuid, [0+];
    }
}

message! {
    /// A delegation token exists (KIP-48).
    DelegationTokenRecord [0] flexible [0+] {
        owner: String, [0+];
        requester: String, [0+];
        renewers: Vec<String>, [0+];
        issue_timestamp: i64, [0+];
        max_timestamp: i64, [0+];
        expiration_timestamp: i64, [0+];
        token_id: String, [0+];
    }
}

message! {
    /// A user has a SCRAM credential (KIP-554).
    UserScramCredentialRecord [0] flexible [0+] {
        name: String, [0+];
        mechanism: i8, [0+];
        salt: Bytes, [0+];
        stored_key: Bytes, [0+];
        server_key: Bytes, [0+];
        iterations: i32, [0+];
    }
}

message! {
    /// A feature is finalized at a level (KIP-584).
    FeatureLevelRecord [0] flexible [0+] {
        name: String, [0+];
        feature_level: i16, [0+];
    }
}

message! {
    /// A client quota is set or removed (KIP-546).
    ClientQuotaRecord [0] flexible [0+] {
        entity: Vec<EntityData>, [0+];
        key: String, [0+];
        value: f64, [0+];
        remove: bool, [0+];
    }
}

structure! {
    /// A part of [`ClientQuotaRecord`].
    EntityData {
        entity_type: String, [0+];
        entity_name: Option<String>, [0+], null [0+], default Some(Default::default());
    }
}

message! {
    /// A block of producer ids is given to a broker (KIP-730).
    ProducerIdsRecord [0] flexible [0+] {
        broker_id: i32, [0+];
        broker_epoch: i64, [0+], default -1;
        next_producer_id: i64, [0+];
    }
}

message! {
    /// What changed in a broker's registration: 1 is yes, -1 is no, 0 is unchanged.
    BrokerRegistrationChangeRecord [0-3] flexible [0+] {
        broker_id: i32, [0+];
        broker_epoch: i64, [0+];
        fenced: i8, [0+], tag 0 [0+];
        in_controlled_shutdown: i8, [1+], tag 1 [1+];
        log_dirs: Vec<Uuid>, [2+], tag 2 [2+];
        cordoned_log_dirs: Option<Vec<Uuid>>, [3+], null [3+], tag 3 [3+];
    }
}

message! {
    /// An ACL exists.
    AccessControlEntryRecord [0] flexible [0+] {
        id: Uuid, [0+];
        resource_type: i8, [0+];
        resource_name: String, [0+];
        pattern_type: i8, [0+];
        principal: String, [0+];
        host: String, [0+];
        operation: i8, [0+];
        permission_type: i8, [0+];
    }
}

message! {
    /// An ACL is removed.
    RemoveAccessControlEntryRecord [0] flexible [0+] {
        id: Uuid, [0+];
    }
}

message! {
    /// Nothing; it moves the log's end (KIP-835).
    NoOpRecord [0] flexible [0+] {
    }
}

message! {
    /// How far a migration from ZooKeeper is (KIP-866).
    ZkMigrationStateRecord [0] flexible [0+] {
        zk_migration_state: i8, [0+];
    }
}

message! {
    /// A SCRAM credential is removed.
    RemoveUserScramCredentialRecord [0] flexible [0+] {
        name: String, [0+];
        mechanism: i8, [0+];
    }
}

message! {
    /// A metadata transaction begins (KIP-868).
    BeginTransactionRecord [0] flexible [0+] {
        name: Option<String>, [0+], null [0+], tag 0 [0+];
    }
}

message! {
    /// A metadata transaction ends.
    EndTransactionRecord [0] flexible [0+] {
    }
}

message! {
    /// A metadata transaction is given up.
    AbortTransactionRecord [0] flexible [0+] {
        reason: Option<String>, [0+], null [0+], tag 0 [0+];
    }
}

message! {
    /// A delegation token is removed.
    RemoveDelegationTokenRecord [0] flexible [0+] {
        token_id: String, [0+];
    }
}

message! {
    /// A controller has registered (KIP-919).
    RegisterControllerRecord [0] flexible [0+] {
        controller_id: i32, [0+];
        incarnation_id: Uuid, [0+];
        zk_migration_ready: bool, [0+];
        end_points: Vec<ControllerEndpoint>, [0+];
        features: Vec<ControllerFeature>, [0+];
    }
}

structure! {
    /// A part of [`RegisterControllerRecord`].
    ControllerEndpoint {
        name: String, [0+];
        host: String, [0+];
        port: u16, [0+];
        security_protocol: i16, [0+];
    }
}

structure! {
    /// A part of [`RegisterControllerRecord`].
    ControllerFeature {
        name: String, [0+];
        min_supported_version: i16, [0+];
        max_supported_version: i16, [0+];
    }
}

message! {
    /// The eligible leader replicas of a topic, or of all if the name is empty, are forgotten (KIP-966).
    ClearElrRecord [0] flexible [0+] {
        topic_name: String, [0+];
    }
}

message! {
    /// A controller is no longer part of the cluster.
    UnregisterControllerRecord [0] flexible [0+] {
        controller_id: i32, [0+];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_record_has_kafkas_bytes() {
        let record = MetadataRecord::Topic(TopicRecord { name: "foo".into(), topic_id: Uuid::from_u128(7) });
        let bytes = record.to_bytes().unwrap();
        assert_eq!(&bytes[..7], &[1, 2, 0, 4, b'f', b'o', b'o']);
        assert_eq!(bytes[22], 7);
        assert_eq!(bytes[23], 0);
        assert_eq!(bytes.len(), 24);
        assert_eq!(MetadataRecord::decode(bytes).unwrap(), record);
    }

    #[test]
    fn tagged_fields_are_written_only_when_set() {
        let change = PartitionChangeRecord {
            partition_id: 1,
            leader: 3,
            isr: Some(vec![3, 4]),
            ..PartitionChangeRecord::default()
        };
        let record = MetadataRecord::from(change);
        for version in 0..=2 {
            let mut buf = BytesMut::new();
            record.encode(&mut buf, version).unwrap();
            assert_eq!(buf.len(), record.encoded_size(version));
            assert_eq!(&buf[23..], &[2, 0, 9, 3, 0, 0, 0, 3, 0, 0, 0, 4, 1, 4, 0, 0, 0, 3]);
            assert_eq!(MetadataRecord::decode_versioned(buf.freeze()).unwrap(), (record.clone(), version));
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let decode = |bytes: &'static [u8]| MetadataRecord::decode(Bytes::from_static(bytes));
        assert_eq!(decode(&[]), Err(DecodeError::Short));
        assert_eq!(decode(&[0, 20, 0, 0]), Err(DecodeError::UnknownType("metadata frame version", 0)));
        assert_eq!(decode(&[1, 6, 0, 0]), Err(DecodeError::UnknownType("metadata record type", 6)));
        assert_eq!(decode(&[1, 20, 1, 0]), Err(DecodeError::Version("NoOpRecord", 1)));
        assert_eq!(decode(&[1, 20, 0, 0, 0]), Err(DecodeError::Trailing(1)));
        assert_eq!(decode(&[1, 20, 0, 0]), Ok(MetadataRecord::NoOp(NoOpRecord {})));
        // An unknown tagged field is dropped.
        assert_eq!(decode(&[1, 20, 0, 1, 9, 2, 0, 0]), Ok(MetadataRecord::NoOp(NoOpRecord {})));
    }
}
