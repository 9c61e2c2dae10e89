//! How a value of each of Kafka's types is written and read.
//!
//! Reading is safe on bytes from anybody: a length or count is compared with the bytes that are left before
//! anything is reserved, memory for arrays grows only as elements really arrive, nesting is as deep as the
//! declaration and no deeper, and tagged fields that the declaration does not know are skipped, not kept.

use bytes::{Buf as _, BufMut, Bytes};
use kafka_protocol::messages::{BrokerId, GroupId, ProducerId, TopicName, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::layout::Kind;

/// Elements reserved before the first one has been read; beyond, an array grows as elements arrive.
const RESERVED_ELEMENTS_MAX: usize = 256;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the bytes end inside a value")]
    Short,
    /// A length or count is negative where null is not allowed, or greater than what is left.
    #[error("a length or count of {0} cannot be")]
    Length(i64),
    /// Null where the version does not allow it.
    #[error("null where a value must be")]
    Null,
    /// A variable-length integer has more than five bytes, or more than 32 bits.
    #[error("a variable-length integer is too long")]
    Varint,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// The marker before a nullable struct is neither -1 nor 1; in a tagged field, neither 0 nor 1.
    #[error("a nullable struct begins with {0}")]
    Marker(i8),
    /// A tagged field does not have the size that stands before it.
    #[error("the tagged field {0} does not have the size it claims")]
    TagSize(u32),
    /// The message does not have this version.
    #[error("there is no version {1} of {0}")]
    Version(&'static str, i32),
    /// No record of the metadata log, or none of a known frame.
    #[error("{0} {1} is not known")]
    UnknownType(&'static str, i64),
    /// Bytes follow the message.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
}

/// Why a message cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Null where the version does not allow it.
    #[error("null where version {0} needs a value")]
    Null(i16),
    /// Text, bytes or an array longer than its length field can say.
    #[error("{0} bytes or elements are too many for their length field")]
    TooLong(usize),
    /// The message does not have this version.
    #[error("there is no version {1} of {0}")]
    Version(&'static str, i16),
}

/// What a value needs to know of the message around it.
#[derive(Clone, Copy, Debug)]
pub struct Cx {
    /// The message's version.
    pub version: i16,
    /// Whether lengths are compact and structs end in tagged fields.
    pub flexible: bool,
    /// Whether this value may be null.
    pub nullable: bool,
    /// Whether this value is a tagged field itself: there Kafka says with another number that a struct is null.
    pub tagged: bool,
}

impl Cx {
    /// The same for a value that may be null or not.
    #[inline]
    pub fn nullable(self, nullable: bool) -> Cx {
        Cx { nullable, tagged: false, ..self }
    }

    /// The same for a tagged field that may be null or not.
    #[inline]
    pub fn in_tag(self, nullable: bool) -> Cx {
        Cx { nullable, tagged: true, ..self }
    }

    /// What stands before a struct that is null: a byte -1, and in a tagged field a variable-length 0. Before one
    /// that is not null stands 1 in both.
    #[inline]
    pub fn null_struct(self) -> i8 {
        if self.tagged { 0 } else { -1 }
    }
}

/// A type that can be a field.
pub trait Field: Sized {
    /// Its type in Kafka's terms.
    const KIND: Kind;
    /// Appends the value.
    fn encode<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError>;
    /// Bytes that [`Field::encode`] appends; anything if it would fail.
    fn size(&self, cx: Cx) -> usize;
    /// Takes a value from the front of `buf`.
    fn decode(buf: &mut Bytes, cx: Cx) -> Result<Self, DecodeError>;
}

/// A field that has a null.
pub trait Nullable: Field {
    /// Appends null.
    fn encode_null<B: BufMut>(buf: &mut B, cx: Cx);
    /// Bytes of null.
    fn null_size(cx: Cx) -> usize;
    /// Appends a value where null could stand.
    fn encode_some<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError> {
        self.encode(buf, cx)
    }
    /// Bytes that [`Nullable::encode_some`] appends.
    fn some_size(&self, cx: Cx) -> usize {
        self.size(cx)
    }
    /// Takes a value or null.
    fn decode_nullable(buf: &mut Bytes, cx: Cx) -> Result<Option<Self>, DecodeError>;
}

impl<T: Nullable> Field for Option<T> {
    const KIND: Kind = T::KIND;

    #[inline]
    fn encode<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError> {
        match self {
            Some(value) if cx.nullable => value.encode_some(buf, cx),
            Some(value) => value.encode(buf, cx),
            None if cx.nullable => {
                T::encode_null(buf, cx);
                Ok(())
            }
            None => Err(EncodeError::Null(cx.version)),
        }
    }

    #[inline]
    fn size(&self, cx: Cx) -> usize {
        match self {
            Some(value) if cx.nullable => value.some_size(cx),
            Some(value) => value.size(cx),
            None => T::null_size(cx),
        }
    }

    #[inline]
    fn decode(buf: &mut Bytes, cx: Cx) -> Result<Self, DecodeError> {
        if cx.nullable { T::decode_nullable(buf, cx) } else { T::decode(buf, cx).map(Some) }
    }
}

macro_rules! fixed {
    ($($ty:ty: $kind:ident, $size:literal, $put:ident, $get:ident;)*) => { $(
        impl Field for $ty {
            const KIND: Kind = Kind::$kind;
            #[inline]
            fn encode<B: BufMut>(&self, buf: &mut B, _: Cx) -> Result<(), EncodeError> {
                buf.$put(*self);
                Ok(())
            }
            #[inline]
            fn size(&self, _: Cx) -> usize {
                $size
            }
            #[inline]
            fn decode(buf: &mut Bytes, _: Cx) -> Result<Self, DecodeError> {
                buf.$get().map_err(|_| DecodeError::Short)
            }
        }
    )* };
}

fixed! {
    i8: Int8, 1, put_i8, try_get_i8;
    i16: Int16, 2, put_i16, try_get_i16;
    u16: Uint16, 2, put_u16, try_get_u16;
    i32: Int32, 4, put_i32, try_get_i32;
    u32: Uint32, 4, put_u32, try_get_u32;
    i64: Int64, 8, put_i64, try_get_i64;
    f64: Float64, 8, put_f64, try_get_f64;
}

impl Field for bool {
    const KIND: Kind = Kind::Bool;
    #[inline]
    fn encode<B: BufMut>(&self, buf: &mut B, _: Cx) -> Result<(), EncodeError> {
        buf.put_u8(u8::from(*self));
        Ok(())
    }
    #[inline]
    fn size(&self, _: Cx) -> usize {
        1
    }
    #[inline]
    fn decode(buf: &mut Bytes, _: Cx) -> Result<Self, DecodeError> {
        Ok(buf.try_get_u8().map_err(|_| DecodeError::Short)? != 0)
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Uuid;
    #[inline]
    fn encode<B: BufMut>(&self, buf: &mut B, _: Cx) -> Result<(), EncodeError> {
        buf.put_slice(self.as_bytes());
        Ok(())
    }
    #[inline]
    fn size(&self, _: Cx) -> usize {
        16
    }
    #[inline]
    fn decode(buf: &mut Bytes, _: Cx) -> Result<Self, DecodeError> {
        buf.try_get_u128().map(Uuid::from_u128).map_err(|_| DecodeError::Short)
    }
}

/// Newtypes that kafka-protocol puts around a field: the same bytes.
macro_rules! newtype {
    ($($ty:ty: $inner:ty;)*) => { $(
        impl Field for $ty {
            const KIND: Kind = <$inner as Field>::KIND;
            #[inline]
            fn encode<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError> {
                self.0.encode(buf, cx)
            }
            #[inline]
            fn size(&self, cx: Cx) -> usize {
                self.0.size(cx)
            }
            #[inline]
            fn decode(buf: &mut Bytes, cx: Cx) -> Result<Self, DecodeError> {
                <$inner>::decode(buf, cx).map(Self)
            }
        }
    )* };
}

newtype! {
    BrokerId: i32;
    ProducerId: i64;
    GroupId: StrBytes;
    TopicName: StrBytes;
    TransactionalId: StrBytes;
}

/// Fields that are a length and so many bytes.
macro_rules! lengthy {
    ($(
        $ty:ty: $kind:ident, $put:ident, $get:ident, $head:ident,
        |$bytes:ident| $from:expr, |$value:ident| $as:expr;
    )*) => { $(
        impl Field for $ty {
            const KIND: Kind = Kind::$kind;
            #[inline]
            fn encode<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError> {
                let $value = self;
                let bytes: &[u8] = $as;
                $put(buf, Some(bytes.len()), cx.flexible)?;
                buf.put_slice(bytes);
                Ok(())
            }
            #[inline]
            fn size(&self, cx: Cx) -> usize {
                let $value = self;
                let bytes: &[u8] = $as;
                $head(bytes.len(), cx.flexible) + bytes.len()
            }
            #[inline]
            fn decode(buf: &mut Bytes, cx: Cx) -> Result<Self, DecodeError> {
                <$ty>::decode_nullable(buf, cx)?.ok_or(DecodeError::Null)
            }
        }

        impl Nullable for $ty {
            fn encode_null<B: BufMut>(buf: &mut B, cx: Cx) {
                // Null always fits.
                let _ = $put(buf, None, cx.flexible);
            }
            fn null_size(cx: Cx) -> usize {
                $head(0, cx.flexible)
            }
            #[inline]
            fn decode_nullable(buf: &mut Bytes, cx: Cx) -> Result<Option<Self>, DecodeError> {
                let Some(len) = $get(buf, cx.flexible)? else { return Ok(None) };
                let $bytes = buf.split_to(len);
                $from.map(Some)
            }
        }
    )* };
}

lengthy! {
    String: String, put_short, get_short, short_size,
        |bytes| std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| DecodeError::Utf8),
        |s| s.as_bytes();
    StrBytes: String, put_short, get_short, short_size,
        |bytes| StrBytes::from_utf8(bytes).map_err(|_| DecodeError::Utf8), |s| s.as_bytes();
    Bytes: Bytes, put_long, get_long, long_size, |bytes| Ok(bytes), |b| b;
}

macro_rules! nullable_newtype {
    ($($ty:ty: $inner:ty;)*) => { $(
        impl Nullable for $ty {
            fn encode_null<B: BufMut>(buf: &mut B, cx: Cx) {
                <$inner>::encode_null(buf, cx);
            }
            fn null_size(cx: Cx) -> usize {
                <$inner>::null_size(cx)
            }
            fn decode_nullable(buf: &mut Bytes, cx: Cx) -> Result<Option<Self>, DecodeError> {
                Ok(<$inner>::decode_nullable(buf, cx)?.map(Self))
            }
        }
    )* };
}

nullable_newtype! {
    GroupId: StrBytes;
    TopicName: StrBytes;
    TransactionalId: StrBytes;
}

impl<T: Field> Field for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);

    fn encode<B: BufMut>(&self, buf: &mut B, cx: Cx) -> Result<(), EncodeError> {
        put_long(buf, Some(self.len()), cx.flexible)?;
        let cx = cx.nullable(false);
        self.iter().try_for_each(|element| element.encode(buf, cx))
    }

    fn size(&self, cx: Cx) -> usize {
        let element = cx.nullable(false);
        let elements = match T::KIND.fixed_size() {
            Some(size) => self.len() * size,
            None => self.iter().map(|e| e.size(element)).sum(),
        };
        long_size(self.len(), cx.flexible) + elements
    }

    fn decode(buf: &mut Bytes, cx: Cx) -> Result<Self, DecodeError> {
        Self::decode_nullable(buf, cx)?.ok_or(DecodeError::Null)
    }
}

