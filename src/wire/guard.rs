//! Walks a message by its declared layout before anything decodes it.
//!
//! kafka-protocol's decoder believes the counts it reads: four bytes can make it ask for 150 GB and abort
//! the process. What has passed here cannot: one pass over the bytes, without allocating, has compared
//! every length and count with what is left, counted `elements x size in memory` against a budget (a frame
//! of one-byte elements would otherwise grow seventy-fold), bounded the tagged fields that the decoder
//! would keep, and found the end of the message among the bytes. Nesting is as deep as the layout and no deeper.
//!
//! Text is not checked to be UTF-8; the decoder does that without allocating.

use crate::schema::layout::{FieldLayout, Kind, MessageLayout, StructLayout};
use crate::schema::{requests, responses};

/// Bytes that an unknown tagged field costs the decoder: a node of the map that keeps it.
const UNKNOWN_TAG_MEMORY: usize = 512;

/// Elements from which on it pays to find out whether all of them have the same size.
const UNIFORM_ELEMENTS_MIN: usize = 4;

/// What one message may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the decoded message may take besides the frame it points into.
    pub memory: usize,
    /// Tagged fields that the layout does not know, in the whole message.
    pub tagged_fields: u32,
    /// Bytes in those.
    pub tagged_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB: an OffsetCommit of half a million partitions. Newer clients may add tagged fields to every
    /// partition of a request, so these are allowed in thousands.
    fn default() -> Self {
        Limits { memory: 64 << 20, tagged_fields: 10_000, tagged_bytes: 1 << 20 }
    }
}

/// Why a message must not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// There is no such API, or no layout for it.
    #[error("there is no API with the key {0}")]
    UnknownApi(i16),
    /// The API does not have this version.
    #[error("API {0} has no version {1}")]
    Version(i16, i16),
    /// The message ends inside a value, or a length or count is greater than what is left.
    #[error("the message ends inside a value")]
    Short,
    /// A length or count is negative.
    #[error("a length of {0}")]
    Negative(i32),
    /// Null where the version does not allow it.
    #[error("null where a value must be")]
    Null,
    /// A variable-length integer has more than 32 bits.
    #[error("a variable-length integer is too long")]
    Varint,
    /// The marker before a nullable struct is neither -1 nor 1.
    #[error("a nullable struct begins with {0}")]
    Marker(u8),
    /// The arrays would take more memory than one message may.
    #[error("the message would take too much memory")]
    Memory,
    /// More tagged fields, or more bytes in them, than one message may have.
    #[error("too many tagged fields")]
    TaggedFields,
    /// A tagged field does not have the size it claims.
    #[error("a tagged field does not have the size it claims")]
    TagSize,
    /// Bytes follow the message.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
}

/// Whether `body` is a request of `api_key` in `version` that may be decoded. Tens of nanoseconds for a
/// Produce.
///
/// Bytes may follow the request. Kafka does not look at them, and clients count on that unknowingly: librdkafka up to
/// 2.16 at least ends its Metadata request for all topics with three that are left over from its own writing.
///
/// # Errors
///
/// The first reason not to.
pub fn check(api_key: i16, version: i16, body: &[u8], limits: &Limits) -> Result<(), GuardError> {
    let layout = requests::layout(api_key).ok_or(GuardError::UnknownApi(api_key))?;
    if !layout.versions.has(version) {
        return Err(GuardError::Version(api_key, version));
    }
    match check_layout(layout, version, body, limits) {
        Err(GuardError::Trailing(_)) => Ok(()),
        verdict => verdict,
    }
}

/// The same for a response; others are as foreign as clients.
///
/// # Errors
///
/// The first reason not to decode it.
pub fn check_response(api_key: i16, version: i16, body: &[u8], limits: &Limits) -> Result<(), GuardError> {
    let layout = responses::layout(api_key).ok_or(GuardError::UnknownApi(api_key))?;
    if !layout.versions.has(version) {
        return Err(GuardError::Version(api_key, version));
    }
    check_layout(layout, version, body, limits)
}

