//! Feature levels: UpdateFeatures.

use super::{outcome, text};
use crate::controller::command::{ApiError, FeatureUpdate, Reply};
use crate::schema::api::update_features_request::FeatureUpdateKey;
use crate::schema::api::{UpdateFeaturesRequest, UpdateFeaturesResponse};

/// The version that is asked in.
pub const VERSION: i16 = 2;
/// What the answer says before the reason, since it is all or none.
pub const ALL_FAILED: &str = "The update failed for all features since the following feature had an error: ";

/// UpdateFeatures as a broker passes it on.
pub fn request(updates: &[FeatureUpdate], validate_only: bool, timeout_ms: i32) -> UpdateFeaturesRequest {
    let each = updates.iter().map(|update| {
        FeatureUpdateKey::default()
            .with_feature(text(&update.name))
            .with_max_version_level(update.level)
            .with_upgrade_type(update.kind)
    });
    UpdateFeaturesRequest::default()
        .with_timeout_ms(timeout_ms)
        .with_feature_updates(each.collect())
        .with_validate_only(validate_only)
}

/// Back from the answer.
///
/// # Errors
///
/// What the answer says, without the words that every failure begins with.
pub fn reply(response: UpdateFeaturesResponse) -> Result<Reply, ApiError> {
    match outcome(response.error_code, response.error_message) {
        Ok(()) => Ok(Reply::UpdateFeatures),
        Err(ApiError { code, message }) => {
            // The broker says it again when it answers the client.
            let message = message.map(|m| m.strip_prefix(ALL_FAILED).map(str::to_owned).unwrap_or(m));
            Err(ApiError { code, message })
        }
    }
}
