//! SCRAM credentials by mechanism and user (KIP-800).

use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;

/// SCRAM-SHA-256 in the log and in requests.
pub const SHA_256: i8 = 1;
/// SCRAM-SHA-512 in the log and in requests.
pub const SHA_512: i8 = 2;

/// All credentials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScramCredentials {
    by_user: OrdMap<(Arc<str>, i8), Arc<ScramCredential>>,
}

/// What the server keeps instead of a password (RFC 5802).
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// Salt.
    pub salt: Box<[u8]>,
    /// StoredKey.
    pub stored_key: Box<[u8]>,
    /// ServerKey.
    pub server_key: Box<[u8]>,
    /// Rounds of the key derivation.
    pub iterations: i32,
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has the keys can pretend to be the server, so they are never printed.
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramCredentials {
    /// A user's credential for a mechanism, [`SHA_256`] or [`SHA_512`].
    pub fn get(&self, user: &str, mechanism: i8) -> Option<&Arc<ScramCredential>> {
        self.by_user.get(&(user.into(), mechanism))
    }

    /// All of them, by user and mechanism.
    pub fn iter(&self) -> impl Iterator<Item = (&(Arc<str>, i8), &Arc<ScramCredential>)> {
        self.by_user.iter()
    }

    pub(super) fn put(&mut self, user: &str, mechanism: i8, credential: ScramCredential) {
        self.by_user.insert((user.into(), mechanism), Arc::new(credential));
    }

    pub(super) fn remove(&mut self, user: &str, mechanism: i8) -> bool {
        self.by_user.remove(&(user.into(), mechanism)).is_some()
    }
}
