//! What a configuration key is: its type, default, bounds, who may change it when, and whether it has an effect here.
//!
//! Every resource type has tables of [`Property`], one line per key, made with [`properties!`]. DescribeConfigs,
//! validation, the typed views and `docs/configuration.md` read them. Parsing follows Kafka's `ConfigDef`: values are
//! trimmed, booleans ignore case, lists split at commas, bounds are inclusive.

use std::collections::BTreeSet;
use std::fmt;

use super::layers::text_of;
use crate::types::ErrorCode;

/// Type of a key's value. The numbers are those of DescribeConfigs (KIP-569).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 16 bits, signed.
    Short = 4,
    /// 64 bits, signed.
    Long = 5,
    /// Floating point.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// Name of a Java class; here a name like any other.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl Kind {
    /// Kafka's name of the type, as its error messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }

    /// The type's number in DescribeConfigs.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// The value of a key that nobody sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unset {
    /// There is none, and the node does not start without one.
    Required,
    /// No value.
    Null,
    /// This one, in the form of a file's value.
    Is(&'static str),
}

/// What values a key takes, beyond its type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Check {
    /// Every value of the type.
    Any,
    /// At least this.
    AtLeast(i64),
    /// From the first to the second, both included.
    Between(i64, i64),
    /// The same, for floating point.
    Fraction(f64, f64),
    /// The one value, or between the other two.
    OrBetween(i64, i64, i64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list of these; may be empty.
    Members(&'static [&'static str]),
    /// A list of these; not empty.
    MembersNonEmpty(&'static [&'static str]),
    /// Null or a text that is not empty.
    NonEmpty,
    /// `[partition]:[broker],…`, or `*`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO-8601 duration (KIP-932).
    ShareOffsetReset,
}

/// How much Kafka thinks of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// When a broker key may change (KIP-226). Keys of other resources may always change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// At start only.
    ReadOnly,
    /// While running, for one broker at a time.
    PerBroker,
    /// While running, for one broker or for all.
    ClusterWide,
}

impl Update {
    /// Kafka's name of the mode.
    pub fn name(self) -> &'static str {
        match self {
            Update::ReadOnly => "read-only",
            Update::PerBroker => "per-broker",
            Update::ClusterWide => "cluster-wide",
        }
    }
}

/// One key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// Type of its value.
    pub kind: Kind,
    /// Its value when nobody sets it.
    pub default: Unset,
    /// Bounds of the value.
    pub check: Check,
    /// Rank in documentation.
    pub importance: Importance,
    /// When it may change.
    pub update: Update,
    /// True for keys that Kafka does not document; they are not described either.
    pub internal: bool,
    /// Why setting it has no effect here; `None` for a key that works.
    pub ignored: Option<&'static str>,
    /// What it does, with a leading space; see [`Property::doc`].
    #[doc(hidden)]
    pub raw_doc: &'static str,
}

