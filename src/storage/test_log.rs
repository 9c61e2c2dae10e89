//! Logs for tests, as a directory may hold them before anybody opens it.

use std::io::IoSlice;
use std::path::Path;

use super::checkpoint::{PARTITION_METADATA, partition_metadata_content};
use crate::env::Disk;
use crate::env::disk::OpenMode;
use crate::types::TopicId;

/// Makes the log at `path`: `records` in its first segment, and the topic's `id`, if it has one.
pub(crate) fn make_log(disk: &dyn Disk, path: &Path, id: Option<TopicId>, records: &[u8]) {
    disk.create_dir_all(path).expect("a directory");
    let file = disk.open(&path.join("00000000000000000000.log"), OpenMode::Create).expect("a segment");
    file.write_at(0, &[IoSlice::new(records)]).expect("written");
    if let Some(id) = id {
        let file = disk.open(&path.join(PARTITION_METADATA), OpenMode::Create).expect("a file");
        file.write_at(0, &[IoSlice::new(&partition_metadata_content(id))]).expect("written");
    }
}
