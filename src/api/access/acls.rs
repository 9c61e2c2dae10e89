//! DescribeAcls, CreateAcls and DeleteAcls without an authorizer: SECURITY_DISABLED, in Kafka's words (KIP-140).
//!
//! Nothing in a request is looked at, for Kafka does not look at it either.

use kafka_protocol::protocol::StrBytes;

use crate::api::{Api, On, RequestContext};
use crate::schema::api::create_acls_response::AclCreationResult;
use crate::schema::api::delete_acls_response::DeleteAclsFilterResult;
use crate::schema::api::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use crate::types::ErrorCode;

const DISABLED: i16 = ErrorCode::SecurityDisabled as i16;
/// What Kafka says to DescribeAcls.
const NOT_ON_THE_BROKER: StrBytes = StrBytes::from_static_str("No Authorizer is configured on the broker");
/// What Kafka says to changes.
const NOT_CONFIGURED: StrBytes = StrBytes::from_static_str("No Authorizer is configured.");

/// Key 29.
pub struct DescribeAcls;

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;
    type Response = DescribeAclsResponse;
    const KEY: i16 = 29;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=3;
    const ON: On = On::Both;

    async fn handle(_cx: &RequestContext, _request: DescribeAclsRequest) -> DescribeAclsResponse {
        DescribeAclsResponse::default().with_error_code(DISABLED).with_error_message(Some(NOT_ON_THE_BROKER))
    }
}

/// Key 30.
pub struct CreateAcls;

impl Api for CreateAcls {
    type Request = CreateAclsRequest;
    type Response = CreateAclsResponse;
    const KEY: i16 = 30;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=3;
    const ON: On = On::Both;

    async fn handle(_cx: &RequestContext, request: CreateAclsRequest) -> CreateAclsResponse {
        let refused = || {
            AclCreationResult::default().with_error_code(DISABLED).with_error_message(Some(NOT_CONFIGURED))
        };
        CreateAclsResponse::default()
            .with_results(request.creations.into_iter().map(|_creation| refused()).collect())
    }
}

/// Key 31.
pub struct DeleteAcls;

impl Api for DeleteAcls {
    type Request = DeleteAclsRequest;
    type Response = DeleteAclsResponse;
    const KEY: i16 = 31;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=3;
    const ON: On = On::Both;

    async fn handle(_cx: &RequestContext, request: DeleteAclsRequest) -> DeleteAclsResponse {
        let refused = || {
            DeleteAclsFilterResult::default()
                .with_error_code(DISABLED)
                .with_error_message(Some(NOT_CONFIGURED))
        };
        DeleteAclsResponse::default()
            .with_filter_results(request.filters.into_iter().map(|_filter| refused()).collect())
    }
}