/// Declares a table of [`Property`]: the doc comment becomes the key's documentation.
///
/// `"name", Kind, default, check, Importance, Update [, internal] [, ignored: why];`
macro_rules! properties {
    (
        $(#[$meta:meta])* $vis:vis $table:ident;
        $(
            $(#[doc = $doc:literal])+
            $name:literal, $kind:ident, $default:expr, $check:expr, $importance:ident, $update:ident
            $(, $flag:ident $(: $why:expr)?)*;
        )*
    ) => {
        $(#[$meta])*
        $vis static $table: &[$crate::config::property::Property] = {
            #[allow(unused_imports)]
            use $crate::config::property::{Check::*, Importance::*, Kind, Property, Unset::*, Update::*};
            &[$(
                Property {
                    name: $name,
                    kind: Kind::$kind,
                    default: $default,
                    check: $check,
                    importance: $importance,
                    update: $update,
                    internal: $crate::config::property::properties!(@internal $($flag)*),
                    ignored: $crate::config::property::properties!(@ignored $($($why)?)*),
                    raw_doc: concat!($($doc),+),
                },
            )*]
        };
    };
    (@internal) => { false };
    (@internal internal $($rest:tt)*) => { true };
    (@internal ignored $($rest:tt)*) => { $crate::config::property::properties!(@internal $($rest)*) };
    (@ignored) => { None };
    (@ignored $why:expr) => { Some($why) };
}
pub(crate) use properties;

/// A parsed value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// Of [`Kind::Boolean`].
    Boolean(bool),
    /// Of [`Kind::Int`], [`Kind::Short`] or [`Kind::Long`].
    Number(i64),
    /// Of [`Kind::Double`].
    Double(f64),
    /// Of [`Kind::String`] or [`Kind::Class`].
    Text(String),
    /// Of [`Kind::List`].
    List(Vec<String>),
    /// Of [`Kind::Password`].
    Secret(Secret),
}

/// Text that `Debug` and `Display` hide.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself; not for logs or answers.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// What is wrong with a configuration: always one line that names the key, the value and what is allowed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that its key does not take.
    #[error("Invalid value {value} for configuration {key}: {why}")]
    Value {
        /// The key.
        key: String,
        /// The value as given; hidden for passwords.
        value: String,
        /// What is allowed.
        why: String,
    },
    /// A value that its key's type or bounds do not take.
    #[error("{text}")]
    NotAllowed {
        /// What Kafka says, to the letter: scripts and clients' tests compare it.
        text: String,
        /// Type and bounds of the key.
        allowed: String,
    },
    /// A key that must be set is not.
    #[error("Missing required configuration \"{key}\" which has no default value.{hint}")]
    Missing {
        /// The key.
        key: String,
        /// What to do, with a leading space; or empty.
        hint: String,
    },
    /// A key that the resource does not know.
    #[error("Unknown {resource} config name: {key}")]
    Unknown {
        /// `topic`, `group`, `client metrics`, …
        resource: &'static str,
        /// The key.
        key: String,
    },
    /// A key that cannot change while the node runs.
    #[error("Cannot update these configs dynamically: {0}")]
    ReadOnly(String),
    /// Values that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// A request that makes no sense whatever the values are.
    #[error("{0}")]
    Request(String),
}

impl ConfigError {
    /// The same for an operator, who is told what is allowed too.
    pub fn explained(&self) -> String {
        match self {
            ConfigError::NotAllowed { text, allowed } => format!("{text} (allowed: {allowed})"),
            other => other.to_string(),
        }
    }

    /// The code that AlterConfigs and IncrementalAlterConfigs answer with.
    pub fn code(&self) -> ErrorCode {
        match self {
            ConfigError::Request(_) | ConfigError::ReadOnly(_) => ErrorCode::InvalidRequest,
            ConfigError::Value { .. }
            | ConfigError::NotAllowed { .. }
            | ConfigError::Missing { .. }
            | ConfigError::Unknown { .. }
            | ConfigError::Conflict(_) => ErrorCode::InvalidConfig,
        }
    }
}

/// Splits a list as Kafka does: blanks around a comma do not count, empty members do.
pub fn split_list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|member| member.trim().to_owned()).collect()
}

