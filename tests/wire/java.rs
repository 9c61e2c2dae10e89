//! Generated messages against the classes of Kafka's own client, byte for byte.
//!
//! The Java side is `compat-tests/java-messages`; its README says how to build it and what to put into
//! `OTTLA_JAVA_MESSAGES_CP`. Without that this test prints that it is skipped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::dispatch::Side;
use super::generate::{Shape, generate};
use super::messages::{SHAPES, every_layout, seed};
use super::records::RECORDS;

/// Messages per API, version and shape.
const MESSAGES: u64 = 12;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn javas_classes_write_the_same_bytes() {
    let Ok(classpath) = std::env::var("OTTLA_JAVA_MESSAGES_CP") else {
        println!("skipped: OTTLA_JAVA_MESSAGES_CP is not set, see compat-tests/java-messages/README.md");
        return;
    };
    let mut input = String::new();
    let mut expected = Vec::new();
    for (key, side, version, layout) in every_layout() {
        let kind = if side == Side::Request { "request" } else { "response" };
        for shape in SHAPES {
            for n in 0..MESSAGES {
                let bytes = hex(&generate(layout, version, shape, seed(key, side, version, n)).bytes);
                let _ = writeln!(input, "{kind} {key} {version} {bytes}");
                expected.push((format!("{kind} {key} v{version} {shape:?} #{n}"), bytes));
            }
        }
    }

    for record in RECORDS {
        for version in record.layout.versions.min..=record.layout.versions.max {
            for shape in [Shape::Bare, Shape::Full, Shape::Mixed] {
                for n in 0..MESSAGES {
                    let bytes = hex(&generate(&record.layout, version, shape, n).bytes);
                    let _ = writeln!(input, "{} 0 {version} {bytes}", record.name);
                    expected.push((format!("{} v{version} {shape:?} #{n}", record.name), bytes));
                }
            }
        }
    }

    let mut java = Command::new("java")
        .args(["-cp", &classpath, "Messages"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java starts");
    let mut stdin = java.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        #[allow(clippy::disallowed_methods)]
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        let output = java.wait_with_output().expect("java ends");
        assert!(output.status.success(), "java failed");
        let output = String::from_utf8(output.stdout).expect("text");
        let answers: Vec<&str> = output.lines().collect();
        assert_eq!(answers.len(), expected.len());
        let wrong: Vec<String> = expected
            .iter()
            .zip(answers)
            .filter(|((_, bytes), answer)| bytes != answer)
            .map(|((what, bytes), answer)| format!("{what}\n  ours {bytes}\n  java {answer}"))
            .collect();
        let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), expected.len());
        println!("{} messages agree with Kafka's classes", expected.len());
    });
}
