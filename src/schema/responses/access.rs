//! Authentication, ACLs, tokens and credentials.

layouts! {
    sasl_handshake_response SaslHandshakeResponse [0-1] flexible [none] {
        SaslHandshakeResponse {
            error_code int16 [0+];
            mechanisms [string] [0+];
        }
    }

    sasl_authenticate_response SaslAuthenticateResponse [0-2] flexible [2+] {
        SaslAuthenticateResponse {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            auth_bytes bytes [0+];
            session_lifetime_ms int64 [1+];
        }
    }

    describe_acls_response DescribeAclsResponse [1-3] flexible [2+] {
        DescribeAclsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            resources [DescribeAclsResource] [0+];
        }
        DescribeAclsResource {
            resource_type int8 [0+];
            resource_name string [0+];
            pattern_type int8 [1+];
            acls [AclDescription] [0+];
        }
        AclDescription {
            principal string [0+];
            host string [0+];
            operation int8 [0+];
            permission_type int8 [0+];
        }
    }

    create_acls_response CreateAclsResponse [1-3] flexible [2+] {
        CreateAclsResponse {
            throttle_time_ms int32 [0+];
            results [AclCreationResult] [0+];
        }
        AclCreationResult {
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }

    delete_acls_response DeleteAclsResponse [1-3] flexible [2+] {
        DeleteAclsResponse {
            throttle_time_ms int32 [0+];
            filter_results [DeleteAclsFilterResult] [0+];
        }
        DeleteAclsFilterResult {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            matching_acls [DeleteAclsMatchingAcl] [0+];
        }
        DeleteAclsMatchingAcl {
            error_code int16 [0+];
            error_message string [0+] null [0+];
            resource_type int8 [0+];
            resource_name string [0+];
            pattern_type int8 [1+];
            principal string [0+];
            host string [0+];
            operation int8 [0+];
            permission_type int8 [0+];
        }
    }

    create_delegation_token_response CreateDelegationTokenResponse [1-3] flexible [2+] {
        CreateDelegationTokenResponse {
            error_code int16 [0+];
            principal_type string [0+];
            principal_name string [0+];
            token_requester_principal_type string [3+];
            token_requester_principal_name string [3+];
            issue_timestamp_ms int64 [0+];
            expiry_timestamp_ms int64 [0+];
            max_timestamp_ms int64 [0+];
            token_id string [0+];
            hmac bytes [0+];
            throttle_time_ms int32 [0+];
        }
    }

    renew_delegation_token_response RenewDelegationTokenResponse [1-2] flexible [2+] {
        RenewDelegationTokenResponse {
            error_code int16 [0+];
            expiry_timestamp_ms int64 [0+];
            throttle_time_ms int32 [0+];
        }
    }

    expire_delegation_token_response ExpireDelegationTokenResponse [1-2] flexible [2+] {
        ExpireDelegationTokenResponse {
            error_code int16 [0+];
            expiry_timestamp_ms int64 [0+];
            throttle_time_ms int32 [0+];
        }
    }

    describe_delegation_token_response DescribeDelegationTokenResponse [1-3] flexible [2+] {
        DescribeDelegationTokenResponse {
            error_code int16 [0+];
            tokens [DescribedDelegationToken] [0+];
            throttle_time_ms int32 [0+];
        }
        DescribedDelegationToken {
            principal_type string [0+];
            principal_name string [0+];
            token_requester_principal_type string [3+];
            token_requester_principal_name string [3+];
            issue_timestamp int64 [0+];
            expiry_timestamp int64 [0+];
            max_timestamp int64 [0+];
            token_id string [0+];
            hmac bytes [0+];
            renewers [DescribedDelegationTokenRenewer] [0+];
        }
        DescribedDelegationTokenRenewer {
            principal_type string [0+];
            principal_name string [0+];
        }
    }

    describe_user_scram_credentials_response DescribeUserScramCredentialsResponse [0] flexible [0+] {
        DescribeUserScramCredentialsResponse {
            throttle_time_ms int32 [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            results [DescribeUserScramCredentialsResult] [0+];
        }
        DescribeUserScramCredentialsResult {
            user string [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
            credential_infos [CredentialInfo] [0+];
        }
        CredentialInfo {
            mechanism int8 [0+];
            iterations int32 [0+];
        }
    }

    alter_user_scram_credentials_response AlterUserScramCredentialsResponse [0] flexible [0+] {
        AlterUserScramCredentialsResponse {
            throttle_time_ms int32 [0+];
            results [AlterUserScramCredentialsResult] [0+];
        }
        AlterUserScramCredentialsResult {
            user string [0+];
            error_code int16 [0+];
            error_message string [0+] null [0+];
        }
    }
}
