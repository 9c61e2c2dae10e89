//! Authentication, ACLs, tokens and credentials.

layouts! {
    sasl_handshake_request SaslHandshakeRequest [0-1] flexible [none] {
        SaslHandshakeRequest {
            mechanism string [0+];
        }
    }

    sasl_authenticate_request SaslAuthenticateRequest [0-2] flexible [2+] {
        SaslAuthenticateRequest {
            auth_bytes bytes [0+];
        }
    }

    describe_acls_request DescribeAclsRequest [1-3] flexible [2+] {
        DescribeAclsRequest {
            resource_type_filter int8 [0+];
            resource_name_filter string [0+] null [0+];
            pattern_type_filter int8 [1+];
            principal_filter string [0+] null [0+];
            host_filter string [0+] null [0+];
            operation int8 [0+];
            permission_type int8 [0+];
        }
    }

    create_acls_request CreateAclsRequest [1-3] flexible [2+] {
        CreateAclsRequest {
            creations [AclCreation] [0+];
        }
        AclCreation {
            resource_type int8 [0+];
            resource_name string [0+];
            resource_pattern_type int8 [1+];
            principal string [0+];
            host string [0+];
            operation int8 [0+];
            permission_type int8 [0+];
        }
    }

    delete_acls_request DeleteAclsRequest [1-3] flexible [2+] {
        DeleteAclsRequest {
            filters [DeleteAclsFilter] [0+];
        }
        DeleteAclsFilter {
            resource_type_filter int8 [0+];
            resource_name_filter string [0+] null [0+];
            pattern_type_filter int8 [1+];
            principal_filter string [0+] null [0+];
            host_filter string [0+] null [0+];
            operation int8 [0+];
            permission_type int8 [0+];
        }
    }

    create_delegation_token_request CreateDelegationTokenRequest [1-3] flexible [2+] {
        CreateDelegationTokenRequest {
            owner_principal_type string [3+] null [3+];
            owner_principal_name string [3+] null [3+];
            renewers [CreatableRenewers] [0+];
            max_lifetime_ms int64 [0+];
        }
        CreatableRenewers {
            principal_type string [0+];
            principal_name string [0+];
        }
    }

    renew_delegation_token_request RenewDelegationTokenRequest [1-2] flexible [2+] {
        RenewDelegationTokenRequest {
            hmac bytes [0+];
            renew_period_ms int64 [0+];
        }
    }

    expire_delegation_token_request ExpireDelegationTokenRequest [1-2] flexible [2+] {
        ExpireDelegationTokenRequest {
            hmac bytes [0+];
            expiry_time_period_ms int64 [0+];
        }
    }

    describe_delegation_token_request DescribeDelegationTokenRequest [1-3] flexible [2+] {
        DescribeDelegationTokenRequest {
            owners [DescribeDelegationTokenOwner] [0+] null [0+];
        }
        DescribeDelegationTokenOwner {
            principal_type string [0+];
            principal_name string [0+];
        }
    }

    describe_user_scram_credentials_request DescribeUserScramCredentialsRequest [0] flexible [0+] {
        DescribeUserScramCredentialsRequest {
            users [UserName] [0+] null [0+];
        }
        UserName {
            name string [0+];
        }
    }

    alter_user_scram_credentials_request AlterUserScramCredentialsRequest [0] flexible [0+] {
        AlterUserScramCredentialsRequest {
            deletions [ScramCredentialDeletion] [0+];
            upsertions [ScramCredentialUpsertion] [0+];
        }
        ScramCredentialDeletion {
            name string [0+];
            mechanism int8 [0+];
        }
        ScramCredentialUpsertion {
            name string [0+];
            mechanism int8 [0+];
            iterations int32 [0+];
            salt bytes [0+];
            salted_password bytes [0+];
        }
    }
}