impl Property {
    /// What it does, in a sentence or two.
    pub fn doc(&self) -> &'static str {
        self.raw_doc.trim()
    }

    /// The default in the form of a file's value; `None` for null and for a required key.
    pub fn default_text(&self) -> Option<&'static str> {
        match self.default {
            Unset::Is(text) => Some(text),
            Unset::Null | Unset::Required => None,
        }
    }

    /// True if the value must never be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// The allowed values in Kafka's notation; empty if every value of the type is.
    pub fn allowed(&self) -> String {
        match self.check {
            Check::Any => String::new(),
            Check::AtLeast(min) => format!("[{min},...]"),
            Check::Between(min, max) => format!("[{min},...,{max}]"),
            Check::Fraction(min, max) => format!("[{min},...,{max}]"),
            Check::OrBetween(or, min, max) => format!("[{min},...,{max}] or {or}"),
            Check::OneOf(set) | Check::Members(set) | Check::MembersNonEmpty(set) => {
                format!("[{}]", set.join(", "))
            }
            Check::OneOfIgnoringCase(set) => format!("(case insensitive) [{}]", set.join(", ")),
            Check::NonEmpty => match self.kind {
                Kind::List => "non-empty list".to_owned(),
                _ => "non-empty string".to_owned(),
            },
            Check::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
            Check::ShareOffsetReset => "latest, earliest or by_duration:<ISO-8601 duration>".to_owned(),
        }
    }

    /// Parses and checks a value as a file or a request states it.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let value = self.parse_kind(text)?;
        self.check(&value).map_err(|text| self.not_allowed(text))?;
        Ok(value)
    }

    /// The default, parsed; [`Value::Null`] for a required key. Tables are tested to hold only defaults that parse.
    pub fn default_value(&self) -> Value {
        match self.default_text() {
            Some(text) => self.parse_kind(text).unwrap_or(Value::Null),
            None => Value::Null,
        }
    }

    fn parse_kind(&self, raw: &str) -> Result<Value, ConfigError> {
        let text = raw.trim();
        let not_a_number = || self.bad(raw, format!("Not a number of type {}", self.kind.name()));
        Ok(match self.kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
            Kind::Boolean => {
                return Err(self.bad(raw, "Expected value to be either true or false".to_owned()));
            }
            Kind::Int => Value::Number(text.parse::<i32>().map_err(|_| not_a_number())?.into()),
            Kind::Short => Value::Number(text.parse::<i16>().map_err(|_| not_a_number())?.into()),
            Kind::Long => Value::Number(text.parse::<i64>().map_err(|_| not_a_number())?),
            Kind::Double => {
                // Java's literals may end in a type letter.
                let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
                Value::Double(digits.parse::<f64>().map_err(|_| not_a_number())?)
            }
            Kind::String | Kind::Class => Value::Text(text.to_owned()),
            // A member that is there twice counts once (KIP-1161).
            Kind::List if self.check != Check::ThrottledReplicas => {
                let mut seen = BTreeSet::new();
                let list =
                    split_list(text).into_iter().filter(|member| seen.insert(member.clone())).collect();
                Value::List(list)
            }
            Kind::List => Value::List(split_list(text)),
            Kind::Password => Value::Secret(Secret::new(text)),
        })
    }

    /// What Kafka says of a value that the key does not take.
    fn check(&self, value: &Value) -> Result<(), String> {
        let invalid = |why: String| Err(self.invalid(&text_of(value).unwrap_or_default(), &why));
        match (self.check, value) {
            (Check::AtLeast(min) | Check::Between(min, _), Value::Number(n)) if *n < min => {
                invalid(format!("Value must be at least {min}"))
            }
            (Check::Between(_, max), Value::Number(n)) if *n > max => {
                invalid(format!("Value must be no more than {max}"))
            }
            (Check::OrBetween(or, min, max), Value::Number(n)) if *n != or && !(min..=max).contains(n) => {
                invalid(format!("Value must be between {min} and {max} or equal to {or}"))
            }
            (Check::Fraction(min, _), Value::Double(n)) if *n < min => {
                invalid(format!("Value must be at least {min}"))
            }
            (Check::Fraction(_, max), Value::Double(n)) if *n > max || n.is_nan() => {
                invalid(format!("Value must be no more than {max}"))
            }
            (Check::OneOf(set), Value::Text(text)) if !set.contains(&text.as_str()) => {
                invalid(format!("String must be one of: {}", set.join(", ")))
            }
            (Check::OneOfIgnoringCase(set), Value::Text(text))
                if !set.iter().any(|s| s.eq_ignore_ascii_case(text)) =>
            {
                invalid(format!("String must be one of (case insensitive): {}", set.join(", ")))
            }
            (Check::MembersNonEmpty(_) | Check::NonEmpty, Value::List(list)) if list.is_empty() => {
                Err(format!("Configuration '{}' must not be empty.", self.name))
            }
            (
                Check::Any | Check::Members(_) | Check::MembersNonEmpty(_) | Check::NonEmpty,
                Value::List(list),
            ) if list.iter().any(String::is_empty) => {
                Err(format!("Configuration '{}' values must not be empty.", self.name))
            }
            (Check::Members(set) | Check::MembersNonEmpty(set), Value::List(list)) => {
                match list.iter().find(|member| !set.contains(&member.as_str())) {
                    Some(member) => {
                        Err(self.invalid(member, &format!("String must be one of: {}", set.join(", "))))
                    }
                    None => Ok(()),
                }
            }
            (Check::NonEmpty, Value::Text(text)) if text.is_empty() => {
                invalid("String must be non-empty".to_owned())
            }
            (Check::ThrottledReplicas, Value::List(list)) if !throttled_replicas_valid(list) => {
                let why = format!(
                    "{} must be the literal '*' or a list of replicas in the following format: \
                     [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.name
                );
                Err(self.invalid(&format!("[{}]", list.join(", ")), &why))
            }
            (Check::ShareOffsetReset, Value::Text(text)) if parse_share_offset_reset(text).is_none() => {
                let why = format!(
                    "Invalid value `{}` for configuration {}. The value must be either 'earliest', 'latest' or of the \
                     format 'by_duration:<PnDTnHnMn.nS>'.",
                    one_line(text),
                    self.name
                );
                invalid(why)
            }
            _ => Ok(()),
        }
    }

    /// Kafka's words for a value that is wrong.
    fn invalid(&self, value: &str, why: &str) -> String {
        let value = if self.is_sensitive() { "[hidden]".to_owned() } else { one_line(value) };
        format!("Invalid value {value} for configuration {}: {why}", self.name)
    }

    fn not_allowed(&self, text: String) -> ConfigError {
        let allowed = match self.allowed() {
            bounds if bounds.is_empty() => self.kind.name().to_owned(),
            bounds => format!("{} {bounds}", self.kind.name()),
        };
        ConfigError::NotAllowed { text, allowed }
    }

    /// A text that does not parse, shown as it is.
    fn bad(&self, raw: &str, why: String) -> ConfigError {
        self.not_allowed(self.invalid(raw, &why))
    }
}