impl<T: Field> Nullable for Vec<T> {
    fn encode_null<B: BufMut>(buf: &mut B, cx: Cx) {
        // Null always fits.
        let _ = put_long(buf, None, cx.flexible);
    }

    fn null_size(cx: Cx) -> usize {
        long_size(0, cx.flexible)
    }

    fn decode_nullable(buf: &mut Bytes, cx: Cx) -> Result<Option<Self>, DecodeError> {
        // Each element takes a byte at least, so a count beyond what is left is refused here.
        let Some(count) = get_long(buf, cx.flexible)? else { return Ok(None) };
        let cx = cx.nullable(false);
        let fitting = T::KIND.fixed_size().map_or(count, |size| count.min(buf.len() / size));
        let mut elements = Vec::with_capacity(fitting.min(RESERVED_ELEMENTS_MAX));
        for _ in 0..count {
            elements.push(T::decode(buf, cx)?);
        }
        Ok(Some(elements))
    }
}

fn put_short<B: BufMut>(buf: &mut B, len: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
    if flexible {
        return put_long(buf, len, true);
    }
    let len = len.map_or(Ok(-1), |len| i16::try_from(len).map_err(|_| EncodeError::TooLong(len)))?;
    buf.put_i16(len);
    Ok(())
}

fn put_long<B: BufMut>(buf: &mut B, len: Option<usize>, flexible: bool) -> Result<(), EncodeError> {
    let raw = len.map_or(Ok(-1), |len| i32::try_from(len).map_err(|_| EncodeError::TooLong(len)))?;
    if flexible {
        put_varint(buf, raw.wrapping_add(1).cast_unsigned());
    } else {
        buf.put_i32(raw);
    }
    Ok(())
}

