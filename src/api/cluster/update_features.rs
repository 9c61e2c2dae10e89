//! UpdateFeatures: raises and lowers feature levels, all of a request's or none (KIP-584, KIP-1022).

use kafka_protocol::protocol::StrBytes;

use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::{invalid_request, message};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, FeatureUpdate, Reply};
use crate::controller::remote::features::ALL_FAILED;
use crate::schema::api::update_features_request::FeatureUpdateKey;
use crate::schema::api::update_features_response::UpdatableFeatureResult;
use crate::schema::api::{UpdateFeaturesRequest, UpdateFeaturesResponse};

/// Before this version a request can only allow downgrades or not.
const KINDS_FROM: i16 = 1;
/// Up to this version the answer has a line for each feature.
const RESULTS_UP_TO: i16 = 1;

/// Key 57.
pub struct UpdateFeatures;

impl Api for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    type Response = UpdateFeaturesResponse;
    const KEY: i16 = 57;
    const VERSIONS: std::ops::RangeInclusive<i16> = 0..=2;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
        let names: Vec<StrBytes> =
            request.feature_updates.iter().map(|update| update.feature.clone()).collect();
        match update(cx, request).await {
            Ok(()) => {
                let response = UpdateFeaturesResponse::default().with_error_message(None);
                if cx.version > RESULTS_UP_TO {
                    return response;
                }
                let each = names.into_iter().map(|name| {
                    UpdatableFeatureResult::default().with_feature(name).with_error_message(None)
                });
                response.with_results(each.collect())
            }
            Err(error) => UpdateFeaturesResponse::default()
                .with_error_code(error.code.code())
                .with_error_message(Some(message(&error))),
        }
    }
}

async fn update(cx: &RequestContext, request: UpdateFeaturesRequest) -> Result<(), ApiError> {
    let mut names: Vec<&StrBytes> = request.feature_updates.iter().map(|update| &update.feature).collect();
    names.sort();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid_request("Duplicate feature name."));
    }
    let version = cx.version;
    let updates = request.feature_updates.iter().map(|update| wanted(version, update)).collect();
    let command = Command::UpdateFeatures { updates, validate_only: request.validate_only };
    match submit(cx, command, wait_of(request.timeout_ms)).await {
        Ok(Reply::UpdateFeatures) => Ok(()),
        Ok(other) => Err(unexpected(&other)),
        Err(ApiError { code, message: Some(why) }) => Err(ApiError::new(code, format!("{ALL_FAILED}{why}"))),
        Err(error) => Err(error),
    }
}

fn wanted(version: i16, update: &FeatureUpdateKey) -> FeatureUpdate {
    let kind = match update.allow_downgrade {
        _ if version >= KINDS_FROM => update.upgrade_type,
        // What allowed a downgrade before there were kinds allowed a safe one.
        true => 2,
        false => 1,
    };
    FeatureUpdate { name: update.feature.to_string(), level: update.max_version_level, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_requests_allow_safe_downgrades() {
        let update = FeatureUpdateKey::default().with_allow_downgrade(true);
        assert_eq!(wanted(0, &update).kind, 2);
        assert_eq!(wanted(0, &FeatureUpdateKey::default()).kind, 1);
        assert_eq!(wanted(1, &FeatureUpdateKey::default().with_upgrade_type(3)).kind, 3);
    }

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        use crate::controller::remote::features;
        use crate::types::ErrorCode;
        let update = |name: &str, level, kind| FeatureUpdate { name: name.to_owned(), level, kind };
        let updates = vec![update("a", 3, 1), update("b", 0, 2), update("c", 1, 3)];
        let request = features::request(&updates, true, 4);
        let request = crate::api::test_wire::over_the_wire(features::VERSION, &request);
        assert_eq!((request.validate_only, request.timeout_ms), (true, 4));
        let arrived = request.feature_updates.iter().map(|one| wanted(features::VERSION, one));
        assert_eq!(arrived.collect::<Vec<_>>(), updates);
        let refused = UpdateFeaturesResponse::default()
            .with_error_code(ErrorCode::InvalidUpdateVersion.code())
            .with_error_message(Some(StrBytes::from_string(format!("{ALL_FAILED}why"))));
        let error = ApiError::new(ErrorCode::InvalidUpdateVersion, "why");
        assert_eq!(features::reply(refused), Err(error));
        let done = UpdateFeaturesResponse::default().with_error_message(None);
        assert_eq!(features::reply(done), Ok(Reply::UpdateFeatures));
    }
}
