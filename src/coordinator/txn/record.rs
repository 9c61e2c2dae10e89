//! Records of `__transaction_state` as the shard sees them, and their form in the log ([`crate::schema::transactions`]).

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::state::{Partitions, State, Transaction, TransactionalId};
use crate::coordinator::shard::{LogRecord, Producer, Unreadable};
use crate::schema::codec::DecodeError;
use crate::schema::transactions::{PartitionsSchema, TransactionLogKey, TransactionLogValue};
use crate::types::TransactionVersion;

/// The only type of key there is.
const KEY_TYPE: i16 = 0;
/// "None" where a number of 0 and up stands.
const NONE: i64 = -1;

/// What becomes of a transactional id.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnRecord {
    /// Which.
    pub id: TransactionalId,
    /// What it is now; none is a tombstone.
    pub transaction: Option<Transaction>,
    /// The version of the value, 0 or 1.
    version: i16,
}

impl TxnRecord {
    /// What `id` is from now on, in a cluster whose level of `transaction.version` is `cluster`.
    ///
    /// What the record has no field for is taken out of the state, too: what is replayed after a restart is what was
    /// replayed before.
    pub fn put(id: TransactionalId, mut transaction: Transaction, cluster: TransactionVersion) -> TxnRecord {
        // Who asks for epochs of its own gets them in any cluster, and they must not be forgotten.
        let version = cluster.max(transaction.client_version).log_value_version();
        if version == 0 {
            transaction.previous_id = None;
            transaction.next_id = None;
            transaction.client_version = TransactionVersion::V0;
        }
        TxnRecord { id, transaction: Some(transaction), version }
    }

    /// Forgets `id`.
    pub fn tombstone(id: TransactionalId) -> TxnRecord {
        TxnRecord { id, transaction: None, version: 0 }
    }
}

impl LogRecord for TxnRecord {
    fn encode(&self) -> Result<(Bytes, Option<Bytes>), Unreadable> {
        let key = TransactionLogKey { transactional_id: self.id.to_string() };
        let mut buf = BytesMut::with_capacity(2 + key.encoded_size(0));
        buf.put_i16(KEY_TYPE);
        key.encode(&mut buf, 0)?;
        let key = buf.freeze();
        let Some(transaction) = &self.transaction else { return Ok((key, None)) };
        let value = value_of(transaction);
        let mut buf = BytesMut::with_capacity(2 + value.encoded_size(self.version));
        buf.put_i16(self.version);
        value.encode(&mut buf, self.version)?;
        Ok((key, Some(buf.freeze())))
    }

    fn decode(key: Option<&Bytes>, value: Option<&Bytes>) -> Result<Option<TxnRecord>, Unreadable> {
        let mut key = key.ok_or(Unreadable::NoKey)?.clone();
        if key.try_get_i16().map_err(|_| DecodeError::Short)? != KEY_TYPE {
            return Ok(None);
        }
        let id: TransactionalId = TransactionLogKey::decode(&mut key, 0)?.transactional_id.into();
        let Some(value) = value else { return Ok(Some(TxnRecord::tombstone(id))) };
        let mut value = value.clone();
        let version = value.try_get_i16().map_err(|_| DecodeError::Short)?;
        let transaction = transaction_of(TransactionLogValue::decode(&mut value, version)?)?;
        Ok(Some(TxnRecord { id, transaction: Some(transaction), version }))
    }
}

fn value_of(transaction: &Transaction) -> TransactionLogValue {
    let partitions = transaction.partitions.iter().map(|(topic, partitions)| PartitionsSchema {
        topic: topic.to_string(),
        partition_ids: partitions.iter().copied().collect(),
    });
    // Kafka writes null where there is no transaction.
    let partitions = (transaction.state != State::Empty).then(|| partitions.collect());
    TransactionLogValue {
        producer_id: transaction.producer.id,
        producer_epoch: transaction.producer.epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.code(),
        transaction_partitions: partitions,
        transaction_last_update_timestamp_ms: transaction.updated_at,
        transaction_start_timestamp_ms: transaction.started_at.unwrap_or(NONE),
        previous_producer_id: transaction.previous_id.unwrap_or(NONE),
        next_producer_id: transaction.next_id.unwrap_or(NONE),
        client_transaction_version: transaction.client_version.level(),
        ..TransactionLogValue::default()
    }
}

fn transaction_of(value: TransactionLogValue) -> Result<Transaction, Unreadable> {
    let state =
        State::from_code(value.transaction_status).ok_or(DecodeError::Marker(value.transaction_status))?;
    let mut partitions = Partitions::new();
    for of_topic in value.transaction_partitions.unwrap_or_default() {
        if !of_topic.partition_ids.is_empty() {
            partitions.entry(of_topic.topic.into()).or_default().extend(of_topic.partition_ids);
        }
    }
    let some = |number: i64| (number >= 0).then_some(number);
    Ok(Transaction {
        producer: Producer { id: value.producer_id, epoch: value.producer_epoch },
        previous_id: some(value.previous_producer_id),
        next_id: some(value.next_producer_id),
        timeout_ms: value.transaction_timeout_ms,
        state,
        partitions: Arc::new(partitions),
        started_at: some(value.transaction_start_timestamp_ms),
        updated_at: value.transaction_last_update_timestamp_ms,
        client_version: TransactionVersion::of_level(value.client_transaction_version),
    })
}
