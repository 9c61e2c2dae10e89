use proptest::prelude::*;

use super::*;
use crate::config::topic;

fn topic_error(key: &str, value: &str) -> String {
    let property = topic::property(key).expect("a topic key");
    property.parse(value).map(|_| String::new()).unwrap_or_else(|e| e.to_string())
}

/// What Kafka 4.3.1 answers to IncrementalAlterConfigs.
#[test]
fn errors_have_kafkas_words() {
    for (key, value, expected) in [
        ("retention.ms", "x", "Invalid value x for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", "", "Invalid value  for configuration retention.ms: Not a number of type LONG"),
        ("retention.ms", " -2", "Invalid value -2 for configuration retention.ms: Value must be at least -1"),
        (
            "cleanup.policy",
            "delete,foo",
            "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        ("cleanup.policy", "compact,,delete", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "preallocate",
            "maybe",
            "Invalid value maybe for configuration preallocate: Expected value to be either true or false",
        ),
        (
            "min.cleanable.dirty.ratio",
            "2",
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "max.message.bytes",
            "99999999999",
            "Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT",
        ),
        (
            "compression.gzip.level",
            "0",
            "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
        ),
        (
            "compression.zstd.level",
            "99",
            "Invalid value 99 for configuration compression.zstd.level: Value must be no more than 22",
        ),
        (
            "leader.replication.throttled.replicas",
            "x",
            "Invalid value [x] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following \
             format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
    ] {
        assert_eq!(topic_error(key, value), expected);
    }
    let reset = crate::config::group::property("share.auto.offset.reset").expect("a group key");
    assert_eq!(
        reset.parse("x").expect_err("no reset").to_string(),
        "Invalid value x for configuration share.auto.offset.reset: Invalid value `x` for configuration \
         share.auto.offset.reset. The value must be either 'earliest', 'latest' or of the format \
         'by_duration:<PnDTnHnMn.nS>'."
    );
    assert!(topic_error("min.cleanable.dirty.ratio", "NaN").contains("no more than 1"));
    assert!(!topic_error("retention.ms", "1\n2").contains('\n'));
    assert!(topic_error("retention.ms", &"9".repeat(5000)).len() < 500);
}

#[test]
fn operators_are_told_what_is_allowed() {
    let explained = |key: &str, value: &str| {
        topic::property(key).expect("a topic key").parse(value).expect_err("wrong").explained()
    };
    let segment = explained("segment.bytes", "5");
    assert!(segment.ends_with("Value must be at least 1048576 (allowed: INT [1048576,...])"), "{segment}");
    assert!(explained("preallocate", "yes").ends_with("true or false (allowed: BOOLEAN)"));
    assert!(explained("compression.gzip.level", "0").ends_with("(allowed: INT [1,...,9] or -1)"));
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