/// Bytes of a foreign value that a message repeats at most.
const SHOWN_BYTES_MAX: usize = 200;

/// A foreign text fit for one line of a message.
pub fn one_line(text: &str) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() > SHOWN_BYTES_MAX {
        let mut cut = SHOWN_BYTES_MAX;
        while !shown.is_char_boundary(cut) {
            cut -= 1;
        }
        shown.truncate(cut);
        shown.push_str("...");
    }
    shown
}

fn throttled_replicas_valid(list: &[String]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pair = |text: &String| text.split_once(':').is_some_and(|(p, b)| number(p) && number(b));
    matches!(list, [one] if one == "*") || list.iter().all(pair)
}

/// Where a share group begins on a partition that it has no state for (KIP-932).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShareOffsetReset {
    /// At the end.
    Latest,
    /// At the beginning.
    Earliest,
    /// At the first record that is at most this many milliseconds old.
    ByDuration(i64),
}

/// Parses `latest`, `earliest` or `by_duration:PnDTnHnMn.nS`; `None` if it is none of these. The duration must not be
/// negative.
pub fn parse_share_offset_reset(text: &str) -> Option<ShareOffsetReset> {
    if text.eq_ignore_ascii_case("latest") {
        return Some(ShareOffsetReset::Latest);
    }
    if text.eq_ignore_ascii_case("earliest") {
        return Some(ShareOffsetReset::Earliest);
    }
    let prefix = text.get(.."by_duration:".len())?;
    if !prefix.eq_ignore_ascii_case("by_duration:") {
        return None;
    }
    iso_duration_ms(&text[prefix.len()..]).map(ShareOffsetReset::ByDuration)
}

/// Milliseconds of an ISO-8601 duration of days and below.
fn iso_duration_ms(text: &str) -> Option<i64> {
    let upper = text.trim().to_ascii_uppercase();
    let body = upper.strip_prefix('P')?;
    let (days, time) = match body.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (body, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0f64;
    let mut take = |part: &str, units: &[(char, f64)]| -> Option<()> {
        let (mut rest, mut next) = (part, 0);
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let unit = rest[end..].chars().next()?;
            let at = next + units[next..].iter().position(|&(name, _)| name == unit)?;
            let number: f64 = rest[..end].parse().ok().filter(|n: &f64| *n >= 0.0)?;
            total += number * units[at].1;
            next = at + 1;
            rest = &rest[end + 1..];
        }
        Some(())
    };
    take(days, &[('D', 86_400_000.0)])?;
    take(time, &[('H', 3_600_000.0), ('M', 60_000.0), ('S', 1000.0)])?;
    (total < 9.2e18).then_some(total as i64)
}

#[cfg(test)]
#[path = "property_test.rs"]
mod tests;
