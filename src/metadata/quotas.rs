//! Client quotas as the log has them (KIP-546). Which one holds for a client is `security::quota`'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

/// Whom a quota is for: parts such as (`user`, `alice`), ordered by type; no name means the default of that type.
pub type QuotaEntity = Vec<(Arc<str>, Option<Arc<str>>)>;

/// Quota values by entity and key, such as `producer_byte_rate`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas {
    by_entity: OrdMap<QuotaEntity, Arc<BTreeMap<Arc<str>, f64>>>,
}

impl Quotas {
    /// The values of an entity.
    pub fn get(&self, entity: &QuotaEntity) -> Option<&Arc<BTreeMap<Arc<str>, f64>>> {
        self.by_entity.get(entity)
    }

    /// All entities with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &Arc<BTreeMap<Arc<str>, f64>>)> {
        self.by_entity.iter()
    }

    pub(super) fn set(&mut self, entity: QuotaEntity, key: &str, value: Option<f64>) {
        match value {
            Some(value) => {
                Arc::make_mut(self.by_entity.entry(entity).or_default()).insert(key.into(), value);
            }
            None => {
                let Some(values) = self.by_entity.get_mut(&entity) else { return };
                Arc::make_mut(values).remove(key);
                if values.is_empty() {
                    self.by_entity.remove(&entity);
                }
            }
        }
    }
}
