//! Generated messages against the classes of Kafka's own client, byte for byte.
//!
//! The Java side is `compat-tests/java-messages`; its README says how to build it and what to put into
//! `OTTLA_JAVA_MESSAGES_CP`. Without that this test prints that it is skipped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::{Bytes, BytesMut};
use ottla::schema::groups::GroupRecord;
use ottla::schema::metadata::MetadataRecord;

use super::dispatch::{self, Side};
use super::generate::{Shape, generate};
use super::messages::{SHAPES, every_layout, seed};
use super::records::{RECORDS, Record};

/// Messages per API, version and shape.
const MESSAGES: u64 = 12;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What Java answers to lines of `kind key version hex [version to write in]`; `None` without Java's classes.
fn java(input: String) -> Option<Vec<String>> {
    let Ok(classpath) = std::env::var("OTTLA_JAVA_MESSAGES_CP") else {
        println!("skipped: OTTLA_JAVA_MESSAGES_CP is not set, see compat-tests/java-messages/README.md");
        return None;
    };
    let mut java = Command::new("java")
        .args(["-cp", &classpath, "Messages"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut stdin = java.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        java.wait_with_output().expect("java ends")
    });
    assert!(output.status.success(), "java failed");
    Some(String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect())
}

fn compare(what: &[String], expected: &[String], answers: &[String]) {
    assert_eq!(answers.len(), expected.len());
    let wrong: Vec<String> = (0..what.len())
        .filter(|&at| expected[at] != answers[at])
        .map(|at| format!("{}\n  ours {}\n  java {}", what[at], expected[at], answers[at]))
        .collect();
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), expected.len());
    println!("{} messages agree with Kafka's classes", expected.len());
}

fn kind(side: Side) -> &'static str {
    match side {
        Side::Request => "request",
        Side::Response => "response",
    }
}

#[test]
fn javas_classes_write_the_same_bytes() {
    let (mut input, mut what, mut expected) = (String::new(), Vec::new(), Vec::new());
    for (key, side, version, layout) in every_layout() {
        for shape in SHAPES {
            for n in 0..MESSAGES {
                let bytes = hex(&generate(layout, version, shape, seed(key, side, version, n)).bytes);
                let _ = writeln!(input, "{} {key} {version} {bytes}", kind(side));
                what.push(format!("{} {key} v{version} {shape:?} #{n}", kind(side)));
                expected.push(bytes);
            }
        }
    }
    for record in RECORDS {
        for version in record.layout.versions.min..=record.layout.versions.max {
            for shape in [Shape::Bare, Shape::Full, Shape::Mixed] {
                for n in 0..MESSAGES {
                    let bytes = hex(&generate(&record.layout, version, shape, n).bytes);
                    let _ = writeln!(input, "{} 0 {version} {bytes}", record.name);
                    what.push(format!("{} v{version} {shape:?} #{n}", record.name));
                    expected.push(bytes);
                }
            }
        }
    }
    if let Some(answers) = java(input) {
        compare(&what, &expected, &answers);
    }
}

/// What an older version lacks is at its default when it is written in the newest, so defaults must be
/// Kafka's.
#[test]
fn fields_that_a_version_lacks_have_javas_defaults() {
    let (mut input, mut what, mut expected) = (String::new(), Vec::new(), Vec::new());
    let mut ask =
        |name: &str, key: i16, read: i16, write: i16, bytes: &[u8], ours: Result<Vec<u8>, String>| {
            let _ = writeln!(input, "{name} {key} {read} {} {write}", hex(bytes));
            what.push(format!("{name} {key} v{read} as v{write}: {}", hex(bytes)));
            expected.push(ours.map_or_else(|e| format!("error {e}"), |bytes| hex(&bytes)));
        };
    for (key, side, version, layout) in every_layout() {
        let Some(codec) = dispatch::of(key, side) else { continue };
        let newest = *codec.versions.end();
        if version > newest {
            continue;
        }
        for shape in [Shape::Bare, Shape::Full, Shape::Mixed, Shape::Explicit] {
            for n in 0..if shape == Shape::Explicit { 30 } else { 4 } {
                let bytes = generate(layout, version, shape, seed(key, side, version, n)).bytes;
                let ours = (codec.again)(Bytes::from(bytes.clone()), version, newest);
                ask(kind(side), key, version, newest, &bytes, ours);
            }
        }
    }
    for record in RECORDS {
        let newest = record.layout.versions.max;
        for version in record.layout.versions.min..=newest {
            for shape in [Shape::Bare, Shape::Full, Shape::Mixed, Shape::Explicit] {
                for n in 0..if shape == Shape::Explicit { 30 } else { 4 } {
                    let bytes = generate(&record.layout, version, shape, n).bytes;
                    let ours = (record.again)(Bytes::from(bytes.clone()), version, newest);
                    ask(record.name, 0, version, newest, &bytes, ours);
                }
            }
        }
    }
    if let Some(answers) = java(input) {
        // Java refuses to write what the newest version has no place for; we leave it out.
        for (ours, java) in expected.iter_mut().zip(&answers) {
            if java.starts_with("error") {
                ours.clone_from(java);
            }
        }
        let refused = answers.iter().filter(|answer| answer.starts_with("error")).count();
        assert!(refused * 4 < answers.len(), "{refused} of {} refused", answers.len());
        compare(&what, &expected, &answers);
    }
}

