//! Answers on their way out: bytes by gathered writes, parts of log files by `sendfile`.
//!
//! A file that is not in memory is first read in on a thread that may block, so that one reader of old data does not
//! hold up everybody else on the reactor's thread.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;

use crate::api::{Part, Response};
use crate::env::{Conn, File, Tasks};

/// How many slices one write gathers at most.
const SLICES_PER_WRITE_MAX: usize = 32;
/// How much of a file is sent in one call at most, so that one connection cannot keep the thread for long.
const SEND_BYTES_MAX: u64 = 1 << 20;
/// How much of a cold file is read in ahead of sending it.
const PREFETCH_BYTES: u64 = 4 << 20;
/// Room for a piece of a file where the connection cannot send it by itself.
const COPY_BYTES: usize = 64 * 1024;

/// What is left to write on a connection, in order.
#[derive(Default)]
pub(super) struct Outbox {
    parts: VecDeque<Part>,
    /// Up to which offset the file at the front is known to be in memory.
    resident_to: u64,
}

/// How far a call to [`Outbox::write`] came.
pub(super) enum Progress {
    /// Everything is written.
    Done,
    /// The peer takes no more for now.
    Blocked,
    /// It is somebody else's turn on this thread; there is more to write.
    Yield,
    /// The next bytes must first be read from the disk.
    Cold(ColdRead),
}

/// A piece of a file to bring into memory.
pub(super) struct ColdRead {
    file: Arc<dyn File>,
    offset: u64,
    len: u64,
}

impl ColdRead {
    /// Reads it where blocking holds up nobody.
    pub(super) async fn run(self, tasks: &Tasks) -> io::Result<()> {
        let read = tasks.run_blocking(move || self.file.prefetch(self.offset, self.len)).await;
        read.unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into()))
    }
}

