//! Parsed values by key: what the typed views are made from.
//!
//! Every key of a table is present. Asking for a key that the table lacks, or as another type than the table's, is a
//! mistake in this crate; tests that build every view find it.

use std::collections::BTreeMap;

use super::property::{ConfigError, Property, Secret, Unset, Value};

/// Parsed values of every key of a table.
#[derive(Clone, Debug)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// `set` over the table's defaults. A value that does not parse counts as not set; callers that must refuse it
    /// use [`Values::try_of`].
    pub fn of(table: &'static [Property], set: &BTreeMap<String, String>) -> Values {
        let value =
            |p: &Property| set.get(p.name).and_then(|text| p.parse(text).ok()).unwrap_or(p.default_value());
        Values(table.iter().map(|p| (p.name, value(p))).collect())
    }

    /// `set` over the table's defaults; the error of the first value, by name, that is wrong or missing.
    pub fn try_of<'a>(
        table: impl Iterator<Item = &'static Property>,
        set: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Values, ConfigError> {
        let mut values = BTreeMap::new();
        for p in table {
            let value = match set(p.name) {
                Some(text) => p.parse(text)?,
                None if p.default == Unset::Required => {
                    return Err(ConfigError::Missing { key: p.name.to_owned(), hint: String::new() });
                }
                None => p.default_value(),
            };
            values.insert(p.name, value);
        }
        Ok(Values(values))
    }

    /// The value of a key; [`Value::Null`] too for a key that is not there.
    pub fn get(&self, key: &str) -> &Value {
        debug_assert!(self.0.contains_key(key), "no table has the key {key}");
        self.0.get(key).unwrap_or(&Value::Null)
    }

    pub(crate) fn set(&mut self, key: &'static str, value: Value) {
        self.0.insert(key, value);
    }

    /// A number that may be null.
    pub fn opt_long(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Value::Number(n) => Some(*n),
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no number");
                None
            }
        }
    }

    /// A number; 0 for null.
    pub fn long(&self, key: &str) -> i64 {
        self.opt_long(key).unwrap_or(0)
    }

    /// A 32-bit number that may be null. The table's type keeps it in range.
    pub fn opt_int(&self, key: &str) -> Option<i32> {
        self.opt_long(key).and_then(|n| i32::try_from(n).ok())
    }

    /// A 32-bit number; 0 for null.
    pub fn int(&self, key: &str) -> i32 {
        self.opt_int(key).unwrap_or(0)
    }

    /// A 16-bit number; 0 for null.
    pub fn short(&self, key: &str) -> i16 {
        i16::try_from(self.long(key)).unwrap_or(0)
    }

    /// A count or size that cannot be negative; 0 for null.
    pub fn size(&self, key: &str) -> usize {
        usize::try_from(self.long(key)).unwrap_or(0)
    }

    /// A floating-point number; 0 for null.
    pub fn double(&self, key: &str) -> f64 {
        match self.get(key) {
            Value::Double(n) => *n,
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no double");
                0.0
            }
        }
    }

    /// True or false; false for null.
    pub fn boolean(&self, key: &str) -> bool {
        match self.get(key) {
            Value::Boolean(b) => *b,
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no boolean");
                false
            }
        }
    }

    /// A text or class name; `None` for null.
    pub fn opt_text(&self, key: &str) -> Option<String> {
        match self.get(key) {
            Value::Text(text) => Some(text.clone()),
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no text");
                None
            }
        }
    }

    /// A text; empty for null.
    pub fn text(&self, key: &str) -> String {
        self.opt_text(key).unwrap_or_default()
    }

    /// A list; `None` for null.
    pub fn opt_list(&self, key: &str) -> Option<Vec<String>> {
        match self.get(key) {
            Value::List(list) => Some(list.clone()),
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no list");
                None
            }
        }
    }

    /// A list; empty for null.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.opt_list(key).unwrap_or_default()
    }

    /// A password; `None` for null.
    pub fn secret(&self, key: &str) -> Option<Secret> {
        match self.get(key) {
            Value::Secret(secret) => Some(secret.clone()),
            other => {
                debug_assert_eq!(*other, Value::Null, "{key} is no password");
                None
            }
        }
    }
}