fn short_size(len: usize, flexible: bool) -> usize {
    if flexible { varint_size((len as u32).saturating_add(1)) } else { 2 }
}

fn long_size(len: usize, flexible: bool) -> usize {
    if flexible { varint_size((len as u32).saturating_add(1)) } else { 4 }
}

#[inline]
fn get_short(buf: &mut Bytes, flexible: bool) -> Result<Option<usize>, DecodeError> {
    if flexible {
        return get_long(buf, true);
    }
    let raw = buf.try_get_i16().map_err(|_| DecodeError::Short)?;
    checked(i64::from(raw), buf)
}

#[inline]
fn get_long(buf: &mut Bytes, flexible: bool) -> Result<Option<usize>, DecodeError> {
    let raw = if flexible {
        i64::from(get_varint(buf)?) - 1
    } else {
        i64::from(buf.try_get_i32().map_err(|_| DecodeError::Short)?)
    };
    checked(raw, buf)
}

#[inline]
fn checked(raw: i64, buf: &Bytes) -> Result<Option<usize>, DecodeError> {
    if raw == -1 {
        return Ok(None);
    }
    match usize::try_from(raw) {
        Ok(len) if len <= buf.len() => Ok(Some(len)),
        Ok(_) | Err(_) => Err(DecodeError::Length(raw)),
    }
}

