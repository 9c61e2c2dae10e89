//! Which offset it is: by timestamp, by leader epoch.

use super::Log;
use crate::env::disk::read_exact_at;
use crate::storage::fault::{At, StorageError};
use crate::storage::segment::{BatchAt, Files, LOG, Segment, TimestampOffset};
use crate::types::{LeaderEpoch, Ms, Offset};
use crate::wire::batch::Batch;
use crate::wire::compress::{self, Codec};
use crate::wire::records::Records;

/// A record found by its timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampFound {
    /// The record's timestamp.
    pub timestamp: Ms,
    /// Its offset.
    pub offset: Offset,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record at or above the log start offset with a timestamp at or after `timestamp`.
    pub fn offset_for_timestamp(&mut self, timestamp: Ms) -> Result<Option<TimestampFound>, StorageError> {
        self.ready()?;
        let found = self.find_timestamp(timestamp);
        self.after(found)
    }

    fn find_timestamp(&mut self, timestamp: Ms) -> Result<Option<TimestampFound>, StorageError> {
        let interval = self.config.index_interval_bytes;
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let first = self.segments.floor(self.start);
        let limit = self.config.validate.max_decompressed_bytes;
        for segment in self.segments.iter_mut().skip(first) {
            if segment.max_timestamp(cx, interval)?.timestamp < timestamp {
                continue;
            }
            let hint = segment.time_hint(cx, timestamp, interval)?.max(self.start);
            let Some(at) = segment.find(cx, hint, interval)? else { continue };
            let mut walk = segment.walk(cx, at.position)?;
            while let Some(batch) = walk.next(cx, segment.base)? {
                if batch.max_timestamp < timestamp {
                    continue;
                }
                let wanted = |t: Ms, offset: Offset| t >= timestamp && offset >= self.start;
                if let Some(found) = first_record(segment, cx, batch, limit, wanted)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp; `None` in an empty log.
    pub fn max_timestamp_offset(&mut self) -> Result<Option<TimestampFound>, StorageError> {
        self.ready()?;
        let found = self.find_max_timestamp();
        self.after(found)
    }

    fn find_max_timestamp(&mut self) -> Result<Option<TimestampFound>, StorageError> {
        let interval = self.config.index_interval_bytes;
        let cx = Files { disk: &**self.dir.disk(), dir: &self.path };
        let limit = self.config.validate.max_decompressed_bytes;
        let mut best: Option<(usize, TimestampOffset)> = None;
        for (i, segment) in self.segments.iter_mut().enumerate() {
            let max = segment.max_timestamp(cx, interval)?;
            if max.timestamp >= 0 && best.is_none_or(|(_, b)| max.timestamp > b.timestamp) {
                best = Some((i, max));
            }
        }
        let Some((i, max)) = best else { return Ok(None) };
        let Some(segment) = self.segments.get_mut(i) else { return Ok(None) };
        let Some(batch) = segment.find(cx, max.offset, interval)? else { return Ok(None) };
        first_record(segment, cx, batch, limit, |t, _| t >= max.timestamp)
    }

    /// KIP-101/279: the largest epoch at or below `epoch` that this log has records of, and the offset where
    /// it ends.
    pub fn end_offset_for_epoch(
        &mut self,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, StorageError> {
        self.ready()?;
        Ok(self.epochs.end_offset_for(epoch, self.end))
    }

    /// The newest leader epoch that the log knows.
    pub fn latest_epoch(&mut self) -> Result<Option<LeaderEpoch>, StorageError> {
        self.ready()?;
        Ok(self.epochs.latest().map(|entry| entry.epoch))
    }

    /// The epoch of the leader that appended (or will append) `offset`.
    pub fn epoch_for_offset(&mut self, offset: Offset) -> Result<Option<LeaderEpoch>, StorageError> {
        self.ready()?;
        Ok(self.epochs.epoch_for(offset))
    }
}

/// The first record of a batch that is wanted by its timestamp and offset.
fn first_record(
    segment: &mut Segment,
    files: Files<'_>,
    at: BatchAt,
    limit: usize,
    wanted: impl Fn(Ms, Offset) -> bool,
) -> Result<Option<TimestampFound>, StorageError> {
    let path = files.path(segment.base, LOG);
    let mut raw = vec![0; at.bytes as usize];
    read_exact_at(&*segment.file(files)?, u64::from(at.position), &mut raw).at(&path)?;
    let corrupt =
        |why: String| StorageError::Corrupt { path: path.clone(), position: u64::from(at.position), why };
    let batch = Batch::first_of(&raw).map_err(|e| corrupt(e.to_string()))?;
    let header = batch.header();
    let found = |timestamp, offset| TimestampFound { timestamp, offset, leader_epoch: at.leader_epoch };
    let mut plain = Vec::new();
    let payload = match Codec::from_number(header.compression()) {
        Some(Codec::None) => batch.payload(),
        Some(codec) => {
            compress::decompress(codec, batch.payload(), limit, &mut plain)
                .map_err(|e| corrupt(e.to_string()))?;
            &plain
        }
        None => return Err(corrupt(format!("no codec has the number {}", header.compression()))),
    };
    for record in Records::new(payload, header.records_count()) {
        let record = record.map_err(|e| corrupt(e.to_string()))?;
        let offset = record.offset(at.base_offset);
        let timestamp = if header.is_log_append_time() {
            header.max_timestamp()
        } else {
            record.timestamp(header.base_timestamp())
        };
        if wanted(timestamp, offset) {
            return Ok(Some(found(timestamp, offset)));
        }
    }
    Ok(None)
}
