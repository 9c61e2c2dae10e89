//! Configurations, quotas and client telemetry.

layouts! {
    describe_configs_response DescribeConfigsResponse [1-4] flexible [4+] {
        DescribeConfigsResponse {
            throttle_time_ms int32 [0+];
            results [DescribeConfigsResult] [0+];
        }
        DescribeConfigsResult {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            resource_type int8 [0+];
            resource_name string [0+];
            configs [DescribeConfigsResourceResult] [0+];
        }
        DescribeConfigsResourceResult {
            name string [0+];
            value string [0+] null [0+];
            read_only bool [0+];
            config_source int8 [1+];
            is_sensitive bool [0+];
            synonyms [DescribeConfigsSynonym] [1+];
            config_type int8 [3+];
            documentation string [3+] null [0+];
        }
        DescribeConfigsSynonym {
            name string [1+];
            value string [1+] null [0+];
            source int8 [1+];
        }
    }

    alter_configs_response AlterConfigsResponse [0-2] flexible [2+] {
        AlterConfigsResponse {
            throttle_time_ms int32 [0+];
            responses [AlterConfigsResourceResponse] [0+];
        }
        AlterConfigsResourceResponse {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            resource_type int8 [0+];
            resource_name string [0+];
        }
    }

    incremental_alter_configs_response IncrementalAlterConfigsResponse [0-1] flexible [1+] {
        IncrementalAlterConfigsResponse {
            throttle_time_ms int32 [0+];
            responses [AlterConfigsResourceResponse] [0+];
        }
        AlterConfigsResourceResponse {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            resource_type int8 [0+];
            resource_name string [0+];
        }
    }

    describe_client_quotas_response DescribeClientQuotasResponse [0-1] flexible [1+] {
        DescribeClientQuotasResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            entries [EntryData] [0+] null [0+];
        }
        EntryData {
            entity [EntityData] [0+];
            values [ValueData] [0+];
        }
        EntityData {
            entity_type string [0+];
            entity_name string [0+] null [0+];
        }
        ValueData {
            key string [0+];
            value float64 [0+];
        }
    }

    alter_client_quotas_response AlterClientQuotasResponse [0-1] flexible [1+] {
        AlterClientQuotasResponse {
            throttle_time_ms int32 [0+];
            entries [EntryData] [0+];
        }
        EntryData {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            entity [EntityData] [0+];
        }
        EntityData {
            entity_type string [0+];
            entity_name string [0+] null [0+];
        }
    }

    get_telemetry_subscriptions_response GetTelemetrySubscriptionsResponse [0] flexible [0+] {
        GetTelemetrySubscriptionsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            client_instance_id uuid [0+];
            subscription_id int32 [0+];
            accepted_compression_types [int8] [0+];
            push_interval_ms int32 [0+];
            telemetry_max_bytes int32 [0+];
            delta_temporality bool [0+];
            requested_metrics [string] [0+];
        }
    }

    push_telemetry_response PushTelemetryResponse [0] flexible [0+] {
        PushTelemetryResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
        }
    }

    list_config_resources_response ListConfigResourcesResponse [0-1] flexible [0+] {
        ListConfigResourcesResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            config_resources [ConfigResource] [0+];
        }
        ConfigResource {
            resource_name string [0+];
            resource_type int8 [1+];
        }
    }
}
