//! What can go wrong with files, in the distinctions that somebody acts on.

use std::io;
use std::path::{Path, PathBuf};

use crate::types::Offset;

/// A fault of the outside: the disk, or what is on it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No room on the file system, or the quota is used up. Nothing was changed; the same call may work
    /// later.
    #[error("no room on the disk for {path}")]
    Full {
        /// The file that was written.
        path: PathBuf,
    },
    /// The disk failed. The log directory is not used any more.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is on the disk cannot have been written by this server or Kafka, or was damaged after it had been
    /// made durable. The bytes are kept as they are and the partition is offline.
    #[error("{path} is corrupt at byte {position}: {why}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// The directory belongs to another topic of the same name, or to nobody knows which.
    #[error("{path} belongs to topic id {found}, not {expected}")]
    TopicId {
        /// The partition's directory.
        path: PathBuf,
        /// The id in its `partition.metadata`; nil if it has none.
        found: crate::types::TopicId,
        /// The id that was asked for.
        expected: crate::types::TopicId,
    },
    /// An earlier fault put this log or its directory out of use.
    #[error("{path} is offline after an earlier fault")]
    Offline {
        /// The log directory or the partition's.
        path: PathBuf,
    },
    /// Another process uses the log directory.
    #[error("{path} is locked: another process is using this log directory")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl StorageError {
    /// The fault behind an I/O error at `path`.
    pub fn io(path: &Path, source: io::Error) -> StorageError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StorageError::Full { path: path.to_owned() }
            }
            _ => StorageError::Io { path: path.to_owned(), source },
        }
    }

    /// True for [`StorageError::Full`], after which the log is as it was.
    pub fn is_full(&self) -> bool {
        matches!(self, StorageError::Full { .. })
    }
}

/// Names the file in an I/O error.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, StorageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, StorageError> {
        self.map_err(|e| StorageError::io(path, e))
    }
}

/// Why a read was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the log start offset or above the limit of the read.
    #[error("offset {offset} is not in {start}..={end}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The log start offset.
        start: Offset,
        /// The log end offset.
        end: Offset,
    },
    /// The disk failed or holds something else than it should.
    #[error(transparent)]
    Fault(#[from] StorageError),
}
