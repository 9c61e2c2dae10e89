//! Transactions and producer ids.

layouts! {
    init_producer_id_response InitProducerIdResponse [0-6] flexible [2+] {
        InitProducerIdResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            producer_id int64 [0+];
            producer_epoch int16 [0+];
            ongoing_txn_producer_id int64 [6+];
            ongoing_txn_producer_epoch int16 [6+];
        }
    }

    add_partitions_to_txn_response AddPartitionsToTxnResponse [0-5] flexible [3+] {
        AddPartitionsToTxnResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [4+];
            results_by_transaction [AddPartitionsToTxnResult] [4+];
            results_by_topic_v3_and_below [AddPartitionsToTxnTopicResult] [0-3];
        }
        AddPartitionsToTxnTopicResult {
            name string [0+];
            results_by_partition [AddPartitionsToTxnPartitionResult] [0+];
        }
        AddPartitionsToTxnPartitionResult {
            partition_index int32 [0+];
            partition_error_code int16 [0+];
        }
        AddPartitionsToTxnResult {
            transactional_id string [4+];
            topic_results [AddPartitionsToTxnTopicResult] [4+];
        }
    }

    add_offsets_to_txn_response AddOffsetsToTxnResponse [0-4] flexible [3+] {
        AddOffsetsToTxnResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
        }
    }

    end_txn_response EndTxnResponse [0-5] flexible [3+] {
        EndTxnResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            producer_id int64 [5+];
            producer_epoch int16 [5+];
        }
    }

    describe_transactions_response DescribeTransactionsResponse [0] flexible [0+] {
        DescribeTransactionsResponse {
            throttle_time_ms int32 [0+];
            transaction_states [TransactionState] [0+];
        }
        TransactionState {
            error_code int16 [0+];
            transactional_id string [0+];
            transaction_state string [0+];
            transaction_timeout_ms int32 [0+];
            transaction_start_time_ms int64 [0+];
            producer_id int64 [0+];
            producer_epoch int16 [0+];
            topics [TopicData] [0+];
        }
        TopicData {
            topic string [0+];
            partitions [int32] [0+];
        }
    }

    list_transactions_response ListTransactionsResponse [0-2] flexible [0+] {
        ListTransactionsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            unknown_state_filters [string] [0+];
            transaction_states [TransactionState] [0+];
        }
        TransactionState {
            transactional_id string [0+];
            producer_id int64 [0+];
            transaction_state string [0+];
        }
    }
}
