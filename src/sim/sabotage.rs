//! Broken nodes, to show that the checkers bite.
//!
//! The product has no switch for any of this: a node is broken where it meets its configuration or its disk.
//! Each kind is a bug that a server could have, and must be found within a bounded number of seeds.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use super::disk::SimDisk;
use crate::env::disk::{DirEntry, Disk, File, LockGuard, Metadata, OpenMode};

/// What is wrong with the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// It answers acks=all before the sync, though `fsync` was promised.
    AnswersBeforeSync,
    /// Its syncs of logs do nothing.
    SyncsNothing,
    /// It never syncs a directory: new segments and renamed checkpoints may lose their names.
    SyncsNoNames,
    /// It forgets idempotent producers almost at once.
    ForgetsProducers,
    /// What it cuts off a log's file in recovery or truncation stays there.
    CutsNothing,
}

impl Sabotage {
    /// Every kind.
    pub const ALL: [Sabotage; 5] = [
        Sabotage::AnswersBeforeSync,
        Sabotage::SyncsNothing,
        Sabotage::SyncsNoNames,
        Sabotage::ForgetsProducers,
        Sabotage::CutsNothing,
    ];
}

/// A disk as a broken node uses it.
pub(super) struct BrokenDisk {
    pub(super) disk: SimDisk,
    pub(super) sabotage: Sabotage,
}

#[derive(Debug)]
struct BrokenFile {
    file: Arc<dyn File>,
    sabotage: Sabotage,
}

impl Disk for BrokenDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(path, mode)?;
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let of_topic = !path.to_string_lossy().contains("__cluster_metadata");
        if is_log && of_topic {
            return Ok(Arc::new(BrokenFile { file, sabotage: self.sabotage }));
        }
        Ok(file)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.sabotage {
            Sabotage::SyncsNoNames => Ok(()),
            _ => self.disk.sync_dir(path),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.disk.lock(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_space(path)
    }
}

impl File for BrokenFile {
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.file.write_at(offset, parts)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self.sabotage {
            Sabotage::CutsNothing if self.file.len()? > len => Ok(()),
            _ => self.file.set_len(len),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.sabotage {
            Sabotage::SyncsNothing => Ok(()),
            _ => self.file.sync(),
        }
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.allocate(offset, len)
    }

    fn is_resident(&self, offset: u64, len: u64) -> bool {
        self.file.is_resident(offset, len)
    }

    fn prefetch(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.prefetch(offset, len)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}
