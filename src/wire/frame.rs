//! Frames: a big-endian int32 length and so many bytes.
//!
//! A length is compared with the limit before anything is reserved for it. A frame comes out as one shared
//! slice, so that decoding copies nothing.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Bytes of the length.
pub const PREFIX_BYTES: usize = 4;

/// Why a length cannot be honoured; the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative.
    #[error("a frame of {0} bytes")]
    Negative(i32),
    /// The frame is larger than `socket.request.max.bytes` or the limit that the caller set.
    #[error("a frame of {size} bytes, where {limit} are the most")]
    TooLarge {
        /// Bytes that the frame claims.
        size: usize,
        /// The most bytes allowed.
        limit: usize,
    },
}

/// The size of the frame that begins with `front`, without the length itself; `None` if the length is not
/// all there.
///
/// # Errors
///
/// If the length is negative or greater than `limit`.
pub fn size(front: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(raw) = front.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let raw = i32::from_be_bytes(*raw);
    let size = usize::try_from(raw).map_err(|_| FrameError::Negative(raw))?;
    if size > limit {
        return Err(FrameError::TooLarge { size, limit });
    }
    Ok(Some(size))
}

/// Takes the frame at the front of `buf`, without its length; `None` while it is not all there.
///
/// # Errors
///
/// As [`size`]; `buf` is left as it was.
pub fn take(buf: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(size) = size(buf, limit)? else { return Ok(None) };
    if buf.len() - PREFIX_BYTES < size {
        return Ok(None);
    }
    let mut frame = buf.split_to(PREFIX_BYTES + size).freeze();
    Ok(Some(frame.split_off(PREFIX_BYTES)))
}

/// Begins a frame at the end of `buf`; [`finish`] takes what this returns.
pub fn begin(buf: &mut BytesMut) -> usize {
    let at = buf.len();
    buf.put_i32(0);
    at
}

/// Writes the length of the frame that began at `begun` and ends where `buf` ends, plus `extra` bytes that
/// will follow it from elsewhere. `None` if that is more than an int32 says, or `begun` is not from
/// [`begin`].
pub fn finish(buf: &mut BytesMut, begun: usize, extra: usize) -> Option<()> {
    let size = buf.len().checked_sub(begun + PREFIX_BYTES)?.checked_add(extra)?;
    let size = i32::try_from(size).ok()?;
    buf.get_mut(begun..begun + PREFIX_BYTES)?.copy_from_slice(&size.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_lengths_are_refused_before_the_bytes_come() {
        assert_eq!(size(&[], 10), Ok(None));
        assert_eq!(size(&[0, 0, 0], 10), Ok(None));
        assert_eq!(size(&[0xff; 4], 10), Err(FrameError::Negative(-1)));
        assert_eq!(size(&[0x80, 0, 0, 0], 10), Err(FrameError::Negative(i32::MIN)));
        assert_eq!(size(&[0, 0, 0, 11], 10), Err(FrameError::TooLarge { size: 11, limit: 10 }));
        let most = i32::MAX as usize;
        assert_eq!(size(&[0x7f, 0xff, 0xff, 0xff], 10), Err(FrameError::TooLarge { size: most, limit: 10 }));
        assert_eq!(size(&[0, 0, 0, 10], 10), Ok(Some(10)));
        assert_eq!(size(&[0, 0, 0, 0], 10), Ok(Some(0)));
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_arrive(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..10),
            step in 1usize..30,
        ) {
            let mut wire = BytesMut::new();
            for frame in &frames {
                let at = begin(&mut wire);
                wire.put_slice(frame);
                finish(&mut wire, at, 0).unwrap();
            }
            let mut seen = Vec::new();
            let mut buf = BytesMut::new();
            for piece in wire.chunks(step) {
                buf.put_slice(piece);
                while let Some(frame) = take(&mut buf, 50).unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut buf = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = take(&mut buf, 64) {
                prop_assert!(frame.len() <= 64);
            }
        }
    }
}
