use proptest::prelude::*;

use super::*;
use crate::config::topic;

fn topic_error(key: &str, value: &str) -> String {
    let property = topic::property(key).expect("a topic key");
    property.parse(value).map(|_| String::new()).unwrap_or_else(|e| e.to_string())
}

#[test]
fn errors_name_key_value_and_what_is_allowed() {
    assert_eq!(
        topic_error("segment.bytes", "5"),
        "Invalid value 5 for configuration segment.bytes: Value must be at least 1048576 (allowed: INT [1048576,...])"
    );
    assert_eq!(
        topic_error("preallocate", "yes"),
        "Invalid value yes for configuration preallocate: Expected value to be either true or false (allowed: BOOLEAN)"
    );
    assert!(topic_error("compression.type", "GZIP").contains("String must be one of: uncompressed, zstd"));
    assert!(topic_error("cleanup.policy", "delete,,compact").contains("must not be empty"));
    assert!(topic_error("compression.gzip.level", "0").contains("[1,...,9] or -1"));
    assert!(topic_error("min.cleanable.dirty.ratio", "NaN").contains("no more than 1"));
    assert!(!topic_error("retention.ms", "1\n2").contains('\n'));
    assert!(topic_error("retention.ms", &"9".repeat(5000)).len() < 500);
}

#[test]
fn values_parse_as_kafka_parses_them() {
    let parse =
        |key: &str, text: &str| topic::property(key).expect("a topic key").parse(text).expect("valid");
    assert_eq!(parse("unclean.leader.election.enable", " TRUE "), Value::Boolean(true));
    assert_eq!(parse("retention.ms", " +5 "), Value::Number(5));
    assert_eq!(
        parse("cleanup.policy", " delete , compact "),
        Value::List(vec!["delete".into(), "compact".into()])
    );
    assert_eq!(parse("cleanup.policy", ""), Value::List(vec![]));
    assert_eq!(parse("cleanup.policy", "delete,delete"), Value::List(vec!["delete".into()]));
    assert_eq!(parse("min.cleanable.dirty.ratio", "0.25d"), Value::Double(0.25));
    assert_eq!(parse("compression.gzip.level", "-1"), Value::Number(-1));
    assert_eq!(parse("leader.replication.throttled.replicas", "*"), Value::List(vec!["*".into()]));
    assert!(
        topic_error("leader.replication.throttled.replicas", "*,1:2").contains("[partitionId]:[brokerId]")
    );
}

#[test]
fn share_resets_take_durations() {
    assert_eq!(parse_share_offset_reset("EARLIEST"), Some(ShareOffsetReset::Earliest));
    assert_eq!(parse_share_offset_reset("by_duration:PT1H"), Some(ShareOffsetReset::ByDuration(3_600_000)));
    assert_eq!(
        parse_share_offset_reset("by_duration:P1DT0.5S"),
        Some(ShareOffsetReset::ByDuration(86_400_500))
    );
    for bad in [
        "by_duration:",
        "by_duration:P",
        "by_duration:PT",
        "by_duration:-PT1H",
        "by_duration:PT-1H",
        "x",
        "by_duration:PT1S1H",
    ] {
        assert_eq!(parse_share_offset_reset(bad), None, "{bad}");
    }
}

#[test]
fn secrets_do_not_show() {
    assert_eq!(format!("{:?} {}", Secret::new("x"), Secret::new("x")), "[hidden] [hidden]");
}

proptest! {
    #[test]
    fn nothing_makes_parsing_panic(text in ".*") {
        for property in topic::TOPIC_PROPERTIES {
            if let Err(error) = property.parse(&text) {
                prop_assert!(error.to_string().contains(property.name));
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
        let _ = parse_share_offset_reset(&text);
        let _ = parse_share_offset_reset(&format!("by_duration:{text}"));
    }
}
