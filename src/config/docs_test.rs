//! What the tables say against what Kafka says, and against what the page says.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::config::topic;
use crate::env::Env;
use crate::env::disk::{read_file, replace_file};

/// Kafka 4.4's keys: resource, name, default, type, allowed values, importance, internal, and the update mode of a
/// broker key or the broker keys behind a topic key.
const KAFKAS_KEYS: &str = include_str!("../../tests/fixtures/kafka-configs.tsv");

/// Allowed values that Kafka's own listing leaves out, or that name a check which is made elsewhere.
fn allowed_differs(name: &str, theirs: &str) -> bool {
    let ours_is_more = ["advertised.listeners", "listeners", "log.dir", "log.dirs"];
    let checked_in_the_view = ["non-empty list", "non-null string"];
    ours_is_more.contains(&name) || checked_in_the_view.contains(&theirs)
}

#[test]
fn the_tables_are_kafkas() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in KAFKAS_KEYS.lines().skip(1) {
        let column: Vec<&str> = line.split('\t').collect();
        let [resource, name, default, kind, allowed, importance, internal, last] = column[..] else {
            panic!("eight columns: {line}");
        };
        *seen.entry(resource).or_default() += 1;
        let p = match resource {
            "broker" => broker::property(name),
            _ => topic::property(name),
        };
        let p = p.unwrap_or_else(|| panic!("{resource} key {name} is in no table"));
        let ours = match p.default {
            Unset::Required => "(none: required)",
            Unset::Null => "null",
            Unset::Is(text) => text,
        };
        assert_eq!(ours, default.strip_prefix("class ").unwrap_or(default), "default of {name}");
        assert_eq!(p.kind.name(), kind, "type of {name}");
        assert_eq!(format!("{:?}", p.importance).to_uppercase(), importance, "importance of {name}");
        assert_eq!(p.internal.to_string(), internal, "{name}");
        if !allowed_differs(name, allowed) {
            assert_eq!(p.allowed(), allowed, "allowed values of {name}");
        }
        match resource {
            "broker" => assert_eq!(p.update.name(), last, "update mode of {name}"),
            _ => assert_eq!(broker_synonyms(name).join(","), last, "broker keys behind {name}"),
        }
    }
    assert_eq!((seen["broker"], seen["topic"]), (379, 38));
    // Ours on top.
    assert_eq!((broker::properties().len(), TOPIC_PROPERTIES.len()), (379 + 3, 38 + 1));
}

#[test]
fn defaults_and_texts_are_sound() {
    let tables = [TOPIC_PROPERTIES, GROUP_PROPERTIES, CLIENT_METRICS_PROPERTIES];
    let all = broker::properties().iter().copied().chain(tables.into_iter().flatten());
    for p in all {
        if let Some(text) = p.default_text() {
            // Kafka's broker default of -1 for broker.id and the like is in bounds too.
            assert!(p.parse(text).is_ok(), "default of {}: {:?}", p.name, p.parse(text));
        }
        assert!(p.doc().ends_with('.'), "{}", p.name);
        assert!(!p.doc().contains("  "), "{}", p.name);
        assert!(p.ignored.is_none_or(|why| !why.ends_with('.') && !why.is_empty()), "{}", p.name);
    }
    for table in tables {
        assert!(table.is_sorted_by_key(|p| p.name));
    }
}

#[test]
fn the_configuration_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let disk = Env::os().disk;
    let page = page();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        replace_file(&*disk, &path, page.as_bytes()).expect("written");
    }
    let found = read_file(&*disk, &path, 1 << 20).unwrap_or_default();
    assert!(found == page.as_bytes(), "docs/configuration.md is stale: run this test with UPDATE_EXPECT=1");
}
