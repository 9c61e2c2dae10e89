//! Finalized feature levels (KIP-584): which may be used now.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The feature that stands for the metadata log's own formats.
pub const METADATA_VERSION: &str = "metadata.version";

/// Levels by feature name. A feature that is not there is at level 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    levels: Arc<BTreeMap<Arc<str>, i16>>,
}

impl Features {
    /// The level of a feature; 0 if it was never set.
    pub fn level(&self, name: &str) -> i16 {
        self.levels.get(name).copied().unwrap_or(0)
    }

    /// The level of `metadata.version`; 0 before the first one is written.
    pub fn metadata_version(&self) -> i16 {
        self.level(METADATA_VERSION)
    }

    /// Features above level 0, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i16)> {
        self.levels.iter().map(|(name, &level)| (name, level))
    }

    pub(super) fn set(&mut self, name: &str, level: i16) {
        let levels = Arc::make_mut(&mut self.levels);
        if level == 0 {
            levels.remove(name);
        } else {
            levels.insert(name.into(), level);
        }
    }
}
