//! ApiVersions: what is served, and which features are in force (KIP-35, KIP-511, KIP-584).

use kafka_protocol::protocol::StrBytes;

use crate::api::{Answer, Api, On, RequestContext, Response, registry};
use crate::metadata::supported::SUPPORTED;
use crate::schema::api::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use crate::schema::api::{ApiVersionsRequest, ApiVersionsResponse};
use crate::schema::layout::Versions;
use crate::types::ErrorCode;
use crate::wire::versions;

/// Feature levels that may be 0 are told from this version on: older clients take 0 for an error (KAFKA-17011).
const LEVEL_ZERO_FROM: i16 = 4;
/// From this version on a client may say which cluster and node it believes to talk to (KIP-1242).
const IDENTITY_FROM: i16 = 5;

/// Key 18.
pub struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;
    const KEY: i16 = 18;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=5;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse {
        if cx.version >= 3 {
            if !is_software_word(&request.client_software_name)
                || !is_software_word(&request.client_software_version)
            {
                return failed(ErrorCode::InvalidRequest);
            }
            // The request's memory must not live as long as the connection.
            let copy = |text: &StrBytes| StrBytes::from_string(text.to_string());
            let (name, version) = (&request.client_software_name, &request.client_software_version);
            *cx.connection.software.lock() = Some((copy(name), copy(version)));
        }
        if cx.version >= IDENTITY_FROM && !is_addressed_to_us(cx, &request) {
            return failed(ErrorCode::RebootstrapRequired);
        }
        let image = cx.broker.image();
        let mut response = ApiVersionsResponse::default();
        response.api_keys = served(cx);
        response.supported_features = SUPPORTED
            .iter()
            .filter(|feature| feature.min > 0 || cx.version >= LEVEL_ZERO_FROM)
            .map(|feature| SupportedFeatureKey {
                name: StrBytes::from_static_str(feature.name),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect();
        response.finalized_features_epoch = image.offset();
        response.finalized_features = image
            .features()
            .iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name: StrBytes::from_string(name.to_string()),
                min_version_level: level,
                max_version_level: level,
            })
            .collect();
        response
    }
}

impl ApiVersions {
    /// The answer to a version that is not served: version 0 of the answer, with the range to choose from (KIP-511).
    pub(in crate::api) fn unsupported_version(mut cx: RequestContext) -> Answer {
        cx.version = 0;
        let range = ApiVersion {
            api_key: Self::KEY,
            min_version: *Self::VERSIONS.start(),
            max_version: *Self::VERSIONS.end(),
        };
        let response = ApiVersionsResponse { api_keys: vec![range], ..failed(ErrorCode::UnsupportedVersion) };
        match Response::encode(&cx, &response) {
            Some(response) => Answer::Ready(response),
            None => Answer::Close("the answer to ApiVersions cannot be encoded".to_owned()),
        }
    }
}

fn served(cx: &RequestContext) -> Vec<ApiVersion> {
    let here = registry::APIS.iter().filter(|entry| entry.is_served(&cx.broker, &cx.connection.listener));
    here.map(|entry| {
        let served = Versions::new(*entry.versions.start(), *entry.versions.end());
        let advertised = versions::api(entry.key).map_or(served, |api| api.advertised(served));
        ApiVersion { api_key: entry.key, min_version: advertised.min, max_version: advertised.max }
    })
    .collect()
}

fn failed(error: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: error.code(), ..ApiVersionsResponse::default() }
}

/// Letters and digits, with dashes and dots between them (KIP-511).
fn is_software_word(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let is_outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_outer(text.chars().next()) && is_outer(text.chars().next_back()) && text.chars().all(is_inner)
}

fn is_addressed_to_us(cx: &RequestContext, request: &ApiVersionsRequest) -> bool {
    let cluster = request.cluster_id.as_ref().is_none_or(|id| **id == *cx.broker.cluster_id);
    cluster && (request.node_id == -1 || request.node_id == cx.broker.config.node_id)
}

#[cfg(test)]
mod tests {
    use super::is_software_word;

    #[test]
    fn software_names_are_words() {
        for good in ["a", "apache-kafka-java", "4.4.0", "librdkafka-2.14"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".", "a b", "a_b", "ä"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
