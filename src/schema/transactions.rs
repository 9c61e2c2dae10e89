//! The records of `__transaction_state` (KIP-98), as Apache Kafka 4.4 declares them.
//!
//! A key begins with an int16, the record's type (0 is the only one); a value begins with an int16, its
//! version. A null value is a tombstone: the transactional id has expired.

message! {
    /// Key of type 0: transaction log.
    TransactionLogKey [0] flexible [none] {
        transactional_id: String, [0];
    }
}

message! {
    /// Value under a key of type 0: transaction log.
    TransactionLogValue [0-1] flexible [1+] {
        producer_id: i64, [0+];
        producer_epoch: i16, [0+];
        transaction_timeout_ms: i32, [0+];
        transaction_status: i8, [0+];
        transaction_partitions: Option<Vec<PartitionsSchema>>, [0+], null [0+],
            default Some(Default::default());
        transaction_last_update_timestamp_ms: i64, [0+];
        transaction_start_timestamp_ms: i64, [0+];
        previous_producer_id: i64, [1+], tag 0 [1+], default -1;
        next_producer_id: i64, [1+], tag 1 [1+], default -1;
        client_transaction_version: i16, [1+], tag 2 [1+];
        next_producer_epoch: i16, [1+], tag 3 [1+], default -1;
    }
}

structure! {
    /// A part of [`TransactionLogValue`].
    PartitionsSchema {
        topic: String, [0+];
        partition_ids: Vec<i32>, [0+];
    }
}