impl Outbox {
    pub(super) fn push(&mut self, response: Response) {
        self.parts.extend(response.into_parts());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Marks what [`Progress::Cold`] asked for as read.
    pub(super) fn warmed(&mut self) {
        if let Some(Part::File(slice)) = self.parts.front() {
            self.resident_to = slice.position + u64::from(slice.len).min(PREFETCH_BYTES);
        }
    }

    /// Writes as much as the connection takes.
    pub(super) fn write(&mut self, conn: &dyn Conn) -> io::Result<Progress> {
        loop {
            let result = match self.parts.front() {
                None => return Ok(Progress::Done),
                Some(Part::Bytes(_)) => self.write_bytes(conn),
                Some(Part::File(slice)) => {
                    let mut len = u64::from(slice.len).min(SEND_BYTES_MAX);
                    if slice.position >= self.resident_to {
                        if !slice.file.is_resident(slice.position, len) {
                            let len = u64::from(slice.len).min(PREFETCH_BYTES);
                            let file = Arc::clone(&slice.file);
                            return Ok(Progress::Cold(ColdRead { file, offset: slice.position, len }));
                        }
                        // A peer takes far less at a time than is looked at; what follows is not looked at again.
                        self.resident_to = slice.position + len;
                    }
                    len = len.min(self.resident_to - slice.position);
                    self.send_file(conn, len)
                }
            };
            match result {
                Ok(sent) if sent as u64 >= SEND_BYTES_MAX => return Ok(Progress::Yield),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Writes the run of byte parts at the front.
    fn write_bytes(&mut self, conn: &dyn Conn) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE_MAX];
        let mut count = 0;
        for part in &self.parts {
            let Part::Bytes(bytes) = part else { break };
            if count == slices.len() {
                break;
            }
            slices[count] = IoSlice::new(bytes);
            count += 1;
        }
        let more_follows = count < self.parts.len();
        let written = conn.try_write(&slices[..count], more_follows)?;
        self.advance_bytes(written);
        Ok(written)
    }

    fn advance_bytes(&mut self, mut written: usize) {
        while let Some(Part::Bytes(bytes)) = self.parts.front_mut() {
            if written < bytes.len() {
                *bytes = bytes.slice(written..);
                return;
            }
            written -= bytes.len();
            self.pop();
        }
    }

    /// Sends up to `len` bytes of the file part at the front.
    fn send_file(&mut self, conn: &dyn Conn, len: u64) -> io::Result<usize> {
        let Some(Part::File(slice)) = self.parts.front_mut() else { return Ok(0) };
        let sent = match slice.file.as_fd().map(|fd| conn.try_send_file(fd, slice.position, len as usize)) {
            Some(Err(e)) if e.kind() == io::ErrorKind::Unsupported => None,
            other => other,
        };
        let sent = match sent {
            // The file is shorter than the log believes: nothing right can follow on this connection.
            Some(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(result) => result?,
            None => return self.copy_file(len),
        };
        slice.position += sent as u64;
        slice.len -= sent as u32;
        if slice.len == 0 {
            self.pop();
        }
        Ok(sent)
    }

    /// Turns the next piece of the file at the front into bytes.
    fn copy_file(&mut self, len: u64) -> io::Result<usize> {
        let Some(Part::File(slice)) = self.parts.front_mut() else { return Ok(0) };
        let mut piece = vec![0; (len as usize).min(COPY_BYTES)];
        let read = slice.file.read_at(slice.position, &mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        slice.position += read as u64;
        slice.len -= read as u32;
        if slice.len == 0 {
            self.pop();
        }
        self.parts.push_front(Part::Bytes(Bytes::from(piece)));
        Ok(0)
    }

    fn pop(&mut self) {
        self.parts.pop_front();
        self.resident_to = 0;
        if self.parts.is_empty() {
            // An idle connection holds no room for answers.
            self.parts = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::os::fd::BorrowedFd;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use parking_lot::Mutex;

    use super::*;
    use crate::env::Env;
    use crate::env::disk::OpenMode;
    use crate::storage::FileSlice;

    /// Takes little at a time, and notes what.
    #[derive(Default)]
    struct SlowPeer(Mutex<Vec<(u64, usize)>>);

    impl Conn for SlowPeer {
        fn poll_read_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
        fn try_read(&self, _buf: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
        fn poll_write_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn try_write(&self, parts: &[IoSlice<'_>], _more_follows: bool) -> io::Result<usize> {
            Ok(parts.iter().map(|part| part.len()).sum())
        }
        fn try_send_file(&self, _file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<usize> {
            let taken = len.min(100_000);
            self.0.lock().push((offset, taken));
            Ok(taken)
        }
        fn peer_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::NotConnected.into())
        }
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::NotConnected.into())
        }
    }

    /// Counts how often it is asked whether it is in memory.
    #[derive(Debug)]
    struct Watched(Arc<dyn File>, AtomicUsize);

    impl File for Watched {
        fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
            self.0.write_at(offset, parts)
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read_at(offset, buf)
        }
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }
        fn sync(&self) -> io::Result<()> {
            self.0.sync()
        }
        fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
            self.0.allocate(offset, len)
        }
        fn is_resident(&self, _offset: u64, _len: u64) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed);
            true
        }
        fn prefetch(&self, offset: u64, len: u64) -> io::Result<()> {
            self.0.prefetch(offset, len)
        }
        fn as_fd(&self) -> Option<BorrowedFd<'_>> {
            self.0.as_fd()
        }
    }

    #[test]
    fn a_file_is_sent_whole_and_looked_at_once_for_each_piece_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = Env::os().disk.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        let (watched, peer) = (Arc::new(Watched(file, AtomicUsize::new(0))), SlowPeer::default());
        let (position, len) = (1000, (SEND_BYTES_MAX * 5 / 2) as u32);
        let mut outbox = Outbox::default();
        outbox.parts.push_back(Part::File(FileSlice { file: watched.clone(), position, len }));
        while !matches!(outbox.write(&peer).unwrap(), Progress::Done) {}
        let mut next = position;
        for (offset, taken) in peer.0.lock().iter() {
            assert_eq!(*offset, next);
            next += *taken as u64;
        }
        assert_eq!(next, position + u64::from(len));
        assert_eq!(watched.1.load(Ordering::Relaxed), 3);
    }
}
