//! Kafka's small text files: offset checkpoints, `partition.metadata`, `.kafka_cleanshutdown`.
//!
//! A checkpoint is a version line, a line with the number of entries, and an entry a line. All are replaced
//! whole ([`replace_file`]), so a crash leaves the old one or the new one. Kafka touches some of them empty
//! when it formats: a file of 0 bytes counts as absent, as does one of zeros, which a power cut can leave of
//! a file that was not synced.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use super::fault::{At, StorageError};
use crate::env::Disk;
use crate::env::disk::{read_file, replace_file};
use crate::types::{BrokerEpoch, Offset, TopicId, TopicPartition, uuid_from_base64};

/// Offset from which on a log must be recovered after an unclean stop.
pub const RECOVERY_POINT: &str = "recovery-point-offset-checkpoint";
/// Recovery points that are newer than those of that file, of the logs that were synced since; ours.
pub const RECENT_POINTS: &str = "recovery-point-recent";
/// Log start offsets that are not simply the first segment's.
pub const LOG_START: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub const HIGH_WATERMARK: &str = "replication-offset-checkpoint";
/// Written last in an orderly stop.
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// In a partition's directory: which topic it belongs to.
pub const PARTITION_METADATA: &str = "partition.metadata";

/// The largest checkpoint that is read: about a million partitions with long names.
const BYTES_MAX: u64 = 256 << 20;

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// Reads a file; `None` if it is absent, empty or all zeros.
pub fn read_text(disk: &dyn Disk, path: &Path) -> Result<Option<String>, StorageError> {
    let bytes = match read_file(disk, path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StorageError::io(path, e)),
    };
    if bytes.iter().all(|&b| b == 0) {
        return Ok(None);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(malformed(path, "not text")),
    }
}

fn malformed(path: &Path, why: impl Into<String>) -> StorageError {
    StorageError::Corrupt { path: path.to_owned(), position: 0, why: why.into() }
}

/// The entry lines of a checkpoint file; `None` if there is no file.
pub fn read_lines(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<String>>, StorageError> {
    read_text(disk, path)?.map(|text| entry_lines(path, &text)).transpose()
}

fn entry_lines(path: &Path, text: &str) -> Result<Vec<String>, StorageError> {
    // Of a line that was cut off the rest may pass for whole.
    if !text.ends_with('\n') {
        return Err(malformed(path, "the last line has no end"));
    }
    let mut lines = text.lines();
    match lines.next().map(str::trim) {
        Some("0") => {}
        other => return Err(malformed(path, format!("version {other:?}"))),
    }
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok());
    let entries: Vec<String> =
        lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if count != Some(entries.len()) {
        return Err(malformed(path, format!("{} entries, {count:?} announced", entries.len())));
    }
    Ok(entries)
}

/// The content of a checkpoint file with these entry lines.
pub fn lines_content(entries: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text.into_bytes()
}

/// Reads `topic partition offset` lines; empty if there is no file.
pub fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Offsets, StorageError> {
    parse_offsets(path, read_lines(disk, path)?.unwrap_or_default())
}

/// Names the content of a file.
fn tie(content: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(content))
}

/// Reads [`RECENT_POINTS`] of a directory; empty unless they were written beside the [`RECOVERY_POINT`]s that are there now.
pub fn read_recent_points(disk: &dyn Disk, dir: &Path) -> Result<Offsets, StorageError> {
    let path = dir.join(RECENT_POINTS);
    let (Some(text), Some(all)) = (read_text(disk, &path)?, read_text(disk, &dir.join(RECOVERY_POINT))?)
    else {
        return Ok(Offsets::new());
    };
    match text.split_once('\n') {
        Some((tied, text)) if tied == tie(all.as_bytes()) => parse_offsets(&path, entry_lines(&path, text)?),
        Some(_) => Ok(Offsets::new()),
        None => Err(malformed(&path, "one line")),
    }
}

/// Replaces [`RECENT_POINTS`], durably. `tied` is what [`write_offsets`] of the [`RECOVERY_POINT`]s gave back. Blocks.
pub fn write_recent_points<'a>(
    disk: &dyn Disk,
    dir: &Path,
    tied: &str,
    offsets: impl ExactSizeIterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<(), StorageError> {
    let path = dir.join(RECENT_POINTS);
    let text = format!("{tied}\n{}", offsets_content(offsets));
    replace_file(disk, &path, text.as_bytes()).at(&path)
}

