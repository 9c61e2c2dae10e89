//! Generated messages of every API and version come back byte for byte from the types that handlers use.

use bytes::Bytes;
use ottla::schema::layout::MessageLayout;
use ottla::schema::{requests, responses};
use ottla::wire::guard::{self, Limits};
use ottla::wire::versions::APIS;

use super::dispatch::{self, Side};
use super::generate::{Shape, generate};

/// Messages per API, version and shape.
const MESSAGES: u64 = 12;
pub(crate) const SHAPES: [Shape; 4] = [Shape::Bare, Shape::Full, Shape::Mixed, Shape::Unknown];

/// Every API, side and version with its layout.
pub(crate) fn every_layout() -> impl Iterator<Item = (i16, Side, i16, &'static MessageLayout)> {
    let of = |key: i16| {
        [(Side::Request, requests::layout(key)), (Side::Response, responses::layout(key))]
            .into_iter()
            .filter_map(move |(side, layout)| Some((key, side, layout?)))
    };
    APIS.iter().flat_map(move |api| of(api.key)).flat_map(|(key, side, layout)| {
        (layout.versions.min..=layout.versions.max).map(move |version| (key, side, version, layout))
    })
}

/// The same seed for the same message everywhere, so that a failure can be repeated.
pub(crate) fn seed(key: i16, side: Side, version: i16, n: u64) -> u64 {
    (key as u64) << 40 | (side as u64) << 32 | (version as u64) << 16 | n
}

pub(crate) fn check(key: i16, side: Side, version: i16, body: &[u8]) -> Result<(), guard::GuardError> {
    match side {
        Side::Request => guard::check(key, version, body, &Limits::default()),
        Side::Response => guard::check_response(key, version, body, &Limits::default()),
    }
}

#[test]
fn every_message_passes_the_guard_and_comes_back() {
    let mut count = 0;
    for (key, side, version, layout) in every_layout() {
        for shape in SHAPES {
            for n in 0..MESSAGES {
                let message = generate(layout, version, shape, seed(key, side, version, n)).bytes;
                let what = || format!("API {key} {side:?} v{version} {shape:?} #{n}: {message:02x?}");
                assert_eq!(check(key, side, version, &message), Ok(()), "{}", what());
                let Some(codec) = dispatch::of(key, side) else { continue };
                if !codec.versions.contains(&version) {
                    continue;
                }
                let again = (codec.again)(Bytes::from(message.clone()), version, version);
                let again = again.unwrap_or_else(|e| panic!("{e}: {}", what()));
                if shape != Shape::Unknown || codec.keeps_unknown {
                    assert_eq!(again, message, "{}", what());
                }
                count += 1;
            }
        }
    }
    assert!(count > 20_000, "only {count} messages");
}

/// Whatever Kafka has, a handler must be able to read and write.
#[test]
fn every_api_has_types_for_every_version() {
    for api in APIS.iter().filter(|api| !api.versions.is_empty()) {
        for side in [Side::Request, Side::Response] {
            let versions =
                dispatch::of(api.key, side).unwrap_or_else(|| panic!("{} {side:?}", api.name)).versions;
            let has = |version| versions.contains(&version);
            assert!(has(api.versions.min) && has(api.versions.max), "{} {side:?} {versions:?}", api.name);
        }
    }
}