/// The types of `__consumer_offsets`, by the names of their keys and values.
const GROUP_TYPES: &[(i16, &str)] = &[
    (1, "OffsetCommit"),
    (2, "GroupMetadata"),
    (3, "ConsumerGroupMetadata"),
    (4, "ConsumerGroupPartitionMetadata"),
    (5, "ConsumerGroupMemberMetadata"),
    (6, "ConsumerGroupTargetAssignmentMetadata"),
    (7, "ConsumerGroupTargetAssignmentMember"),
    (8, "ConsumerGroupCurrentMemberAssignment"),
    (10, "ShareGroupMemberMetadata"),
    (11, "ShareGroupMetadata"),
    (12, "ShareGroupTargetAssignmentMetadata"),
    (13, "ShareGroupTargetAssignmentMember"),
    (14, "ShareGroupCurrentMemberAssignment"),
    (15, "ShareGroupStatePartitionMetadata"),
    (16, "ConsumerGroupRegularExpression"),
    (17, "StreamsGroupMetadata"),
    (19, "StreamsGroupMemberMetadata"),
    (20, "StreamsGroupTargetAssignmentMetadata"),
    (21, "StreamsGroupTargetAssignmentMember"),
    (22, "StreamsGroupCurrentMemberAssignment"),
    (23, "StreamsGroupTopology"),
];

fn record(name: &str) -> &'static Record {
    RECORDS.iter().find(|record| record.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// What stands around a record in the log: frames, types and versions, as Kafka's coordinators and
/// controllers read and write them.
#[test]
fn javas_serdes_read_what_stands_in_the_logs() {
    let (mut input, mut what, mut expected) = (String::new(), Vec::new(), Vec::new());
    for (&api_key, record) in MetadataRecord::TYPES.iter().zip(RECORDS) {
        for version in record.layout.versions.min..=record.layout.versions.max {
            for n in 0..MESSAGES {
                let mut value = vec![1, api_key as u8, version as u8];
                value.extend(generate(&record.layout, version, Shape::Mixed, n).bytes);
                let (decoded, read) = MetadataRecord::decode_versioned(Bytes::from(value)).expect("a record");
                assert_eq!((decoded.name(), decoded.api_key(), read), (record.name, api_key, version));
                let mut written = BytesMut::new();
                decoded.encode(&mut written, version).expect("what was read can be written");
                let _ = writeln!(input, "metadata-log 0 0 {}", hex(&written));
                what.push(format!("{} v{version} #{n}", record.name));
                expected.push(hex(&written));
            }
        }
    }
    for &(kind, name) in GROUP_TYPES {
        let (key_layout, value_layout) =
            (&record(&format!("{name}Key")).layout, &record(&format!("{name}Value")).layout);
        for version in value_layout.versions.min..=value_layout.versions.max {
            for n in 0..MESSAGES {
                let mut key = kind.to_be_bytes().to_vec();
                key.extend(generate(key_layout, 0, Shape::Mixed, n).bytes);
                let mut value = version.to_be_bytes().to_vec();
                value.extend(generate(value_layout, version, Shape::Mixed, n).bytes);
                let value = (n > 0).then(|| Bytes::from(value));
                let decoded = GroupRecord::decode(&Bytes::from(key), value.as_ref()).expect("a record");
                assert_eq!((decoded.kind(), decoded.is_tombstone()), (kind, n == 0));
                let (key, value) = decoded.encode().expect("what was read can be written");
                let bytes = match value {
                    Some(value) => format!("{}-{}", hex(&key), hex(&value)),
                    None => hex(&key),
                };
                let _ = writeln!(input, "group-log 0 0 {bytes}");
                what.push(format!("{name} v{version} #{n}"));
                expected.push(bytes);
            }
        }
    }
    if let Some(answers) = java(input) {
        compare(&what, &expected, &answers);
    }
}
