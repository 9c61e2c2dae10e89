//! Configurations, quotas and client telemetry.

layouts! {
    describe_configs_request DescribeConfigsRequest [1-4] flexible [4+] {
        DescribeConfigsRequest {
            resources [DescribeConfigsResource] [0+];
            include_synonyms bool [1+];
            include_documentation bool [3+];
        }
        DescribeConfigsResource {
            resource_type int8 [0+];
            resource_name string [0+];
            configuration_keys [string] [0+] null [0+];
        }
    }

    alter_configs_request AlterConfigsRequest [0-2] flexible [2+] {
        AlterConfigsRequest {
            resources [AlterConfigsResource] [0+];
            validate_only bool [0+];
        }
        AlterConfigsResource {
            resource_type int8 [0+];
            resource_name string [0+];
            configs [AlterableConfig] [0+];
        }
        AlterableConfig {
            name string [0+];
            value string [0+] null [0+];
        }
    }

    incremental_alter_configs_request IncrementalAlterConfigsRequest [0-1] flexible [1+] {
        IncrementalAlterConfigsRequest {
            resources [AlterConfigsResource] [0+];
            validate_only bool [0+];
        }
        AlterConfigsResource {
            resource_type int8 [0+];
            resource_name string [0+];
            configs [AlterableConfig] [0+];
        }
        AlterableConfig {
            name string [0+];
            config_operation int8 [0+];
            value string [0+] null [0+];
        }
    }

    describe_client_quotas_request DescribeClientQuotasRequest [0-1] flexible [1+] {
        DescribeClientQuotasRequest {
            components [ComponentData] [0+];
            strict bool [0+];
        }
        ComponentData {
            entity_type string [0+];
            match_type int8 [0+];
            _match string [0+] null [0+];
        }
    }

    alter_client_quotas_request AlterClientQuotasRequest [0-1] flexible [1+] {
        AlterClientQuotasRequest {
            entries [EntryData] [0+];
            validate_only bool [0+];
        }
        EntryData {
            entity [EntityData] [0+];
            ops [OpData] [0+];
        }
        EntityData {
            entity_type string [0+];
            entity_name string [0+] null [0+];
        }
        OpData {
            key string [0+];
            value float64 [0+];
            remove bool [0+];
        }
    }

    get_telemetry_subscriptions_request GetTelemetrySubscriptionsRequest [0] flexible [0+] {
        GetTelemetrySubscriptionsRequest {
            client_instance_id uuid [0+];
        }
    }

    push_telemetry_request PushTelemetryRequest [0] flexible [0+] {
        PushTelemetryRequest {
            client_instance_id uuid [0+];
            subscription_id int32 [0+];
            terminating bool [0+];
            compression_type int8 [0+];
            metrics bytes [0+];
        }
    }

    list_config_resources_request ListConfigResourcesRequest [0-1] flexible [0+] {
        ListConfigResourcesRequest {
            resource_types [int8] [1+];
        }
    }
}
