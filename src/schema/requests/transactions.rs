//! Transactions and producer ids.

layouts! {
    init_producer_id_request InitProducerIdRequest [0-6] flexible [2+] {
        InitProducerIdRequest {
            transactional_id string [0+] null [0+];
            transaction_timeout_ms int32 [0+];
            producer_id int64 [3+];
            producer_epoch int16 [3+];
            enable2_pc bool [6+];
            keep_prepared_txn bool [6+];
        }
    }

    add_partitions_to_txn_request AddPartitionsToTxnRequest [0-5] flexible [3+] {
        AddPartitionsToTxnRequest {
            transactions [AddPartitionsToTxnTransaction] [4+];
            v3_and_below_transactional_id string [0-3];
            v3_and_below_producer_id int64 [0-3];
            v3_and_below_producer_epoch int16 [0-3];
            v3_and_below_topics [AddPartitionsToTxnTopic] [0-3];
        }
        AddPartitionsToTxnTopic {
            name string [0+];
            partitions [int32] [0+];
        }
        AddPartitionsToTxnTransaction {
            transactional_id string [4+];
            producer_id int64 [4+];
            producer_epoch int16 [4+];
            verify_only bool [4+];
            topics [AddPartitionsToTxnTopic] [4+];
        }
    }

    add_offsets_to_txn_request AddOffsetsToTxnRequest [0-4] flexible [3+] {
        AddOffsetsToTxnRequest {
            transactional_id string [0+];
            producer_id int64 [0+];
            producer_epoch int16 [0+];
            group_id string [0+];
        }
    }

    end_txn_request EndTxnRequest [0-5] flexible [3+] {
        EndTxnRequest {
            transactional_id string [0+];
            producer_id int64 [0+];
            producer_epoch int16 [0+];
            committed bool [0+];
        }
    }

    describe_transactions_request DescribeTransactionsRequest [0] flexible [0+] {
        DescribeTransactionsRequest {
            transactional_ids [string] [0+];
        }
    }

    list_transactions_request ListTransactionsRequest [0-2] flexible [0+] {
        ListTransactionsRequest {
            state_filters [string] [0+];
            producer_id_filters [int64] [0+];
            duration_filter int64 [1+];
            transactional_id_pattern string [2+] null [2+];
        }
    }
}
