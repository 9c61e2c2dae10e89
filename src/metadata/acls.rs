//! Access control entries as the log has them (KIP-801). What they mean is `security::acl`'s business.

use std::sync::Arc;

use imbl::OrdMap;
use uuid::Uuid;

/// All entries by their id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acls {
    by_id: OrdMap<Uuid, Arc<Acl>>,
}

/// One entry; numbers are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Acl {
    /// `ResourceType`.
    pub resource_type: i8,
    /// The resource's name, a prefix of it, or `*`.
    pub resource_name: Arc<str>,
    /// `PatternType`.
    pub pattern_type: i8,
    /// Such as `User:alice`.
    pub principal: Arc<str>,
    /// An address or `*`.
    pub host: Arc<str>,
    /// `AclOperation`.
    pub operation: i8,
    /// `AclPermissionType`.
    pub permission_type: i8,
}

impl Acls {
    /// The entry with this id.
    pub fn get(&self, id: Uuid) -> Option<&Arc<Acl>> {
        self.by_id.get(&id)
    }

    /// All entries in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&Uuid, &Arc<Acl>)> {
        self.by_id.iter()
    }

    pub(super) fn put(&mut self, id: Uuid, acl: Acl) {
        self.by_id.insert(id, Arc::new(acl));
    }

    pub(super) fn remove(&mut self, id: Uuid) -> bool {
        self.by_id.remove(&id).is_some()
    }
}
