//! Random messages made from layouts, as Kafka would write them.

use ottla::schema::codec::put_varint;
use ottla::schema::layout::{FieldLayout, Kind, MessageLayout, StructLayout};
use ottla::types::Rng;

/// Tagged fields from here on are ours: brokers of ottla tell each other more than Kafka would write, and Kafka's classes do
/// not know them.
const OUR_TAGS: u32 = 10_000;

/// A message and where its lengths stand.
pub(crate) struct Generated {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lengths: Vec<Length>,
}

/// A length or count within a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Where it begins.
    pub(crate) at: usize,
    /// Bytes that it takes.
    pub(crate) size: usize,
    /// Whether it is a variable-length integer.
    pub(crate) compact: bool,
}

/// What to put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nulls and empty values wherever they can be, no tagged fields.
    Bare,
    /// Values everywhere, all tagged fields.
    Full,
    /// A mixture.
    Mixed,
    /// A mixture, and tagged fields that nobody knows.
    Unknown,
    /// A mixture in which tagged fields may stand at their defaults, which Kafka reads but would not write.
    Explicit,
}

pub(crate) fn generate(layout: &MessageLayout, version: i16, shape: Shape, seed: u64) -> Generated {
    let mut rng = Rng::new(seed);
    let mut unknown = rng.split();
    let flexible = layout.flexible.has(version);
    let mut out = Out { bytes: Vec::new(), lengths: Vec::new() };
    let mut cx = Generate { version, flexible, shape, rng: &mut rng, unknown: &mut unknown };
    cx.structure(&mut out, layout.body, false);
    Generated { bytes: out.bytes, lengths: out.lengths }
}

struct Out {
    bytes: Vec<u8>,
    lengths: Vec<Length>,
}

struct Generate<'a> {
    version: i16,
    flexible: bool,
    shape: Shape,
    rng: &'a mut Rng,
    unknown: &'a mut Rng,
}

impl Generate<'_> {
    fn chance(&mut self, of: u64) -> bool {
        match self.shape {
            Shape::Bare => false,
            Shape::Full => true,
            Shape::Mixed | Shape::Unknown | Shape::Explicit => !self.rng.next_u64().is_multiple_of(of),
        }
    }

    fn structure(&mut self, out: &mut Out, layout: &StructLayout, significant: bool) {
        for field in layout.fields {
            if field.versions.has(self.version) && !field.tagged.has(self.version) {
                self.value(out, field, &field.kind, significant);
            }
        }
        if self.flexible {
            self.tagged(out, layout, significant);
        }
    }

    fn tagged(&mut self, out: &mut Out, layout: &StructLayout, significant: bool) {
        let mut present = Vec::new();
        for field in layout.fields {
            if field.tagged.has(self.version) && field.tag < OUR_TAGS && (significant || self.chance(3)) {
                // What a sender has at its default it leaves out, so what is here is not at its default.
                let mut value = Out { bytes: Vec::new(), lengths: Vec::new() };
                self.value(&mut value, field, &field.kind, self.shape != Shape::Explicit);
                present.push((field.tag, value));
            }
        }
        if self.shape == Shape::Unknown && self.unknown.next_u64().is_multiple_of(2) {
            let bytes = (0..self.unknown.next_u64() % 5).map(|at| at as u8).collect();
            present.push((1000, Out { bytes, lengths: Vec::new() }));
        }
        put_varint(&mut out.bytes, present.len() as u32);
        for (tag, value) in present {
            put_varint(&mut out.bytes, tag);
            put_varint(&mut out.bytes, value.bytes.len() as u32);
            let base = out.bytes.len();
            out.lengths.extend(value.lengths.iter().map(|l| Length { at: l.at + base, ..*l }));
            out.bytes.extend(value.bytes);
        }
    }

    fn value(&mut self, out: &mut Out, field: &FieldLayout, kind: &'static Kind, significant: bool) {
        let nullable = field.nullable.has(self.version);
        let null = nullable && !significant && !self.chance(3);
        match kind {
            Kind::String if null => self.length(out, None, 2),
            Kind::Bytes | Kind::Records | Kind::Array(_) if null => self.length(out, None, 4),
            Kind::Struct(_) if null => out.bytes.push(0xff),
            Kind::Struct(layout) => {
                if nullable {
                    out.bytes.push(1);
                }
                self.structure(out, layout, significant);
            }
            Kind::Array(element) => {
                let count = if significant || self.chance(4) { 1 + self.rng.next_u64() % 5 } else { 0 };
                self.length(out, Some(count as usize), 4);
                let element_field = FieldLayout { nullable: ottla::schema::layout::Versions::NONE, ..*field };
                for _ in 0..count {
                    self.value(out, &element_field, element, false);
                }
            }
            Kind::String => {
                const TEXTS: [&str; 5] = ["a", "topic", "grüße", "日本", "x-y_z.0"];
                let text = TEXTS[(self.rng.next_u64() % 5) as usize];
                let text = if significant || self.chance(4) { text } else { "" };
                self.length(out, Some(text.len()), 2);
                out.bytes.extend_from_slice(text.as_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let len = if significant || self.chance(4) { 1 + self.rng.next_u64() % 200 } else { 0 };
                self.length(out, Some(len as usize), 4);
                out.bytes.extend((0..len).map(|at| at as u8));
            }
            Kind::Bool => out.bytes.push(u8::from(significant || self.chance(2))),
            Kind::Float64 => {
                let value = if self.chance(3) { 0.25 + (self.rng.next_u64() % 1000) as f64 } else { 0.0 };
                out.bytes.extend_from_slice(&value.to_be_bytes());
            }
            Kind::Int8
            | Kind::Int16
            | Kind::Uint16
            | Kind::Int32
            | Kind::Uint32
            | Kind::Int64
            | Kind::Uuid => {
                let size = kind.fixed_size().expect("a number or a uuid");
                // 17 in the last byte is nobody's default.
                let value = match (significant, self.rng.next_u64() % 6) {
                    (true, _) | (_, 0) => 17u128,
                    (_, 1) => 0,
                    (_, 2) => u128::MAX,
                    (_, 3) => u128::MAX - 1,
                    (_, 4) => u128::MAX >> (129 - size * 8),
                    _ => u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()),
                };
                out.bytes.extend_from_slice(&value.to_be_bytes()[16 - size..]);
            }
        }
    }

    fn length(&self, out: &mut Out, len: Option<usize>, size: usize) {
        let at = out.bytes.len();
        if self.flexible {
            put_varint(&mut out.bytes, len.map_or(0, |len| len as u32 + 1));
        } else {
            let raw = len.map_or(-1, |len| len as i32).to_be_bytes();
            out.bytes.extend_from_slice(&raw[4 - size..]);
        }
        out.lengths.push(Length { at, size: out.bytes.len() - at, compact: self.flexible });
    }
}
