//! Hostile lengths at every place of every message: what passes the guard, the decoder survives.

use std::sync::LazyLock;

use bytes::Bytes;
use ottla::schema::layout::MessageLayout;
use ottla::wire::guard::{self, GuardError, Limits};
use proptest::prelude::*;

use super::allocations::{largest, sum};
use super::dispatch;
use super::generate::{Generated, Length, Shape, generate};
use super::messages::{check, every_layout, seed};

/// The most that decoding may ask for at once: messages here are small, and so must be what they cost.
const ALLOCATION_MAX: usize = 1 << 20;

/// The message with another length in this place.
fn with_length(message: &Generated, length: Length, raw: &[u8]) -> Vec<u8> {
    let mut bytes = message.bytes[..length.at].to_vec();
    bytes.extend_from_slice(raw);
    bytes.extend_from_slice(&message.bytes[length.at + length.size..]);
    bytes
}

fn hostile_lengths(length: Length) -> &'static [&'static [u8]] {
    match (length.compact, length.size) {
        (true, _) => &[
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            &[0x80, 0x80, 0x80, 0x80, 0x08],
            &[0xff, 0xff, 0xff, 0x7f],
            &[0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x00],
            &[0x20],
        ],
        (false, 2) => &[&[0x7f, 0xff], &[0xff, 0xff], &[0x80, 0x00], &[0x00, 0x20]],
        (false, _) => &[
            &[0x7f, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff],
            &[0x80, 0x00, 0x00, 0x00],
            &[0x0f, 0xff, 0xff, 0xff],
            &[0x00, 0x00, 0x00, 0x20],
        ],
    }
}

/// Decodes what the guard lets through, and says how much it asked for at once.
fn guarded(key: i16, side: dispatch::Side, version: i16, bytes: Vec<u8>) -> usize {
    let (guarding, verdict) = largest(|| check(key, side, version, &bytes));
    assert_eq!(guarding, 0, "the guard allocates");
    match dispatch::of(key, side) {
        Some(codec) if verdict.is_ok() => largest(|| (codec.decode)(Bytes::from(bytes), version)).0,
        Some(_) | None => 0,
    }
}

#[test]
fn hostile_lengths_in_every_place_of_every_message_cost_nothing() {
    let mut places = 0;
    for (key, side, version, layout) in every_layout() {
        for (shape, n) in [(Shape::Full, 0), (Shape::Full, 1), (Shape::Mixed, 2), (Shape::Bare, 3)] {
            let message = generate(layout, version, shape, seed(key, side, version, n));
            for length in &message.lengths {
                for raw in hostile_lengths(*length) {
                    let bytes = with_length(&message, *length, raw);
                    let most = guarded(key, side, version, bytes);
                    assert!(
                        most <= ALLOCATION_MAX,
                        "API {key} {side:?} v{version}: {most} bytes for {raw:02x?} at {}",
                        length.at
                    );
                    places += 1;
                }
            }
        }
    }
    assert!(places > 50_000, "only {places} places");
}

/// The guard's budget is only worth something if decoding costs no more than the guard has counted.
#[test]
fn decoding_costs_no_more_than_the_guard_counts() {
    for (key, side, version, layout) in every_layout() {
        for n in 0..20 {
            let shape = if n % 2 == 0 { Shape::Full } else { Shape::Unknown };
            let body = Bytes::from(generate(layout, version, shape, seed(key, side, version, n)).bytes);
            // The frame is shared before it is decoded, as a connection's is.
            let _frame = body.clone();
            let Some(codec) = dispatch::of(key, side) else { continue };
            if !codec.versions.contains(&version) {
                continue;
            }
            let (cost, decoded) = sum(|| (codec.decode)(body.clone(), version));
            assert_eq!(decoded, Ok(()));
            let Some(memory) = cost.checked_sub(1) else { continue };
            let limits = Limits { memory, ..Limits::default() };
            assert_eq!(
                guard::check_layout(layout, version, &body, &limits),
                Err(GuardError::Memory),
                "API {key} {side:?} v{version} {shape:?} #{n} costs {cost} bytes, and the guard counts less"
            );
        }
    }
}

static ALL: LazyLock<Vec<(i16, dispatch::Side, i16, &MessageLayout)>> =
    LazyLock::new(|| every_layout().collect());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn mutilated_messages_never_panic_nor_cost_much(
        pick in any::<prop::sample::Index>(),
        n in any::<u64>(),
        at in any::<prop::sample::Index>(),
        how in 0u8..4,
        byte in any::<u8>(),
    ) {
        let (key, side, version, layout) = ALL[pick.index(ALL.len())];
        let mut bytes = generate(layout, version, Shape::Unknown, n).bytes;
        if bytes.is_empty() {
            return Ok(());
        }
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, byte),
            _ => {
                bytes.remove(at);
            }
        }
        prop_assert!(guarded(key, side, version, bytes) <= ALLOCATION_MAX);
    }
}