fn parse_offsets(path: &Path, lines: Vec<String>) -> Result<Offsets, StorageError> {
    let mut offsets = Offsets::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let entry = (|| {
            let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
            let done = words.next().is_none();
            let (partition, offset) = (partition.parse::<i32>().ok()?, offset.parse::<i64>().ok()?);
            (done && partition >= 0 && offset >= 0).then(|| (TopicPartition::new(topic, partition), offset))
        })();
        let (partition, offset) = entry.ok_or_else(|| malformed(path, format!("the line {line:?}")))?;
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

/// Replaces a checkpoint of offsets, durably. Gives back what names its content. Blocks.
pub fn write_offsets<'a>(
    disk: &dyn Disk,
    path: &Path,
    offsets: impl ExactSizeIterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<String, StorageError> {
    let text = offsets_content(offsets);
    replace_file(disk, path, text.as_bytes()).at(path)?;
    Ok(tie(text.as_bytes()))
}

fn offsets_content<'a>(offsets: impl ExactSizeIterator<Item = (&'a TopicPartition, Offset)>) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (tp, offset) in offsets {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {offset}", tp.topic, tp.partition);
    }
    text
}

/// The content of `partition.metadata`.
pub fn partition_metadata_content(topic_id: TopicId) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

/// The topic id in a partition's directory; `None` if the file is absent or was never written through.
pub fn read_partition_metadata(disk: &dyn Disk, dir: &Path) -> Result<Option<TopicId>, StorageError> {
    let path = dir.join(PARTITION_METADATA);
    let Some(text) = read_text(disk, &path)? else { return Ok(None) };
    let mut version = None;
    let mut id = None;
    for line in text.lines() {
        match line.split_once(':') {
            Some(("version", value)) => version = Some(value.trim()),
            Some(("topic_id", value)) => id = uuid_from_base64(value.trim()),
            _ => return Err(malformed(&path, format!("the line {line:?}"))),
        }
    }
    match (version, id) {
        (Some("0"), Some(id)) => Ok(Some(TopicId(id))),
        _ => Err(malformed(&path, "no version 0 and topic id")),
    }
}

/// The broker epoch that the last orderly stop left behind (KIP-966), or `None` if the stop was not orderly.
/// An orderly stop without an epoch gives -1.
pub fn read_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<Option<BrokerEpoch>, StorageError> {
    let path = dir.join(CLEAN_SHUTDOWN);
    match disk.metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.at(&path)?,
    };
    let Some(text) = read_text(disk, &path)? else { return Ok(Some(-1)) };
    let epoch = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .filter(|json| json.get("version").and_then(serde_json::Value::as_i64) == Some(0))
        .and_then(|json| json.get("brokerEpoch")?.as_i64());
    Ok(Some(epoch.unwrap_or(-1)))
}

/// Says that the stop was orderly. Blocks.
pub fn write_clean_shutdown(disk: &dyn Disk, dir: &Path, epoch: BrokerEpoch) -> Result<(), StorageError> {
    let path = dir.join(CLEAN_SHUTDOWN);
    replace_file(disk, &path, format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}").as_bytes()).at(&path)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::sim::disk::SimDisk;

    fn at(content: &str) -> (SimDisk, PathBuf) {
        let (disk, path) = (SimDisk::new(), PathBuf::from("/checkpoint"));
        replace_file(&disk, &path, content.as_bytes()).unwrap();
        (disk, path)
    }

    #[test]
    fn offsets_are_kafkas_lines() {
        let (disk, path) = at("");
        let offsets = Offsets::from([
            (TopicPartition::new("fixture", 1), 24),
            (TopicPartition::new("fixture", 0), 524),
        ]);
        write_offsets(&disk, &path, offsets.iter().map(|(tp, &o)| (tp, o))).unwrap();
        assert_eq!(read_text(&disk, &path).unwrap().unwrap(), "0\n2\nfixture 0 524\nfixture 1 24\n");
        assert_eq!(read_offsets(&disk, &path).unwrap(), offsets);
    }

    #[test]
    fn empty_and_zeroed_files_are_absent_and_broken_ones_are_not() {
        for content in ["", "\0\0\0\0"] {
            let (disk, path) = at(content);
            assert_eq!(read_offsets(&disk, &path).unwrap(), Offsets::new());
        }
        assert_eq!(read_offsets(&SimDisk::new(), Path::new("/none")).unwrap(), Offsets::new());
        for content in ["1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na 0 -1\n", "0\n1\na 0 1 2\n", "x"] {
            let (disk, path) = at(content);
            assert!(read_offsets(&disk, &path).is_err(), "{content:?}");
        }
    }

    #[test]
    fn clean_shutdown_and_partition_metadata() {
        let disk = SimDisk::new();
        let dir = Path::new("/d");
        disk.create_dir_all(dir).unwrap();
        assert_eq!(read_clean_shutdown(&disk, dir).unwrap(), None);
        write_clean_shutdown(&disk, dir, 11).unwrap();
        assert_eq!(read_clean_shutdown(&disk, dir).unwrap(), Some(11));
        assert_eq!(read_partition_metadata(&disk, dir).unwrap(), None);
        let id = TopicId(uuid::Uuid::from_u128(77));
        replace_file(&disk, &dir.join(PARTITION_METADATA), &partition_metadata_content(id)).unwrap();
        assert_eq!(read_partition_metadata(&disk, dir).unwrap(), Some(id));
    }
}
