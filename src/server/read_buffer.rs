//! What has arrived on a connection and is not yet a request.
//!
//! A client announces a frame's length before it sends it, and may lie. So memory follows what has *arrived*: an
//! announced length alone gets nothing, and a buffer grows to a small multiple of what is really there. Only a
//! connection that has sent whole frames of some size before gets a buffer of that size at once, which spares an honest
//! producer every copy. Between requests a connection holds no buffer at all.

use std::cell::RefCell;
use std::io;

use bytes::{Buf, Bytes, BytesMut};

use crate::env::Conn;
use crate::wire::frame::{self, FrameError, PREFIX_BYTES};

/// What one read on a connection that nothing is known of may bring.
const SCRATCH_BYTES: usize = 64 * 1024;
/// A buffer may be this many times larger than what has arrived.
const GROWTH: usize = 4;
/// The smallest buffer for a request that is half here.
const GROWTH_BYTES_MIN: usize = 4 * 1024;
/// The largest frame that a connection is trusted to send again.
const TRUSTED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What is read while a request waits: the small requests that clients send behind a fetch.
const READ_AHEAD_BYTES: usize = 2 * 1024;

thread_local! {
    /// Where a read goes when it is not known what it will bring.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// The bytes of one connection between the socket and the requests.
pub(super) struct ReadBuffer {
    bytes: BytesMut,
    /// Length with prefix of the largest recent frame that arrived whole.
    trusted: usize,
    frame_bytes_max: usize,
}

impl ReadBuffer {
    pub(super) fn new(frame_bytes_max: usize) -> ReadBuffer {
        ReadBuffer { bytes: BytesMut::new(), trusted: 0, frame_bytes_max }
    }

    /// Bytes held for a request that is half here.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes that have arrived and belong to no request yet.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next frame, without its length, if it is here whole.
    pub(super) fn take_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(frame) = frame::size(&self.bytes, self.frame_bytes_max)? else { return Ok(None) };
        if self.bytes.len() < PREFIX_BYTES + frame {
            return Ok(None);
        }
        self.bytes.advance(PREFIX_BYTES);
        let taken = self.bytes.split_to(frame).freeze();
        let whole = (PREFIX_BYTES + frame).min(TRUSTED_BYTES_MAX);
        // Grow at once, shrink slowly: one small request between large ones changes nothing.
        self.trusted = whole.max(self.trusted - self.trusted / 8);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        Ok(Some(taken))
    }

    /// Reads once. Returns how many bytes came, 0 once the peer has closed.
    pub(super) fn read(&mut self, conn: &dyn Conn) -> io::Result<usize> {
        let wanted = self.room_wanted();
        if wanted == 0 {
            return SCRATCH.with_borrow_mut(|scratch| {
                let read = conn.try_read(scratch)?;
                self.bytes.reserve(read);
                self.bytes.extend_from_slice(&scratch[..read]);
                Ok(read)
            });
        }
        let held = self.bytes.len();
        self.bytes.reserve(wanted);
        let spare = self.bytes.spare_capacity_mut();
        let room = spare.len().min(wanted);
        // SAFETY: the slice is valid for writes of `room` bytes; `Conn::try_read` hands it to the kernel, or copies into
        // it, and never reads from it. `set_len` takes in only what was written.
        let read = unsafe {
            let room = std::slice::from_raw_parts_mut(spare.as_mut_ptr().cast::<u8>(), room);
            conn.try_read(room)
        };
        if held == 0 && !matches!(read, Ok(1..)) {
            // Nothing has come: room for what may come later is not kept.
            self.bytes = BytesMut::new();
        }
        let read = read?;
        if read > 0 {
            // SAFETY: `try_read` wrote the first `read` bytes of the spare capacity, which has at least as many.
            unsafe { self.bytes.set_len(held + read) };
        }
        Ok(read)
    }

    /// Reads a little while a request of the connection waits: its client may be gone. Returns as [`ReadBuffer::read`].
    pub(super) fn read_ahead(&mut self, conn: &dyn Conn) -> io::Result<usize> {
        let mut little = [0; READ_AHEAD_BYTES];
        let read = conn.try_read(&mut little)?;
        self.bytes.extend_from_slice(&little[..read]);
        Ok(read)
    }

    /// True while what has been read ahead is little enough to read on.
    pub(super) fn may_read_ahead(&self) -> bool {
        self.bytes.len() < READ_AHEAD_BYTES
    }

    /// How much room to give the next read; 0 where nothing is known of what will come.
    fn room_wanted(&self) -> usize {
        let held = self.bytes.len();
        if held == 0 {
            // A frame like the last one. Small ones take the scratch buffer and one short copy.
            return if self.trusted > SCRATCH_BYTES / 4 { self.trusted } else { 0 };
        }
        let Ok(Some(frame)) = frame::size(&self.bytes, self.frame_bytes_max) else { return GROWTH_BYTES_MIN };
        let missing = (PREFIX_BYTES + frame).saturating_sub(held);
        missing.min((held * GROWTH).max(GROWTH_BYTES_MIN).max(self.trusted))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::IoSlice;
    use std::net::SocketAddr;
    use std::os::fd::BorrowedFd;
    use std::task::{Context, Poll};

    use parking_lot::Mutex;

    use super::*;

    /// A connection on which bytes lie ready to be read, in portions.
    struct Canned(Mutex<VecDeque<Vec<u8>>>);

    impl Conn for Canned {
        fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
            let mut portions = self.0.lock();
            let Some(first) = portions.front_mut() else { return Ok(0) };
            let n = first.len().min(buf.len());
            buf[..n].copy_from_slice(&first[..n]);
            first.drain(..n);
            if first.is_empty() {
                portions.pop_front();
            }
            Ok(n)
        }
        fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn try_write(&self, _: &[IoSlice<'_>], _: bool) -> io::Result<usize> {
            Ok(0)
        }
        fn try_send_file(&self, _: BorrowedFd<'_>, _: u64, _: usize) -> io::Result<usize> {
            Ok(0)
        }
        fn peer_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn frame(len: usize) -> Vec<u8> {
        let mut bytes = (len as i32).to_be_bytes().to_vec();
        bytes.extend((0..len).map(|i| (i % 251) as u8));
        bytes
    }

    fn read_all(buffer: &mut ReadBuffer, portions: Vec<Vec<u8>>) -> Vec<Bytes> {
        let conn = Canned(Mutex::new(portions.into()));
        let mut frames = Vec::new();
        while buffer.read(&conn).unwrap() > 0 {
            while let Some(frame) = buffer.take_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        for portion in [7, 1000, 70_000, 1_000_000] {
            let mut sent = Vec::new();
            for len in [0, 1, 4, 100, 70_000, 300_000, 5, 300_000, 17] {
                sent.extend(frame(len));
            }
            let mut buffer = ReadBuffer::new(1 << 20);
            let frames = read_all(&mut buffer, sent.chunks(portion).map(<[u8]>::to_vec).collect());
            let lengths: Vec<usize> = frames.iter().map(Bytes::len).collect();
            assert_eq!(lengths, [0, 1, 4, 100, 70_000, 300_000, 5, 300_000, 17], "in portions of {portion}");
            assert!(frames.iter().all(|f| f.iter().enumerate().all(|(i, &b)| b == (i % 251) as u8)));
            assert_eq!(buffer.capacity(), 0, "nothing is held between requests");
        }
    }

    #[test]
    fn an_announced_length_alone_costs_next_to_nothing() {
        let mut buffer = ReadBuffer::new(100 << 20);
        let mut sent = (100i32 << 20).to_be_bytes().to_vec();
        sent.extend([0; 1020]);
        assert!(read_all(&mut buffer, vec![sent]).is_empty());
        assert!(buffer.capacity() <= 8 * 1024, "{} bytes are held for 1 KiB", buffer.capacity());
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let negative = FrameError::Negative;
        let too_large = FrameError::TooLarge { size: 1001, limit: 1000 };
        for (announced, refused) in [(-1, negative(-1)), (i32::MIN, negative(i32::MIN)), (1001, too_large)] {
            let mut buffer = ReadBuffer::new(1000);
            let conn = Canned(Mutex::new([i32::to_be_bytes(announced).to_vec()].into()));
            buffer.read(&conn).unwrap();
            assert_eq!(buffer.take_frame(), Err(refused));
        }
    }
}
