//! Feature levels (KIP-584): raised and lowered.

use crate::metadata::features::METADATA_VERSION;
use crate::metadata::versions::{METADATA_VERSION_MAX, METADATA_VERSION_MIN};
use crate::schema::metadata::FeatureLevelRecord;
use crate::types::ErrorCode;

use super::super::command::{ApiError, FeatureUpdate, Reply};
use super::{Decision, Facts, elr};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

/// Levels of `metadata.version` that changed what records say, so that going back below them could lose something.
const CHANGED_RECORDS: &[i16] = &[8, 11, 13, 14, 15, 17, 23, 30];

pub(super) fn update(
    facts: &Facts<'_>,
    updates: &[FeatureUpdate],
    validate_only: bool,
) -> Result<Decision, ApiError> {
    let mut records = Vec::with_capacity(updates.len());
    for update in updates {
        check(facts, update)?;
        if update.name == elr::FEATURE && update.level > 0 && facts.image.features().level(elr::FEATURE) == 0
        {
            records.extend(elr::before_turning_on(facts));
        }
        let record = FeatureLevelRecord { name: update.name.clone(), feature_level: update.level };
        records.push(record.into());
    }
    if validate_only {
        records.clear();
    }
    Ok(Decision { records, reply: Reply::UpdateFeatures })
}

fn check(facts: &Facts<'_>, update: &FeatureUpdate) -> Result<(), ApiError> {
    let FeatureUpdate { name, level, kind } = update;
    let invalid = |why: String| {
        let message = format!("Invalid update version {level} for feature {name}. {why}");
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if !(UPGRADE..=UNSAFE_DOWNGRADE).contains(kind) {
        return invalid("The controller does not support the given upgrade type.".to_owned());
    }
    if *level < 0 {
        return invalid("A feature version cannot be less than 0.".to_owned());
    }
    if let Some(why) = not_supported(facts, name, *level) {
        return invalid(why);
    }
    let current = facts.image.features().level(name);
    if *level < current && *kind == UPGRADE {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade."
                .to_owned(),
        );
    }
    if *level > current && *kind != UPGRADE {
        return invalid("Can't downgrade to a newer version.".to_owned());
    }
    if name == METADATA_VERSION { check_metadata_version(*level, current, *kind) } else { Ok(()) }
}

fn check_metadata_version(level: i16, current: i16, kind: i8) -> Result<(), ApiError> {
    let invalid = |why: &str| {
        Err(ApiError::new(
            ErrorCode::InvalidUpdateVersion,
            format!("Invalid metadata.version {level}. {why}"),
        ))
    };
    if level > METADATA_VERSION_MAX {
        return invalid("Unknown metadata.version.");
    }
    if level < METADATA_VERSION_MIN {
        return invalid("Unable to set a metadata.version less than 3.3-IV3");
    }
    let loses = CHANGED_RECORDS.iter().any(|changed| (level + 1..=current).contains(changed));
    match kind {
        SAFE_DOWNGRADE if loses => invalid(
            "Refusing to perform the requested downgrade because it might delete metadata information.",
        ),
        UNSAFE_DOWNGRADE if loses => invalid("Unsafe metadata downgrade is not supported in this version."),
        _ => Ok(()),
    }
}

/// Which node cannot do `level`, in Kafka's words; `None` if all can.
fn not_supported(facts: &Facts<'_>, name: &str, level: i16) -> Option<String> {
    let brokers = facts.image.brokers().iter().map(|b| (format!("Broker {}", b.id), &b.features));
    let me = facts.rules.node_id;
    let controllers = facts
        .image
        .controllers()
        .iter()
        .filter(|c| c.id != me)
        .map(|c| (format!("Controller {}", c.id), &c.features));
    let local = std::iter::once((format!("Local controller {me}"), &facts.rules.features));
    for (who, features) in local.chain(brokers).chain(controllers) {
        match features.iter().find(|f| &*f.name == name) {
            Some(range) if level == 0 && name != METADATA_VERSION && range.min == 0 => {}
            Some(range) if (range.min..=range.max).contains(&level) => {}
            Some(range) => {
                let range = if range.min == range.max {
                    range.min.to_string()
                } else {
                    format!("{}-{}", range.min, range.max)
                };
                return Some(format!("{who} only supports versions {range}"));
            }
            None if level == 0 => {}
            None => return Some(format!("{who} does not support this feature.")),
        }
    }
    None
}
