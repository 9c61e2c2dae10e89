//! Delegation tokens as the log has them (KIP-900).

use std::sync::Arc;

use imbl::OrdMap;

use crate::types::Ms;

/// All tokens by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    by_id: OrdMap<Arc<str>, Arc<Token>>,
}

/// One token. Its secret is derived from its id and the cluster's master key, and is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Principal that the token speaks for.
    pub owner: Arc<str>,
    /// Principal that asked for it.
    pub requester: Arc<str>,
    /// Principals that may renew it.
    pub renewers: Vec<Arc<str>>,
    /// When it was made.
    pub issued: Ms,
    /// After this it cannot be renewed.
    pub max_timestamp: Ms,
    /// When it ends unless it is renewed.
    pub expires: Ms,
}

impl Tokens {
    /// The token with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Token>> {
        self.by_id.get(id)
    }

    /// All tokens in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Token>)> {
        self.by_id.iter()
    }

    pub(super) fn put(&mut self, id: &str, token: Token) {
        self.by_id.insert(id.into(), Arc::new(token));
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        self.by_id.remove(id).is_some()
    }
}
