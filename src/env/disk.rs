//! Files and directories, as a log store needs them.
//!
//! Calls are plain and may block: appends and index reads go to the page cache and are short; a sync or a read that may
//! be cold goes through [`super::Tasks::run_blocking`]. Nothing is durable before the file is synced *and*, for a new or
//! renamed name, its directory is ([`Disk::sync_dir`]); the simulator drops whatever was not.

use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What [`Disk::open`] may do with the path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// To read and write; made if it is not there.
    Create,
    /// To read and write; made empty. `AlreadyExists` if it is there.
    CreateNew,
}

/// What a directory holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// The last part of its path.
    pub name: String,
    /// True for a directory.
    pub is_dir: bool,
}

/// What is known of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// True for a directory.
    pub is_dir: bool,
    /// Length in bytes of a file.
    pub len: u64,
    /// When it was written last, in milliseconds since the Unix epoch.
    pub modified: crate::types::Ms,
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;
    /// Makes a directory and what is missing above it. No error if it is there.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or directory another name, replacing a file of that name in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable: what was made, renamed and removed there.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// What a directory holds, ordered by name. Names that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// What is known of a path; `NotFound` if there is nothing.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// Takes the lock on a lock file, which is made if it is not there. `WouldBlock` if another process, or another node
    /// of the simulation, holds it. Dropping the guard, or dying, gives it back.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>>;
    /// Makes everything durable on the file system that holds `path`: content and names, of every file. Worth it where
    /// very many files would have to be synced one by one. False where it can't be done; then sync them one by one.
    /// Blocks.
    fn sync_all(&self, path: &Path) -> io::Result<bool> {
        let _: &Path = path;
        Ok(false)
    }
    /// Bytes free for this process on the file system that holds `path`.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Bytes in all on the file system that holds `path`.
    fn total_space(&self, path: &Path) -> io::Result<u64>;

    /// True if there is something at `path`.
    fn exists(&self, path: &Path) -> bool {
        self.metadata(path).is_ok()
    }
}

/// Holds a lock until it is dropped.
pub trait LockGuard: Send + Sync {}

/// An open file. Positions are explicit, so that one handle serves many readers.
pub trait File: Send + Sync + fmt::Debug {
    /// Writes all of `parts`, one after another, from `offset` on. After an error any prefix may have been written.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;
    /// Reads up to `buf.len()` bytes from `offset`; 0 at or past the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the content durable, with as much of the metadata as reading it back needs (`fdatasync`). Blocks. After an
    /// error the content must be taken for lost: never sync again and believe it.
    fn sync(&self) -> io::Result<()>;
    /// Reserves room on the disk without changing the length.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;
    /// True if the bytes of the range can be read without waiting for the disk, as far as one can tell.
    fn is_resident(&self, offset: u64, len: u64) -> bool;
    /// Brings the bytes of the range into memory. May block.
    fn prefetch(&self, offset: u64, len: u64) -> io::Result<()>;
    /// The descriptor, for `sendfile`; `None` in the simulator.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// True if the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads exactly `buf.len()` bytes from `offset`; `UnexpectedEof` if the file ends before.
pub fn read_exact_at(file: &dyn File, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(offset + done as u64, &mut buf[done..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}

/// The whole content of a file of at most `limit` bytes; `InvalidData` if it is longer.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = file.len()?;
    if len > limit {
        let why = format!("{} has {len} bytes, more than the {limit} it may have", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut content = vec![0; len as usize];
    read_exact_at(&*file, 0, &mut content)?;
    Ok(content)
}

/// Replaces a file in one step that survives a crash: whoever reads `path` afterwards finds the old content or the new,
/// whole. Writes beside it, syncs, renames, syncs the directory. Blocks.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(disk, path, content)?.sync()?;
    put_in_place(disk, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

/// The first step of [`replace_file`]: the new content, under a name of its own. It must be synced before the second.
pub fn write_beside(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<Arc<dyn File>> {
    let file = disk.open(&beside(path), OpenMode::Create)?;
    file.set_len(0)?;
    file.write_at(0, &[IoSlice::new(content)])?;
    Ok(file)
}

/// The second step of [`replace_file`]: the new content takes the name. The directory must be synced after it.
pub fn put_in_place(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.rename(&beside(path), path)
}

fn beside(path: &Path) -> PathBuf {
    let mut temporary: PathBuf = path.to_owned();
    temporary.as_mut_os_string().push(".tmp");
    temporary
}
