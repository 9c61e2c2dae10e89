//! Releases of Kafka, and the feature levels a fresh cluster of each has (KIP-1022).

use crate::metadata::versions::{METADATA_VERSION_MAX, METADATA_VERSION_MIN};

/// Feature that counts the metadata format.
pub const METADATA_VERSION: &str = "metadata.version";
/// Feature that counts the quorum's protocol; it is no metadata record.
pub const KRAFT_VERSION: &str = "kraft.version";

/// Every stable `metadata.version`, by release and step, with its level.
const METADATA_VERSIONS: &[(&str, u8, i16)] = &[
    ("3.3", 3, 7),
    ("3.4", 0, 8),
    ("3.5", 0, 9),
    ("3.5", 1, 10),
    ("3.5", 2, 11),
    ("3.6", 0, 12),
    ("3.6", 1, 13),
    ("3.6", 2, 14),
    ("3.7", 0, 15),
    ("3.7", 1, 16),
    ("3.7", 2, 17),
    ("3.7", 3, 18),
    ("3.7", 4, 19),
    ("3.8", 0, 20),
    ("3.9", 0, 21),
    ("4.0", 0, 22),
    ("4.0", 1, 23),
    ("4.0", 2, 24),
    ("4.0", 3, 25),
    ("4.1", 0, 26),
    ("4.1", 1, 27),
    ("4.2", 0, 28),
    ("4.2", 1, 29),
    ("4.3", 0, 30),
    ("4.4", 0, 31),
    ("4.4", 1, 32),
    ("4.4", 2, 33),
];

/// A feature other than `metadata.version`.
struct Feature {
    name: &'static str,
    /// Its highest level.
    max: i16,
    /// From which `metadata.version` on a fresh cluster has which level, ascending.
    defaults: &'static [(i16, i16)],
    /// The lowest `metadata.version` with which it can be at level 1 or above.
    needs: i16,
}

const FEATURES: &[Feature] = &[
    Feature { name: "eligible.leader.replicas.version", max: 1, defaults: &[(26, 1)], needs: 23 },
    Feature { name: "group.version", max: 1, defaults: &[(22, 1)], needs: 0 },
    Feature { name: "share.version", max: 2, defaults: &[(28, 1), (33, 2)], needs: 0 },
    Feature { name: "streams.version", max: 1, defaults: &[(29, 1)], needs: 0 },
    Feature { name: "transaction.version", max: 2, defaults: &[(24, 2)], needs: 0 },
];

/// The full name of a level, such as `4.3-IV0`.
pub fn name_of(level: i16) -> String {
    match METADATA_VERSIONS.iter().find(|(_, _, l)| *l == level) {
        Some((release, step, _)) => format!("{release}-IV{step}"),
        None => format!("level {level}"),
    }
}

/// The level of a release (`4.3`, `4.3.1`) or of a step (`4.3-IV0`).
///
/// # Errors
///
/// One line, if there is no such release or this version does not know it yet.
pub fn level_of(name: &str) -> Result<i16, String> {
    let found = match name.split_once("-IV") {
        Some((release, step)) => {
            METADATA_VERSIONS.iter().find(|(r, s, _)| *r == release && step.parse() == Ok(*s))
        }
        None => {
            let mut parts = name.splitn(3, '.');
            let release = match (parts.next(), parts.next()) {
                (Some(major), Some(minor)) => format!("{major}.{minor}"),
                _ => name.to_owned(),
            };
            METADATA_VERSIONS.iter().rev().find(|(r, ..)| *r == release)
        }
    };
    found.map(|(_, _, level)| *level).filter(|level| *level <= METADATA_VERSION_MAX).ok_or_else(|| {
        let (from, to) = (name_of(METADATA_VERSION_MIN), name_of(METADATA_VERSION_MAX));
        format!("Unknown release version '{name}'. Supported versions are: {from} to {to}")
    })
}

/// The levels that a cluster begins with: those of `metadata_version`'s release, with `set` over them. Ordered by name;
/// `metadata.version` and `kraft.version` are not among them, nor are levels of 0.
///
/// # Errors
///
/// One line, for a feature or level that there is not, or that `metadata_version` is too old for.
pub fn levels(metadata_version: i16, set: &[(String, i16)]) -> Result<Vec<(&'static str, i16)>, String> {
    for (name, _) in set {
        if !FEATURES.iter().any(|f| f.name == name) && name != METADATA_VERSION && name != KRAFT_VERSION {
            let known: Vec<&str> = FEATURES.iter().map(|f| f.name).chain([KRAFT_VERSION]).collect();
            return Err(format!("Unsupported feature: {name}. Supported features are: {}", known.join(", ")));
        }
    }
    let mut levels = Vec::new();
    for feature in FEATURES {
        let default =
            feature.defaults.iter().rev().find(|(from, _)| *from <= metadata_version).map_or(0, |d| d.1);
        let level =
            set.iter().rev().find(|(name, _)| name == feature.name).map_or(default, |(_, level)| *level);
        if !(0..=feature.max).contains(&level) {
            return Err(format!(
                "No feature:{} with feature level {level}; levels are 0 to {}",
                feature.name, feature.max
            ));
        }
        if level > 0 && metadata_version < feature.needs {
            return Err(format!(
                "{} could not be set to {level} because it depends on metadata.version level {}",
                feature.name, feature.needs
            ));
        }
        if level > 0 {
            levels.push((feature.name, level));
        }
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kafka-storage version-mapping` of Kafka 4.3.1 prints.
    #[test]
    fn releases_have_kafkas_levels() {
        for (release, level) in [
            ("3.3", 7),
            ("3.3-IV3", 7),
            ("3.4", 8),
            ("3.5", 11),
            ("3.6", 14),
            ("3.7", 19),
            ("3.8", 20),
            ("3.9", 21),
            ("4.0", 25),
            ("4.1", 27),
            ("4.2", 29),
            ("4.3", 30),
            ("4.3.1", 30),
        ] {
            assert_eq!(level_of(release), Ok(level), "{release}");
        }
        for unknown in ["3.2", "4", "4.3-IV9", "9.9", ""] {
            assert!(level_of(unknown).expect_err(unknown).contains("3.3-IV3"), "{unknown}");
        }
    }

    #[test]
    fn features_follow_the_release_unless_they_are_set() {
        assert_eq!(levels(21, &[]), Ok(vec![]));
        assert_eq!(levels(25, &[]), Ok(vec![("group.version", 1), ("transaction.version", 2)]));
        assert_eq!(levels(30, &[]).map(|all| all.len()), Ok(5));
        let set = |name: &str, level| vec![(name.to_owned(), level)];
        assert_eq!(levels(25, &set("transaction.version", 0)), Ok(vec![("group.version", 1)]));
        assert!(
            levels(25, &set("nope", 1)).expect_err("no feature").starts_with("Unsupported feature: nope")
        );
        assert!(levels(25, &set("group.version", 9)).is_err());
        assert!(
            levels(21, &set("eligible.leader.replicas.version", 1))
                .expect_err("too old")
                .contains("depends on")
        );
    }
}
