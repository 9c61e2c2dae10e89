//! The shape of a message as data: what the guard walks and what tests generate bytes from.
//!
//! A layout says, for every version, which bytes follow one another. It is made by the macros of this
//! folder from the same declaration as the types, or stands alone for the requests whose types come from
//! kafka-protocol.

/// An inclusive range of versions. Empty if `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The first version.
    pub min: i16,
    /// The last version; `i16::MAX` for "and later".
    pub max: i16,
}

impl Versions {
    /// No version at all.
    pub const NONE: Versions = Versions { min: 0, max: -1 };

    /// The versions from `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Versions {
        Versions { min, max }
    }

    /// Whether `version` lies in the range.
    #[inline]
    pub const fn has(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// Whether no version lies in the range.
    pub const fn is_empty(self) -> bool {
        self.min > self.max
    }
}

/// The type of a field, in Kafka's terms.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// A signed byte.
    Int8,
    /// Two bytes, big-endian, signed.
    Int16,
    /// Two bytes, big-endian, unsigned.
    Uint16,
    /// Four bytes, big-endian, signed.
    Int32,
    /// Four bytes, big-endian, unsigned.
    Uint32,
    /// Eight bytes, big-endian, signed.
    Int64,
    /// An IEEE 754 double.
    Float64,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8 text behind an int16 length, or a compact one.
    String,
    /// Bytes behind an int32 length, or a compact one.
    Bytes,
    /// Record batches behind a length; bytes as far as a message goes.
    Records,
    /// Several fields in a row.
    Struct(&'static StructLayout),
    /// A count and so many elements.
    Array(&'static Kind),
}

impl Kind {
    /// Bytes that every value of this type takes; `None` if that depends on the value.
    #[inline]
    pub const fn fixed_size(self) -> Option<usize> {
        match self {
            Kind::Bool | Kind::Int8 => Some(1),
            Kind::Int16 | Kind::Uint16 => Some(2),
            Kind::Int32 | Kind::Uint32 => Some(4),
            Kind::Int64 | Kind::Float64 => Some(8),
            Kind::Uuid => Some(16),
            Kind::String | Kind::Bytes | Kind::Records | Kind::Struct(_) | Kind::Array(_) => None,
        }
    }

    /// Bytes that a decoded value takes in place: in its struct or in the array that it is an element of.
    pub const fn memory(self) -> usize {
        match self {
            // Shared slices are four words, an array three.
            Kind::String | Kind::Bytes | Kind::Records => 32,
            Kind::Array(_) => 24,
            Kind::Struct(layout) => layout.memory,
            Kind::Bool | Kind::Int8 => 1,
            Kind::Int16 | Kind::Uint16 => 2,
            Kind::Int32 | Kind::Uint32 => 4,
            Kind::Int64 | Kind::Float64 => 8,
            Kind::Uuid => 16,
        }
    }
}

/// One field of a struct.
#[derive(Clone, Copy, Debug)]
pub struct FieldLayout {
    /// The field's name in Rust.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The versions that have it.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// The versions in which it stands among the tagged fields (KIP-482).
    pub tagged: Versions,
    /// Its tag, where `tagged` is not empty.
    pub tag: u32,
}

/// The fields of a struct; tagged ones last, in the order of their tags.
#[derive(Clone, Copy, Debug)]
pub struct StructLayout {
    /// The struct's name.
    pub name: &'static str,
    /// Its fields in the order of the wire.
    pub fields: &'static [FieldLayout],
    /// Bytes that the decoded struct takes.
    pub memory: usize,
}

impl StructLayout {
    /// A struct of `fields`.
    ///
    /// Its memory is that of kafka-protocol's struct: the fields, the map of unknown tagged fields that it
    /// keeps in each, rounded up to words. The compiler orders fields so that nothing else is lost.
    pub const fn new(name: &'static str, fields: &'static [FieldLayout]) -> StructLayout {
        let mut memory = 24;
        let mut i = 0;
        while i < fields.len() {
            let field = &fields[i];
            memory += field.kind.memory();
            if !field.nullable.is_empty() && matches!(field.kind, Kind::Struct(_)) {
                memory += 8;
            }
            i += 1;
        }
        StructLayout { name, fields, memory: (memory + 7) & !7 }
    }
}

/// A whole message: its fields, its versions and from where on they are flexible (KIP-482).
#[derive(Clone, Copy, Debug)]
pub struct MessageLayout {
    /// The message's fields.
    pub body: &'static StructLayout,
    /// The versions that exist.
    pub versions: Versions,
    /// The versions with compact lengths and tagged fields.
    pub flexible: Versions,
}
