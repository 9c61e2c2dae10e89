//! The machine's file system.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // This is the place the bans point to.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};

use super::disk::{DirEntry, Disk, File, LockGuard, Metadata, OpenMode};

/// How many slices one `pwritev` takes at most (`IOV_MAX` on Linux).
const SLICES_PER_WRITE_MAX: usize = 1024;

/// How long a lock is waited for. A process that was killed keeps its locks until the kernel has taken it down, which
/// takes as long as its last write to the disk; whoever restarts it at once should not be told that it still runs.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
/// How often to look.
const LOCK_RETRY: Duration = Duration::from_millis(10);

pub(super) struct OsDisk;

#[derive(Debug)]
struct OsFile(std::fs::File);

struct OsLock(#[allow(dead_code)] std::fs::File);

impl LockGuard for OsLock {}

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::Create => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
        };
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // The parent of a relative path of one name is the empty path, which nobody can open.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::fs::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = std::fs::metadata(path)?;
        let modified = found.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Metadata { is_dir: found.is_dir(), len: found.len(), modified: modified.as_millis() as i64 })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        let deadline = std::time::Instant::now() + LOCK_PATIENCE;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Box::new(OsLock(file))),
                Err(rustix::io::Errno::WOULDBLOCK) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn sync_all(&self, path: &Path) -> io::Result<bool> {
        rustix::fs::syncfs(std::fs::File::open(path)?)?;
        Ok(true)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_blocks * stat.f_frsize)
    }
}

impl File for OsFile {
    fn write_at(&self, mut offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut storage: [MaybeUninit<IoSlice<'_>>; 16] = [const { MaybeUninit::uninit() }; 16];
        let mut many;
        // The slices are advanced after a short write, so they are copied first; on the stack where they are few.
        let mut rest: &mut [IoSlice<'_>] = if parts.len() <= storage.len() {
            for (slot, part) in storage.iter_mut().zip(parts) {
                slot.write(*part);
            }
            // SAFETY: the first `parts.len()` slots were written just above.
            unsafe { std::slice::from_raw_parts_mut(storage.as_mut_ptr().cast(), parts.len()) }
        } else {
            many = parts.to_vec();
            &mut many
        };
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(SLICES_PER_WRITE_MAX)];
            match rustix::io::pwritev(&self.0, batch, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    offset += n as u64;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::pread(&self.0, &mut *buf, offset) {
                Err(rustix::io::Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, offset, len)?)
    }

    fn is_resident(&self, offset: u64, len: u64) -> bool {
        // One byte at each end and one in the middle: what is sent is read in order, so residency comes in long runs.
        let probe = |at: u64| {
            let mut byte = [0u8; 1];
            let iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
            // SAFETY: `iov` points to one writable byte that outlives the call.
            let n =
                unsafe { libc::preadv2(self.0.as_raw_fd(), &iov, 1, at as libc::off_t, libc::RWF_NOWAIT) };
            n >= 0
        };
        len == 0
            || (probe(offset) && probe(offset + len - 1) && (len < 128 * 1024 || probe(offset + len / 2)))
    }

    fn prefetch(&self, offset: u64, len: u64) -> io::Result<()> {
        let Some(len) = std::num::NonZeroU64::new(len) else { return Ok(()) };
        rustix::fs::fadvise(&self.0, offset, Some(len), Advice::WillNeed)?;
        // The advice only starts the reads; touching a byte of each page waits for them.
        let (mut at, end) = (offset, offset + len.get());
        let mut page = [0u8; 1];
        while at < end {
            if self.read_at(at, &mut page)? == 0 {
                break;
            }
            at += 4096;
        }
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::{read_exact_at, read_file, replace_file};
    use super::*;

    #[test]
    fn many_slices_are_written_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = OsDisk.open(&dir.path().join("f"), OpenMode::CreateNew).unwrap();
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let parts: Vec<IoSlice<'_>> = bytes.chunks(2).map(IoSlice::new).collect();
        file.write_at(3, &parts).unwrap();
        file.write_at(0, &[IoSlice::new(b""), IoSlice::new(b"abc"), IoSlice::new(b"")]).unwrap();
        let mut back = vec![0; 5003];
        read_exact_at(&*file, 0, &mut back).unwrap();
        assert_eq!(&back[..3], b"abc");
        assert_eq!(&back[3..], &bytes[..]);
        assert!(file.is_resident(0, 5003));
    }

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        replace_file(&OsDisk, &path, b"a longer first content").unwrap();
        replace_file(&OsDisk, &path, b"second").unwrap();
        assert_eq!(read_file(&OsDisk, &path, 100).unwrap(), b"second");
        assert_eq!(read_file(&OsDisk, &path, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(OsDisk.list(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn the_parent_of_a_relative_name_can_be_synced() {
        // Tests run in the package's directory.
        let parent = Path::new("Cargo.toml").parent().unwrap();
        assert_eq!(parent, Path::new(""));
        OsDisk.sync_dir(parent).unwrap();
    }

    #[test]
    fn a_lock_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let held = OsDisk.lock(&path).unwrap();
        assert_eq!(OsDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        OsDisk.lock(&path).unwrap();
    }
}
