//! Snapshots on disk: Kafka's `%020d-%010d.checkpoint` files, named by the offset after the last record in them and its
//! epoch (KIP-630).
//!
//! A file is batches: a header, the set of voters if the log names them (KIP-853), the image as metadata records, a
//! footer. It is written beside its name, synced, and renamed, so a file with the right name is whole; its checksums are
//! checked all the same.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use crate::env::Disk;
use crate::env::disk::{OpenMode, read_file};
use crate::metadata::versions::record_version;
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::schema::metadata::MetadataRecord;
use crate::schema::quorum::{SnapshotFooterRecord, SnapshotHeaderRecord};
use crate::types::{LeaderEpoch, Ms, Offset};
use crate::wire::batch::Batch;
use crate::wire::records::BatchBuilder;

use super::batches::{self, control, control_key};
use super::log::MetadataLog;
use super::types::{Membership, Payload};

const SUFFIX: &str = ".checkpoint";
/// Largest snapshot that is read: some ten million partitions.
const BYTES_MAX: u64 = 4 << 30;
/// Bytes of records in a batch, about.
const BATCH_BYTES: usize = 1 << 20;

/// Which snapshot: the offset after the last record in it, and that record's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapshotId {
    pub(super) end: Offset,
    pub(super) epoch: LeaderEpoch,
}

impl SnapshotId {
    fn parse(name: &str) -> Option<SnapshotId> {
        let (end, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        if end.len() != 20 || epoch.len() != 10 {
            return None;
        }
        Some(SnapshotId { end: end.parse().ok()?, epoch: epoch.parse().ok()? })
    }

    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:020}-{:010}{SUFFIX}", self.end, self.epoch))
    }
}

/// Snapshots in `dir`, oldest first.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<SnapshotId>> {
    let mut found: Vec<SnapshotId> =
        disk.list(dir)?.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The newest snapshot that the log goes on from. One that came from elsewhere may lie there without the log having been
/// emptied for it, because the node stopped between: it is removed, and comes again.
pub(super) fn newest_that_meets(
    disk: &dyn Disk,
    dir: &Path,
    log: &MetadataLog,
) -> io::Result<Option<SnapshotId>> {
    let mut found = list(disk, dir)?;
    while let Some(newest) = found.pop() {
        let goes_on_without =
            log.start_offset() == 0 || found.iter().any(|id| log.entry_before(id.end).is_some());
        if newest.end <= log.end_offset() || !goes_on_without {
            return Ok(Some(newest));
        }
        tracing::warn!("removing a snapshot up to offset {} that was not installed", newest.end);
        disk.remove_file(&newest.path(dir))?;
    }
    Ok(None)
}

/// What a snapshot holds.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) image: MetadataImage,
    /// The voters; `None` if they are not in the log but in the configuration.
    pub(super) membership: Option<Membership>,
}

/// The bytes of a snapshot file.
pub(super) fn to_bytes(content: &Content, epoch: LeaderEpoch, now: Ms) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut next = 0;
    let control_batch = |next: &mut Offset, out: &mut Vec<u8>, records: &[(i16, Bytes)]| {
        let mut builder = BatchBuilder::new(*next).leader_epoch(epoch).control();
        for (kind, value) in records {
            builder.append(now, Some(&control_key(*kind)), Some(value));
        }
        *next += records.len() as Offset;
        out.extend(builder.finish());
    };
    let header = SnapshotHeaderRecord { version: 0, last_contained_log_timestamp: now };
    let mut value = BytesMut::new();
    header.encode(&mut value, 0).map_err(io::Error::other)?;
    let mut first = vec![(control::SNAPSHOT_HEADER, value.freeze())];
    first.extend(content.membership.iter().flat_map(batches::membership_records));
    control_batch(&mut next, &mut out, &first);

    let level = content.image.features().metadata_version();
    let mut builder = BatchBuilder::new(next).leader_epoch(epoch);
    let mut value = BytesMut::new();
    for record in content.image.to_records() {
        value.clear();
        record.encode(&mut value, record_version(&record, level)).map_err(io::Error::other)?;
        builder.append(now, None, Some(&value));
        next += 1;
        if builder.bytes() >= BATCH_BYTES {
            let full = std::mem::replace(&mut builder, BatchBuilder::new(next).leader_epoch(epoch));
            out.extend(full.finish());
        }
    }
    if builder.count() > 0 {
        out.extend(builder.finish());
    }
    let mut value = BytesMut::new();
    SnapshotFooterRecord { version: 0 }.encode(&mut value, 0).map_err(io::Error::other)?;
    control_batch(&mut next, &mut out, &[(control::SNAPSHOT_FOOTER, value.freeze())]);
    Ok(out)
}

/// Writes a snapshot so that it is there whole or not at all. Blocks.
pub(super) fn write(disk: &dyn Disk, dir: &Path, id: SnapshotId, bytes: &[u8]) -> io::Result<()> {
    let path = id.path(dir);
    let mut part = path.clone();
    part.as_mut_os_string().push(".part");
    let file = disk.open(&part, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_at(0, &[IoSlice::new(bytes)])?;
    file.sync()?;
    drop(file);
    disk.rename(&part, &path)?;
    disk.sync_dir(dir)
}

/// Reads a snapshot file. Blocks.
pub(super) fn read(disk: &dyn Disk, dir: &Path, id: SnapshotId) -> io::Result<Content> {
    let path = id.path(dir);
    let bytes = Bytes::from(read_file(disk, &path, BYTES_MAX)?);
    let content = parse(&bytes);
    let mut content = content
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display())))?;
    content.image.set_position(id.end - 1, id.epoch);
    Ok(content)
}

/// What the bytes of a snapshot hold. The image's position is the caller's to set.
pub(super) fn parse(bytes: &Bytes) -> Result<Content, String> {
    let mut content = Content { image: MetadataImage::empty(), membership: None };
    let mut delta = MetadataDelta::default();
    let mut rest = bytes.clone();
    let mut ended = false;
    while !rest.is_empty() {
        let batch = Batch::first_of(&rest).map_err(|e| e.to_string())?;
        batch.verify_checksum().map_err(|e| e.to_string())?;
        let length = batch.bytes().len();
        let is_footer = batch.header().is_control() && batch.header().base_offset() > 0;
        match batches::decode(&batch, &rest).map_err(|e| e.to_string())? {
            Payload::Normal(records) => {
                for value in records.0.iter() {
                    let record = MetadataRecord::decode(value.clone()).map_err(|e| e.to_string())?;
                    content.image.apply(&record, &mut delta).map_err(|e| e.to_string())?;
                }
            }
            Payload::Membership(membership) => content.membership = Some(membership),
            Payload::Control { membership, .. } => {
                content.membership = membership.or(content.membership);
                ended = is_footer;
            }
            Payload::Blank => {}
        }
        rest = rest.slice(length..);
    }
    if ended { Ok(content) } else { Err("the footer is missing".to_owned()) }
}

/// Removes snapshots older than `keep`, and what writing left behind.
pub(super) fn remove_older(disk: &dyn Disk, dir: &Path, keep: SnapshotId) -> io::Result<()> {
    let mut old: VecDeque<PathBuf> =
        list(disk, dir)?.into_iter().filter(|id| *id < keep).map(|id| id.path(dir)).collect();
    for entry in disk.list(dir)? {
        if entry.name.ends_with(".checkpoint.part") || entry.name.ends_with(".checkpoint.deleted") {
            old.push_back(dir.join(entry.name));
        }
    }
    for path in old {
        match disk.remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