/// Appends an unsigned variable-length integer: seven bits a byte, the low ones first.
#[inline]
pub fn put_varint<B: BufMut>(buf: &mut B, mut value: u32) {
    while value >= 0x80 {
        buf.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buf.put_u8(value as u8);
}

/// Bytes that [`put_varint`] appends, 1 to 5.
#[inline]
pub const fn varint_size(value: u32) -> usize {
    (38 - (value | 1).leading_zeros() as usize) / 7
}

/// Takes an unsigned variable-length integer of at most 32 bits.
#[inline]
pub fn get_varint(buf: &mut Bytes) -> Result<u32, DecodeError> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = buf.try_get_u8().map_err(|_| DecodeError::Short)?;
        if shift == 28 && byte > 0x0f {
            return Err(DecodeError::Varint);
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Varint)
}

/// Reads the tagged fields at the end of a struct. `known` gets each tag and its bytes and returns whether
/// it knew it; what it knows it must consume, what it does not know is dropped.
pub fn decode_tagged(
    buf: &mut Bytes,
    mut known: impl FnMut(u32, &mut Bytes) -> Result<bool, DecodeError>,
) -> Result<(), DecodeError> {
    let count = get_varint(buf)?;
    if count == 0 {
        return Ok(());
    }
    if count as usize > buf.len() / 2 {
        return Err(DecodeError::Length(i64::from(count)));
    }
    for _ in 0..count {
        let tag = get_varint(buf)?;
        let size = get_varint(buf)? as usize;
        if size > buf.len() {
            return Err(DecodeError::Length(size as i64));
        }
        let mut value = buf.split_to(size);
        if known(tag, &mut value)? && !value.is_empty() {
            return Err(DecodeError::TagSize(tag));
        }
    }
    Ok(())
}