/// The walk itself, for a layout and one of its versions.
///
/// # Errors
///
/// The first reason not to decode `body`.
pub fn check_layout(
    layout: &MessageLayout,
    version: i16,
    body: &[u8],
    limits: &Limits,
) -> Result<(), GuardError> {
    let mut walk = Walk { left: body, version, flexible: layout.flexible.has(version), limits: *limits };
    walk.structure(layout.body)?;
    if walk.left.is_empty() { Ok(()) } else { Err(GuardError::Trailing(walk.left.len())) }
}

struct Walk<'a> {
    left: &'a [u8],
    version: i16,
    flexible: bool,
    /// What may still be spent.
    limits: Limits,
}

impl Walk<'_> {
    fn structure(&mut self, layout: &'static StructLayout) -> Result<(), GuardError> {
        for field in layout.fields {
            if field.versions.has(self.version) && !field.tagged.has(self.version) {
                self.value(&field.kind, field.nullable.has(self.version))?;
            }
        }
        if self.flexible { self.tagged(layout.fields) } else { Ok(()) }
    }

    #[inline]
    fn value(&mut self, kind: &'static Kind, nullable: bool) -> Result<(), GuardError> {
        match kind {
            Kind::Bool | Kind::Int8 => self.skip(1),
            Kind::Int16 | Kind::Uint16 => self.skip(2),
            Kind::Int32 | Kind::Uint32 => self.skip(4),
            Kind::Int64 | Kind::Float64 => self.skip(8),
            Kind::Uuid => self.skip(16),
            Kind::String => match self.short_length(nullable)? {
                Some(len) => self.skip(len),
                None => Ok(()),
            },
            Kind::Bytes | Kind::Records => match self.length(nullable)? {
                Some(len) => self.skip(len),
                None => Ok(()),
            },
            Kind::Array(element) => match self.length(nullable)? {
                Some(count) => self.elements(element, count),
                None => Ok(()),
            },
            Kind::Struct(layout) if nullable => match self.byte()? {
                1 => self.structure(layout),
                0xff => Ok(()),
                other => Err(GuardError::Marker(other)),
            },
            Kind::Struct(layout) => self.structure(layout),
        }
    }

    fn elements(&mut self, element: &'static Kind, count: usize) -> Result<(), GuardError> {
        // Each element has a byte at least. This also keeps the products below from overflowing.
        if count > self.left.len() {
            return Err(GuardError::Short);
        }
        let memory = count.checked_mul(element.memory()).ok_or(GuardError::Memory)?;
        self.limits.memory = self.limits.memory.checked_sub(memory).ok_or(GuardError::Memory)?;
        if let Some(size) = element.fixed_size() {
            return self.skip(count.checked_mul(size).ok_or(GuardError::Short)?);
        }
        if let Kind::Struct(layout) = element
            && count >= UNIFORM_ELEMENTS_MIN
            && let Some(size) = self.uniform_size(layout)
        {
            if !self.flexible {
                return self.skip(count.checked_mul(size).ok_or(GuardError::Short)?);
            }
            return (0..count).try_for_each(|_| {
                self.skip(size)?;
                self.tagged(layout.fields)
            });
        }
        (0..count).try_for_each(|_| self.value(element, false))
    }

    /// Bytes of the struct before its tagged fields, if they are the same for every value.
    fn uniform_size(&self, layout: &'static StructLayout) -> Option<usize> {
        let here =
            layout.fields.iter().filter(|f| f.versions.has(self.version) && !f.tagged.has(self.version));
        here.map(|field| field.kind.fixed_size()).sum()
    }

    #[inline]
    fn tagged(&mut self, fields: &'static [FieldLayout]) -> Result<(), GuardError> {
        match self.byte()? {
            0 => Ok(()),
            first => self.tagged_fields(first, fields),
        }
    }

    #[cold]
    fn tagged_fields(&mut self, first: u8, fields: &'static [FieldLayout]) -> Result<(), GuardError> {
        let count = self.varint_after(first)?;
        if count as usize > self.left.len() / 2 {
            return Err(GuardError::Short);
        }
        let mut last = None;
        for _ in 0..count {
            let tag = self.varint()?;
            let size = self.varint()? as usize;
            if size > self.left.len() {
                return Err(GuardError::Short);
            }
            let known = fields.iter().find(|field| field.tagged.has(self.version) && field.tag == tag);
            // A known field counts as one that is not if it comes again: it costs time, and a sender has no
            // reason.
            if known.is_none() || last.is_some_and(|last| tag <= last) {
                self.unknown_tag(size)?;
            }
            match known {
                Some(field) => {
                    let end = self.left.len() - size;
                    self.value(&field.kind, field.nullable.has(self.version))?;
                    if self.left.len() != end {
                        return Err(GuardError::TagSize);
                    }
                }
                None => self.skip(size)?,
            }
            last = Some(tag);
        }
        Ok(())
    }

    fn unknown_tag(&mut self, size: usize) -> Result<(), GuardError> {
        let limits = &mut self.limits;
        limits.tagged_fields = limits.tagged_fields.checked_sub(1).ok_or(GuardError::TaggedFields)?;
        limits.tagged_bytes = limits.tagged_bytes.checked_sub(size).ok_or(GuardError::TaggedFields)?;
        limits.memory = limits.memory.checked_sub(UNKNOWN_TAG_MEMORY).ok_or(GuardError::Memory)?;
        Ok(())
    }

    /// The length of text, checked by whoever skips it; `None` for null.
    #[inline]
    fn short_length(&mut self, nullable: bool) -> Result<Option<usize>, GuardError> {
        if self.flexible {
            return self.length(nullable);
        }
        let (raw, left) = self.left.split_first_chunk::<2>().ok_or(GuardError::Short)?;
        self.left = left;
        Self::checked(i32::from(i16::from_be_bytes(*raw)), nullable)
    }

    /// The length of bytes or the count of an array, checked by whoever skips it; `None` for null.
    #[inline]
    fn length(&mut self, nullable: bool) -> Result<Option<usize>, GuardError> {
        if self.flexible {
            let raw = self.varint()?;
            return match raw.checked_sub(1) {
                Some(len) => Ok(Some(len as usize)),
                None if nullable => Ok(None),
                None => Err(GuardError::Null),
            };
        }
        let (raw, left) = self.left.split_first_chunk::<4>().ok_or(GuardError::Short)?;
        self.left = left;
        Self::checked(i32::from_be_bytes(*raw), nullable)
    }

    #[inline]
    fn checked(raw: i32, nullable: bool) -> Result<Option<usize>, GuardError> {
        match usize::try_from(raw) {
            Ok(len) => Ok(Some(len)),
            Err(_) if raw != -1 => Err(GuardError::Negative(raw)),
            Err(_) if nullable => Ok(None),
            Err(_) => Err(GuardError::Null),
        }
    }

    #[inline]
    fn skip(&mut self, len: usize) -> Result<(), GuardError> {
        self.left = self.left.get(len..).ok_or(GuardError::Short)?;
        Ok(())
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, GuardError> {
        let (&first, left) = self.left.split_first().ok_or(GuardError::Short)?;
        self.left = left;
        Ok(first)
    }

    #[inline]
    fn varint(&mut self) -> Result<u32, GuardError> {
        let first = self.byte()?;
        if first < 0x80 { Ok(u32::from(first)) } else { self.varint_after(first) }
    }

    fn varint_after(&mut self, first: u8) -> Result<u32, GuardError> {
        let mut value = u32::from(first & 0x7f);
        if first < 0x80 {
            return Ok(value);
        }
        for shift in [7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                return Err(GuardError::Varint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(GuardError::Varint)
    }
}

#[cfg(test)]
#[path = "guard_test.rs"]
mod tests;
