//! Subscriptions by expression: which topics match.
//!
//! Kafka takes the syntax of RE2, of which that of the `regex` crate is a sibling; `\Q...\E` is translated. An
//! expression has to match the whole name. Both engines take time in proportion to the text, whatever the expression.
//! As in Kafka, internal topics match like others.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use crate::metadata::MetadataImage;
use crate::types::{Ms, TopicName};

/// What an expression may take compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// How deep an expression may be nested.
const NESTING_MAX: u32 = 100;
/// The shortest time between two resolutions of a group's expressions, in milliseconds.
pub(super) const MIN_INTERVAL_MS: Ms = 10_000;

/// The expression, to match whole names; or why there is none.
pub(super) fn compile(regex: &str) -> Result<Regex, String> {
    let translated = format!("^(?:{})$", unquoted(regex));
    let limits = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build()
    };
    // The expression by itself first: one like `a)(b` must not become one with what is put around it.
    limits(&unquoted(regex)).and_then(|_| limits(&translated)).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    })
}

/// `\Q...\E` as the characters that it stands for.
fn unquoted(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(literal));
            rest = after;
        } else {
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            out.push_str(&escape[..end]);
            rest = &escape[end..];
        }
    }
    out.push_str(rest);
    out
}

/// The topics that match; none if it is no expression.
pub(super) fn matching(regex: &str, image: &MetadataImage) -> BTreeSet<TopicName> {
    let Ok(compiled) = compile(regex) else { return BTreeSet::new() };
    let all = image.topics().iter();
    all.filter(|topic| compiled.is_match(&topic.name)).map(|topic| topic.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_match() {
        let matches = |regex: &str, name: &str| compile(regex).unwrap().is_match(name);
        assert!(matches("or.*", "orders"));
        assert!(!matches("rd", "orders"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(matches(r"\Qa.b\E\d", "a.b1") && !matches(r"\Qa.b\E\d", "axb1"));
        assert!(matches(r"\\Q", "\\Q"));
        assert!(matches("", "") && !matches("", "x"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for regex in ["(a", "a)(b", "[", "a{2,1}", "*", r"\", "(a{1000}){1000}", &"(".repeat(500)] {
            assert!(compile(regex).is_err(), "{regex}");
        }
    }
}
