//! Opening a log, after an orderly stop and after any other.
//!
//! After an orderly stop nothing is read but the directory's names, the epochs, the newest producer snapshot
//! and the end of the last segment, and that only when the log is first used. After any other stop the log is
//! walked from its recovery point on: below it everything was synced, above it anything may be missing.
//!
//! # A torn tail and a corrupt log
//!
//! Cutting a log at the first batch that is not valid loses acknowledged records whenever a disk damages one
//! (FAST'17, "Redundancy does not imply fault tolerance"), so three cases are told apart when such a batch is
//! met above the recovery point:
//!
//! * No valid batch follows it anywhere: a torn tail. It is cut off.
//! * Valid batches follow, and the bad place has a whole sector of zeros or the file is shorter than the next
//!   segment's base says: writes that were never synced reached the disk out of order, and a sector that was
//!   never written reads as zeros. The log is cut at the bad place; what follows it was never synced either,
//!   since a sync covers everything before it.
//! * Valid batches follow and the bad place holds other bytes than zeros: damage. Nothing is cut. The log is
//!   offline with [`StorageError::Corrupt`] and its bytes stay, for the other replicas or an operator to
//!   repair.
//!
//! A closed segment ends where the next one begins. Bytes behind that are of a write that failed, as on a full disk, and
//! that the power loss brought back before they were cut off for good: they were never part of the log and are cut off,
//! also in the last segment that lies below the recovery point whole. Of that one the end is looked at, from the last
//! entry of its index on.
//!
//! What recovery finds above the recovery point may be in the system's memory only. The log is used all the same and counts as
//! durable up to the recovery point until it is synced, as if the process had gone on; only where something was cut off it is
//! synced first, so that nothing comes back behind what is appended next.
//!
//! Below the recovery point nothing may be missing: a log that ends before it is corrupt, not short. The
//! recovery point on disk lags behind the last sync by a second; damage that looks like lost sectors in between cannot be
//! told from a lost write. A mark that is durable with each sync would cost a sync of its own, and one that rides on the
//! next append would put bytes into the log that are none of Kafka's.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::checkpoint::read_lines;
use super::fault::{At, StorageError};
use super::leader_epochs::LeaderEpochs;
use super::log::{LEADER_EPOCHS, Log, files};
use super::producer_state::{ProducerState, ReplayError};
use super::segment::{
    Appended, DELETED, Files, INDEX, LOG, SNAPSHOT, Segment, TIME_INDEX, TXN_INDEX, plausible,
};
use super::segments::Segments;
use super::txn_index::AbortedTxn;
use super::validate::check_stored;
use crate::env::File;
use crate::env::disk::{OpenMode, read_exact_at, read_file};
use crate::types::Offset;
use crate::wire::batch::{Batch, BatchHeader, HEADER_BYTES, LOG_OVERHEAD_BYTES};

/// Bytes that recovery reads at once: they are still in a processor's cache when their checksum is made.
const CHUNK: usize = 256 << 10;
/// What is read at once of a log of which only the batches' headers count, while batches are small.
const HEADERS_CHUNK: usize = 64 << 10;
/// From this size on batches are passed over, and their headers are read one by one.
const PASS_OVER_FROM: u32 = 16 << 10;
/// What is read then.
const HEADER_READ: usize = 512;
/// The largest batch that recovery believes in. Larger ones cannot be appended.
const BATCH_BYTES_MAX: usize = 1 << 30;
/// The largest producer snapshot that is read.
const SNAPSHOT_BYTES_MAX: u64 = 1 << 30;
/// What a disk writes as one.
const SECTOR: usize = 512;
/// How many bytes before a producer snapshot are read for the batches that it leaves out, in one attempt after another
/// until no producer misses any. Five batches of the default size in flight are in the third one.
const RECALL_BYTES: [u64; 4] = [64 << 10, 1 << 20, 16 << 20, 64 << 20];

/// Suffix of segments that compaction is writing.
const CLEANED: &str = ".cleaned";
/// Suffix of segments that compaction has finished and was about to put in place.
const SWAP: &str = ".swap";

/// Opens the log. `clean` says that the last stop was orderly, so that the log must end where its marks say.
pub(super) fn load(log: &mut Log, clean: bool) -> Result<(), StorageError> {
    let recovery_point = log.synced;
    let mut segments = scan(log)?;
    log.epochs = read_epochs(log)?;
    let first_base = segments.first().map(|s| s.base);
    log.start = log.start.max(first_base.unwrap_or(0));
    let had_epochs = log.epochs.latest().is_some();
    let mut walked = Walked { from: Offset::MAX, is_shorter: false };
    if clean {
        let files = files!(log);
        log.end = match segments.last_mut() {
            Some(last) => last.next_offset(files, log.config.index_interval_bytes)?,
            None => log.start,
        };
        log.segments = Segments::from_ordered(segments);
    } else {
        walked = recover_segments(log, segments, recovery_point)?;
    }
    if log.end < recovery_point {
        return Err(StorageError::Corrupt {
            path: log.path.to_path_buf(),
            position: 0,
            why: format!("the log ends at {}, but was durable up to {recovery_point}", log.end),
        });
    }
    if clean && log.end != recovery_point && recovery_point > 0 {
        tracing::warn!(partition = %log.tp, end = log.end, recovery_point, "log is longer than its checkpoint says");
    }
    if !had_epochs && log.end > log.start {
        rebuild_epochs(log)?;
    }
    log.epochs_dirty |= log.epochs.truncate_from_end(log.end);
    log.epochs_dirty |= log.epochs.truncate_from_start(log.start);
    log.synced = if clean { log.end } else { log.synced.min(log.end) };
    log.loaded = true;
    replay_producers(log, walked.from)?;
    if !clean {
        log.end = log.end.max(log.start);
        // What was found above the recovery point counts as durable only when it is; also what the next start will go by
        // once the recovery point has passed it, or the segments before it are removed.
        for segment in log.segments.iter_mut().filter(|s| s.base >= walked.from) {
            segment.unsynced = true;
            log.also_sync.extend(segment.index_files());
        }
        let files = Files { disk: &**log.dir.disk(), dir: &log.path };
        for at in snapshots(files)?.into_iter().filter(|&at| at >= recovery_point) {
            log.also_sync.push(files.open(at, SNAPSHOT, OpenMode::Write)?);
        }
        log.distrust_names()?;
        // Whoever cuts something off must see to it that it does not come back behind what is appended next. Where nothing was
        // cut the log is as it was before the kill, and is synced like one that is written to, while it is in use.
        if walked.is_shorter {
            log.sync_now()?;
        }
    }
    Ok(())
}

/// What is in the directory: segments in order; left-overs are removed.
fn scan(log: &mut Log) -> Result<Vec<Segment>, StorageError> {
    let files = files!(log);
    let disk = files.disk;
    let mut names: Vec<String> = disk
        .list(files.dir)
        .at(files.dir)?
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .map(|entry| entry.name)
        .collect();
    if names.iter().any(|name| name.ends_with(SWAP) || name.ends_with(CLEANED)) {
        finish_swaps(files, &names)?;
        let listed = disk.list(files.dir).at(files.dir)?;
        names = listed.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name).collect();
    }
    let mut segments = Vec::new();
    for name in &names {
        let path = files.dir.join(name);
        if name.ends_with(DELETED) || name.ends_with(".tmp") {
            disk.remove_file(&path).at(&path)?;
            continue;
        }
        match parse(name) {
            Some((base, LOG)) => {
                let found = disk.metadata(&path).at(&path)?;
                let size = u32::try_from(found.len).ok().filter(|&size| i32::try_from(size).is_ok());
                let size = size.ok_or_else(|| StorageError::Corrupt {
                    path: path.clone(),
                    position: 0,
                    why: format!("{} bytes are more than a segment can have", found.len),
                })?;
                segments.push(Segment::found(base, size, found.modified));
            }
            Some((base, INDEX | TIME_INDEX | TXN_INDEX)) => {
                let log_name = format!("{base:020}.{LOG}");
                if names.binary_search(&log_name).is_err() {
                    tracing::warn!(file = %path.display(), "removing an index without a log");
                    disk.remove_file(&path).at(&path)?;
                }
            }
            _ => {}
        }
    }
    segments.sort_by_key(|s| s.base);
    Ok(segments)
}

/// True if a file of this name in a log's directory may hold records.
pub(super) fn is_of_records(name: &str) -> bool {
    let name = [SWAP, CLEANED, DELETED].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    matches!(parse(name), Some((_, LOG)))
}

/// Base offset of the first segment in the directory.
pub(super) fn first_base(log: &Log) -> Result<Option<Offset>, StorageError> {
    let listed = log.dir.disk().list(&log.path).at(&log.path)?;
    let base = |name: &str| parse(name).filter(|&(_, suffix)| suffix == LOG).map(|(base, _)| base);
    Ok(listed.iter().filter_map(|entry| base(&entry.name)).min())
}

/// Base offset and suffix of a file's name; `None` if it is no name of ours.
fn parse(name: &str) -> Option<(Offset, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    let offset = digits.parse().ok().filter(|&offset: &Offset| offset >= 0)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then_some((offset, suffix))
}

/// Kafka's rules for what an interrupted compaction left: unfinished segments go, finished ones take the
/// place of those that they were made from, unless unfinished ones say that the same swap was cut short
/// earlier.
fn finish_swaps(files: Files<'_>, names: &[String]) -> Result<(), StorageError> {
    let disk = files.disk;
    let with = |suffix: &'static str| {
        names.iter().filter_map(move |name| {
            let inner = name.strip_suffix(suffix)?;
            parse(inner).map(|(base, kind)| (name.as_str(), inner, base, kind))
        })
    };
    let min_cleaned = with(CLEANED).map(|(_, _, base, _)| base).min().unwrap_or(Offset::MAX);
    for (name, _, _, _) in with(CLEANED) {
        let path = files.dir.join(name);
        disk.remove_file(&path).at(&path)?;
    }
    let mut covered = Vec::new();
    for (name, _, base, kind) in with(SWAP) {
        let path = files.dir.join(name);
        if base >= min_cleaned {
            disk.remove_file(&path).at(&path)?;
        } else if kind == LOG {
            let file = disk.open(&path, OpenMode::Read).at(&path)?;
            let size = file.len().at(&path)?;
            let mut next = base;
            walk_file(&file, size, base, |header, _| next = header.next_offset()).at(&path)?;
            covered.push((base, next));
        }
    }
    let (Some(from), Some(upto)) = (covered.iter().map(|c| c.0).min(), covered.iter().map(|c| c.1).max())
    else {
        return Ok(());
    };
    for name in names.iter().filter(|name| !name.ends_with(SWAP) && !name.ends_with(CLEANED)) {
        if let Some((base, LOG | INDEX | TIME_INDEX | TXN_INDEX)) = parse(name)
            && (from..upto).contains(&base)
        {
            let path = files.dir.join(name);
            disk.remove_file(&path).at(&path)?;
        }
    }
    for (name, inner, base, _) in with(SWAP) {
        if base < min_cleaned {
            let path = files.dir.join(name);
            disk.rename(&path, &files.dir.join(inner)).at(&path)?;
        }
    }
    disk.sync_dir(files.dir).at(files.dir)
}

/// Calls `each` with every header from the start of a file, as far as they make sense.
fn walk_file(
    file: &Arc<dyn File>,
    size: u64,
    base: Offset,
    mut each: impl FnMut(BatchHeader<'_>, u32),
) -> std::io::Result<()> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let mut position = 0;
    let mut raw = [0; HEADER_BYTES];
    while u64::from(position) + HEADER_BYTES as u64 <= u64::from(size) {
        read_exact_at(&**file, u64::from(position), &mut raw)?;
        let (Some(at), Some(header)) = (plausible(&raw, base, position, size), BatchHeader::new(&raw)) else {
            break;
        };
        each(header, position);
        position += at.bytes;
    }
    Ok(())
}

/// The epochs on disk. None if the file is absent or cannot be read as such: they are then taken from the
/// log.
fn read_epochs(log: &Log) -> Result<LeaderEpochs, StorageError> {
    let path = log.path.join(LEADER_EPOCHS);
    let lines = match read_lines(&**log.dir.disk(), &path) {
        Ok(lines) => lines.unwrap_or_default(),
        Err(StorageError::Corrupt { why, .. }) => {
            tracing::warn!(file = %path.display(), why, "leader epochs are taken from the log instead");
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let content = super::checkpoint::lines_content(lines.into_iter());
    Ok(LeaderEpochs::from_bytes(&content).unwrap_or_default())
}

fn rebuild_epochs(log: &mut Log) -> Result<(), StorageError> {
    let files = Files { disk: &**log.dir.disk(), dir: &log.path };
    for segment in log.segments.iter_mut() {
        let base = segment.base;
        let mut walk = segment.walk(files, 0)?;
        while let Some(batch) = walk.next(files, base)? {
            if batch.leader_epoch >= 0 {
                log.epochs_dirty |= log.epochs.assign(batch.leader_epoch, batch.base_offset);
            }
        }
    }
    Ok(())
}

/// What recovery has done to a log's segments.
struct Walked {
    /// Base of the first segment that was walked; `Offset::MAX` if none was.
    from: Offset,
    /// True if records, or what looks like some, were cut off or removed.
    is_shorter: bool,
}

/// Walks what may not be durable, cuts a torn tail.
fn recover_segments(
    log: &mut Log,
    segments: Vec<Segment>,
    recovery_point: Offset,
) -> Result<Walked, StorageError> {
    let known = log.dir.marks(&log.tp).is_some_and(|marks| marks.recovery_point > 0);
    let first_base = segments.first().map_or(log.start, |s| s.base);
    // A log whose first segment is above all that was ever durable has lost those before it.
    let mut end = if known { first_base.min(recovery_point.max(log.start)) } else { first_base };
    let mut kept: Vec<Segment> = Vec::new();
    // A roll that failed may have left a file, without records: what came next went on in the segment before it.
    let last_base = segments.last().map(|last| last.base);
    let of_use = |s: &Segment| s.size > 0 || s.base == first_base || Some(s.base) == last_base;
    let (of_use, mut gone): (Vec<Segment>, Vec<Segment>) = segments.into_iter().partition(of_use);
    let mut rest = VecDeque::from(of_use);
    let (mut recovered_from, mut walked, mut is_shorter) = (Offset::MAX, None, false);
    while let Some(mut segment) = rest.pop_front() {
        if let Some(next) = rest.front().filter(|next| next.base <= recovery_point) {
            let (next_base, next_is_empty) = (next.base, next.size == 0);
            // Below the log start offset nothing is read any more.
            let is_last_closed =
                next_base > log.start && rest.get(1).is_none_or(|next| next.base > recovery_point);
            let found = segment.size;
            let goes_on = is_last_closed && cut_behind_end(log, &mut segment, next_base, next_is_empty)?;
            is_shorter |= segment.size < found;
            if !goes_on {
                end = next_base;
                kept.push(segment);
                continue;
            }
            gone.extend(rest.pop_front());
        }
        if segment.size == 0 && segment.base < end {
            gone.push(segment);
            continue;
        }
        // Below the log start offset nothing is missed: of the files that were being removed there, a power loss may
        // bring some back and others not.
        let gap = segment.base != end
            && segment.base > recovery_point.max(log.start)
            && !log.config.cleanup.compact;
        if gap || segment.base < end {
            tracing::warn!(partition = %log.tp, base = segment.base, end, "removing segments behind a gap");
            gone.push(segment);
            gone.extend(rest);
            break;
        }
        let found = segment.size;
        let outcome = recover_segment(log, &mut segment, recovery_point, &mut rest)?;
        is_shorter |= segment.size < found;
        end = outcome.end;
        // Of a segment that was being removed and that a power loss brought back, nothing is read. The producers' snapshot
        // behind it knows more than it does: of those in segments that did not come back, too.
        if end > log.start {
            recovered_from = recovered_from.min(segment.base);
        }
        walked = Some(segment.base);
        kept.push(segment);
        if outcome.cut {
            gone.extend(rest);
            break;
        }
    }
    // The last one is written to again, wherever it ends.
    if let Some(last) = kept.last().filter(|last| walked == Some(last.base)) {
        recovered_from = recovered_from.min(last.base);
    }
    is_shorter |= !gone.is_empty() || end < log.start;
    log.end = end.max(log.start);
    log.segments = Segments::from_ordered(kept);
    let disk = log.dir.disk().clone();
    for segment in &gone {
        let files = files!(log);
        for suffix in [SNAPSHOT, TXN_INDEX, TIME_INDEX, INDEX, LOG] {
            let path = files.path(segment.base, suffix);
            match disk.remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StorageError::io(&path, e)),
                _ => {}
            }
        }
    }
    Ok(Walked { from: recovered_from, is_shorter })
}

/// Cuts off what lies in a closed segment behind `end`, where the next segment begins; see the module. All below `end` was
/// durable: [`StorageError::Corrupt`] if it is not there.
///
/// With `next_is_empty`, batches behind `end` are not cut: true says that the log goes on here, and that the next segment is
/// of a roll that failed.
fn cut_behind_end(
    log: &Log,
    segment: &mut Segment,
    end: Offset,
    next_is_empty: bool,
) -> Result<bool, StorageError> {
    let files = Files { disk: &**log.dir.disk(), dir: &log.path };
    let path = files.path(segment.base, LOG);
    let file = segment.file(files)?;
    let mut reader = Chunks::new(file.clone(), segment.size);
    let mut position = segment.last_indexed(files, end)?;
    let mut next = segment.base;
    while position < segment.size {
        let bytes = reader.at(position).at(&path)?;
        match check_stored(bytes, next) {
            Ok(batch) if batch.header().base_offset() < end => {
                next = batch.header().next_offset();
                position += batch.bytes().len() as u32;
            }
            Ok(_) if next_is_empty => return Ok(true),
            // Where records have been compacted away the end cannot be told from damage by its offset.
            Err(error) if next < end => {
                let why =
                    format!("no valid batch below the recovery point, at offset {next} of {end}: {error}");
                return Err(StorageError::Corrupt { path, position: u64::from(position), why });
            }
            Ok(_) | Err(_) => {
                let bytes = segment.size - position;
                tracing::warn!(partition = %log.tp, base = segment.base, position, bytes, "cutting a write that failed");
                file.set_len(u64::from(position)).at(&path)?;
                (segment.size, segment.unsynced) = (position, true);
            }
        }
    }
    Ok(false)
}

/// What became of a segment.
struct Recovered {
    end: Offset,
    cut: bool,
}

/// Walks one segment: up to the recovery point by its headers, from there on by checksum.
fn recover_segment(
    log: &mut Log,
    segment: &mut Segment,
    recovery_point: Offset,
    later: &mut VecDeque<Segment>,
) -> Result<Recovered, StorageError> {
    let files = Files { disk: &**log.dir.disk(), dir: &log.path };
    let interval = log.config.index_interval_bytes;
    let base = segment.base;
    let size = segment.size;
    let file = segment.file(files)?;
    let mut position = segment.resume_indexes(files, size, recovery_point)?;
    segment.size = position;
    let mut end = base;
    let mut reader = Chunks::new(file.clone(), size);
    let limit = later.front().filter(|next| next.size > 0).map_or(Offset::MAX, |next| next.base);
    let outcome = loop {
        if position == size {
            break Recovered { end, cut: false };
        }
        let bytes = reader.at(position).at(&files.path(base, LOG))?;
        let checked = if position > 0 && end == base { i64::MIN } else { end };
        let valid = valid_batch(bytes, checked.max(base), recovery_point);
        if end == limit || valid.as_ref().is_some_and(|batch| batch.header().base_offset() >= limit) {
            let bytes = size - position;
            tracing::warn!(partition = %log.tp, base, position, bytes, "cutting a write that failed");
            file.set_len(u64::from(position)).at(&files.path(base, LOG))?;
            break Recovered { end, cut: false };
        }
        match valid {
            Some(batch) => {
                let header = batch.header();
                let epoch = header.partition_leader_epoch();
                if log.epochs.latest().is_none_or(|latest| epoch > latest.epoch) {
                    log.epochs_dirty |= log.epochs.assign(epoch, header.base_offset());
                }
                end = header.next_offset();
                let appended = Appended {
                    last_offset: header.last_offset(),
                    max_timestamp: header.max_timestamp(),
                    bytes: batch.bytes().len() as u32,
                };
                position += appended.bytes;
                segment.note(files, appended, interval)?;
            }
            None => {
                let broken = Broken { position, end };
                judge(log, files, base, &file, size, broken, later)?;
                tracing::warn!(partition = %log.tp, base, position, bytes = size - position, "cutting a torn tail");
                file.set_len(u64::from(position)).at(&files.path(base, LOG))?;
                break Recovered { end, cut: true };
            }
        }
    };
    segment.write_out_indexes(files)?;
    Ok(outcome)
}

/// A place where no valid batch begins, and the offset that should come there.
#[derive(Clone, Copy)]
struct Broken {
    position: u32,
    end: Offset,
}

/// The batch at the front of `bytes`. Below the recovery point its header is believed.
fn valid_batch(bytes: &[u8], expected: Offset, recovery_point: Offset) -> Option<Batch<'_>> {
    let batch = Batch::first_of(bytes).ok()?;
    if batch.header().last_offset() < recovery_point && batch.header().base_offset() >= expected {
        return Some(batch);
    }
    check_stored(bytes, expected).ok()
}

/// Says whether what begins at a broken place may be cut off; [`StorageError::Corrupt`] if not. See the
/// module.
fn judge(
    log: &Log,
    files: Files<'_>,
    base: Offset,
    file: &Arc<dyn File>,
    size: u32,
    broken: Broken,
    later: &mut VecDeque<Segment>,
) -> Result<(), StorageError> {
    let path = files.path(base, LOG);
    let corrupt = |why: &str| StorageError::Corrupt {
        path: path.clone(),
        position: u64::from(broken.position),
        why: why.to_owned(),
    };
    if broken.end < log.synced && broken.end < log.synced.max(base) {
        return Err(corrupt("no valid batch below the recovery point"));
    }
    let mut tail = vec![0; (size - broken.position) as usize];
    read_exact_at(&**file, u64::from(broken.position), &mut tail).at(&path)?;
    let good = find_good(&tail, broken.end);
    let followed = match good {
        Some(_) => true,
        None => later
            .iter_mut()
            .try_fold(false, |found, segment| Ok::<_, StorageError>(found || begins_well(files, segment)?))?,
    };
    if !followed {
        return Ok(());
    }
    let bad = &tail[..good.unwrap_or(tail.len())];
    // A file that just ends, or sectors that were never written.
    if bad.is_empty() || has_lost_sector(bad, broken.position as usize) || is_short(bad) {
        return Ok(());
    }
    Err(corrupt("a damaged batch is followed by valid ones"))
}

/// Where in `tail` a valid batch begins that can follow the broken place.
fn find_good(tail: &[u8], end: Offset) -> Option<usize> {
    (1..tail.len().saturating_sub(HEADER_BYTES)).find(|&at| {
        let candidate = &tail[at..];
        // The format is the cheapest to look at.
        candidate[16] == 2
            && BatchHeader::new(candidate)
                .is_some_and(|h| h.base_offset() >= end && h.base_offset() - end < 1 << 32)
            && check_stored(candidate, end).is_ok()
    })
}

/// True if a whole sector of the file that the bytes touch is zeros as far as they go. `at` is their place in
/// the file.
fn has_lost_sector(bytes: &[u8], at: usize) -> bool {
    let first = (SECTOR - at % SECTOR) % SECTOR;
    let head = &bytes[..first.min(bytes.len())];
    let zeros = |part: &[u8]| part.iter().all(|&b| b == 0);
    (head.len() >= 8 && zeros(head)) || bytes[head.len()..].chunks(SECTOR).any(zeros)
}

/// True if the bytes are the beginning of a batch whose end is missing.
fn is_short(bytes: &[u8]) -> bool {
    match BatchHeader::new(bytes) {
        None => bytes.len() < HEADER_BYTES,
        Some(header) => header.magic() == 2 && header.total_bytes().is_some_and(|total| total > bytes.len()),
    }
}

fn begins_well(files: Files<'_>, segment: &mut Segment) -> Result<bool, StorageError> {
    if segment.size < HEADER_BYTES as u32 {
        return Ok(false);
    }
    let file = segment.file(files)?;
    let mut reader = Chunks::new(file, segment.size);
    let bytes = reader.at(0).at(&files.path(segment.base, LOG))?;
    Ok(check_stored(bytes, segment.base).is_ok())
}

/// Reads a file in large pieces, so that every batch lies there whole.
struct Chunks {
    file: Arc<dyn File>,
    size: u32,
    at: u32,
    /// How much of the buffer is of the file, from `at` on.
    filled: usize,
    buffer: Vec<u8>,
}

impl Chunks {
    fn new(file: Arc<dyn File>, size: u32) -> Chunks {
        Chunks { file, size, at: 0, filled: 0, buffer: Vec::new() }
    }

    /// What is here of the bytes from `position` on.
    fn inside(&self, position: u32) -> &[u8] {
        let from = position.checked_sub(self.at).map(|from| from as usize);
        from.and_then(|from| self.buffer[..self.filled].get(from..)).unwrap_or_default()
    }

    /// Bytes from `position` on: at least the whole batch that begins there, if the file holds it.
    fn at(&mut self, position: u32) -> std::io::Result<&[u8]> {
        let needs = |bytes: &[u8]| {
            let Some(length) = bytes.get(8..LOG_OVERHEAD_BYTES) else { return HEADER_BYTES };
            let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
            usize::try_from(length)
                .map_or(0, |n| (n + LOG_OVERHEAD_BYTES).min(BATCH_BYTES_MAX))
                .max(HEADER_BYTES)
        };
        let left = (self.size - position) as usize;
        let inside = self.inside(position);
        if inside.len() < needs(inside).min(left) {
            self.fill(position, CHUNK.min(left))?;
            let wanted = needs(self.inside(position)).min(left);
            if wanted > self.filled {
                self.fill(position, wanted)?;
            }
        }
        Ok(self.inside(position))
    }

    /// Reads `len` bytes from `position` on. What of them is here already is kept.
    fn fill(&mut self, position: u32, len: usize) -> std::io::Result<()> {
        let kept = self.inside(position).len().min(len);
        if kept > 0 {
            let from = (position - self.at) as usize;
            self.buffer.copy_within(from..from + kept, 0);
        }
        (self.at, self.filled) = (position, kept);
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        read_exact_at(&*self.file, u64::from(position) + kept as u64, &mut self.buffer[kept..len])?;
        self.filled = len;
        Ok(())
    }
}

// --- producers
// -----------------------------------------------------------------------------------------------------

/// Offsets of the snapshots in the directory, ascending.
pub(super) fn snapshots(files: Files<'_>) -> Result<Vec<Offset>, StorageError> {
    let mut found = Vec::new();
    for entry in files.disk.list(files.dir).at(files.dir)? {
        if let Some((offset, SNAPSHOT)) = parse(&entry.name) {
            found.push(offset);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Brings the producers to what they were at the log's end. After a truncation.
pub(super) fn rebuild_producers(log: &mut Log) -> Result<(), StorageError> {
    replay_producers(log, Offset::MAX)
}

/// Brings the producers to the log's end: the newest usable snapshot, and every batch after it. Segments from
/// `recovered_from` on get their index of aborted transactions anew, so the snapshot must not be above that.
///
/// The snapshots above it are made anew too, where segments begin: once retention has removed the segments before, they
/// are all that is known of the producers in them.
fn replay_producers(log: &mut Log, recovered_from: Offset) -> Result<(), StorageError> {
    let files = Files { disk: &**log.dir.disk(), dir: &log.path };
    let limit = recovered_from.min(log.end);
    let mut state = ProducerState::new(log.segments.first_base().unwrap_or(log.end));
    for at in snapshots(files)?.into_iter().rev() {
        let path = files.path(at, SNAPSHOT);
        let usable = at <= limit
            && match read_file(files.disk, &path, SNAPSHOT_BYTES_MAX) {
                // Nobody is forgotten here; whoever has been silent for too long is forgotten by the clock.
                Ok(bytes) => match ProducerState::from_bytes(&bytes, at, 0, i64::MAX) {
                    Ok(found) => {
                        state = found;
                        true
                    }
                    Err(error) => {
                        tracing::warn!(file = %path.display(), %error, "snapshot is not used");
                        false
                    }
                },
                Err(e) => return Err(StorageError::io(&path, e)),
            };
        if usable {
            break;
        }
        files.disk.remove_file(&path).at(&path)?;
    }
    let from = state.end_offset();
    let interval = log.config.index_interval_bytes;
    recall_batches(files, &mut log.segments, interval, &mut state);
    let mut aborted: Vec<(usize, Vec<AbortedTxn>)> = Vec::new();
    // Also a segment of which no record has survived may have an index with transactions that never were.
    if from < log.end || recovered_from <= log.end {
        let first = log.segments.floor(from);
        for (i, segment) in log.segments.iter_mut().enumerate().skip(first) {
            let mut ended = Vec::new();
            if segment.base > from {
                state.advance_to(segment.base);
                match write_snapshot(files, &state) {
                    // Without it the log can be used all the same, until the segments before this one are removed.
                    Err(error) if error.is_full() => {
                        tracing::warn!(partition = %log.tp, at = segment.base, %error, "no snapshot of producers");
                    }
                    other => other?,
                }
                log.dir_dirty = true;
            }
            let begin = if from <= segment.base {
                Some(0)
            } else {
                segment.find(files, from, interval)?.map(|batch| batch.position)
            };
            if let Some(begin) = begin {
                replay_segment(files, segment, begin, from..Offset::MAX, &mut state, &mut ended)?;
            }
            if segment.base >= recovered_from {
                aborted.push((i, ended));
            }
        }
    }
    state.advance_to(log.end);
    for (i, ended) in aborted {
        if let Some(segment) = log.segments.get_mut(i) {
            segment.set_aborted(files, ended)?;
        }
    }
    log.producers = state;
    Ok(())
}

/// Makes the index of aborted transactions of segment `i` anew. What a snapshot says of the producers before it, or else the
/// segments before it, tells where its transactions began.
pub(super) fn rebuild_aborted(log: &mut Log, i: usize) -> Result<(), StorageError> {
    let files = Files { disk: &**log.dir.disk(), dir: &log.path };
    let Some(base) = log.segments.get(i).map(|segment| segment.base) else { return Ok(()) };
    tracing::info!(segment = %files.path(base, LOG).display(), "making the index of aborted transactions anew");
    let mut state = ProducerState::new(log.segments.first_base().unwrap_or(base));
    for at in snapshots(files)?.into_iter().rev().filter(|&at| at <= base) {
        let path = files.path(at, SNAPSHOT);
        let bytes =
            read_file(files.disk, &path, SNAPSHOT_BYTES_MAX).map_err(|e| StorageError::io(&path, e))?;
        if let Ok(found) = ProducerState::from_bytes(&bytes, at, 0, i64::MAX) {
            state = found;
            break;
        }
    }
    let from = state.end_offset();
    let interval = log.config.index_interval_bytes;
    let first = log.segments.floor(from);
    for (at, segment) in log.segments.iter_mut().enumerate().take(i + 1).skip(first) {
        let begin = match from <= segment.base {
            true => Some(0),
            false => segment.find(files, from, interval)?.map(|batch| batch.position),
        };
        let mut ended = Vec::new();
        if let Some(begin) = begin {
            replay_segment(files, segment, begin, from..Offset::MAX, &mut state, &mut ended)?;
        }
        if at == i {
            segment.set_aborted(files, ended)?;
        }
    }
    Ok(())
}

fn write_snapshot(files: Files<'_>, state: &ProducerState) -> Result<(), StorageError> {
    let at = state.end_offset();
    let (path, content) = (files.path(at, SNAPSHOT), state.to_bytes());
    let file = files.open(at, SNAPSHOT, OpenMode::Create)?;
    file.write_at(0, &[IoSlice::new(&content)]).at(&path)?;
    file.set_len(content.len() as u64).at(&path)?;
    file.sync().at(&path)
}

/// Brings back the batches that a snapshot leaves out, so that a late retry of one is known as such. Kafka keeps the last
/// batch of each producer only and refuses the retry of the four before it as out of order.
///
/// What cannot be read is left out: the log can be used without.
fn recall_batches(files: Files<'_>, segments: &mut Segments, interval: u32, state: &mut ProducerState) {
    let upto = state.end_offset();
    for bytes in RECALL_BYTES {
        if !state.misses_batches() {
            return;
        }
        match replay_before(files, segments, upto, bytes, interval) {
            Ok((tail, is_all)) => {
                state.recall_batches(&tail);
                if is_all {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(log = %files.dir.display(), %error, "retries of older batches will not be known");
                return;
            }
        }
    }
}

/// The state after the last `bytes` of log below `upto`, and whether that is all there is.
fn replay_before(
    files: Files<'_>,
    segments: &mut Segments,
    upto: Offset,
    bytes: u64,
    interval: u32,
) -> Result<(ProducerState, bool), StorageError> {
    let last = segments.floor(upto);
    let mut begin = (0, 0);
    let mut left = bytes;
    let mut is_all = true;
    for i in (0..=last).rev() {
        let Some(segment) = segments.get_mut(i).filter(|segment| segment.base < upto) else { continue };
        let end = match segment.find(files, upto, interval)? {
            Some(batch) => batch.position,
            None => segment.size,
        };
        if u64::from(end) > left {
            begin = (i, segment.position_before(files, end - left as u32, interval)?);
            is_all = begin == (0, 0);
            break;
        }
        left -= u64::from(end);
    }
    let mut tail = ProducerState::default();
    for (i, segment) in segments.iter_mut().enumerate().take(last + 1).skip(begin.0) {
        let position = if i == begin.0 { begin.1 } else { 0 };
        replay_segment(files, segment, position, 0..upto, &mut tail, &mut Vec::new())?;
    }
    Ok((tail, is_all))
}

/// Replays the batches from position `begin` on that end within `offsets`.
fn replay_segment(
    files: Files<'_>,
    segment: &mut Segment,
    begin: u32,
    offsets: Range<Offset>,
    state: &mut ProducerState,
    ended: &mut Vec<AbortedTxn>,
) -> Result<(), StorageError> {
    let path = files.path(segment.base, LOG);
    let file = segment.file(files)?;
    let mut headers = Headers::new(file.clone(), segment.size);
    let mut whole = Vec::new();
    let mut position = begin;
    while position < segment.size {
        let raw = headers.at(position).at(&path)?;
        let corrupt =
            |why: String| StorageError::Corrupt { path: path.clone(), position: u64::from(position), why };
        let (Some(at), Some(header)) =
            (plausible(raw, segment.base, position, segment.size), BatchHeader::new(raw))
        else {
            return Err(corrupt("no batch begins where one should".to_owned()));
        };
        if at.last_offset >= offsets.end {
            break;
        }
        if header.has_producer_id() && at.last_offset >= offsets.start {
            let completed = if header.is_control() {
                whole.resize(at.bytes as usize, 0);
                read_exact_at(&*file, u64::from(position), &mut whole).at(&path)?;
                let batch = Batch::first_of(&whole).map_err(|e| corrupt(e.to_string()))?;
                state.replay(&batch).map_err(|e: ReplayError| corrupt(e.to_string()))?
            } else {
                state.apply(header, None)
            };
            if let Some(txn) = completed.filter(|txn| txn.aborted) {
                ended.push(AbortedTxn::from(txn));
            }
        }
        position += at.bytes;
        headers.passed(at.bytes);
    }
    Ok(())
}

/// Reads headers one after another: together with what lies between them where that is little.
struct Headers {
    chunks: Chunks,
    /// What the next read brings at least.
    read: usize,
}

impl Headers {
    fn new(file: Arc<dyn File>, size: u32) -> Headers {
        Headers { chunks: Chunks::new(file, size), read: HEADER_READ }
    }

    /// A batch of so many bytes lay before the next header.
    fn passed(&mut self, bytes: u32) {
        self.read = if bytes < PASS_OVER_FROM { HEADERS_CHUNK } else { HEADER_READ };
    }

    /// Bytes from `position` on: the whole header, if the file holds it.
    fn at(&mut self, position: u32) -> std::io::Result<&[u8]> {
        let left = (self.chunks.size - position) as usize;
        if self.chunks.inside(position).len() < HEADER_BYTES.min(left) {
            self.chunks.fill(position, self.read.min(left))?;
        }
        Ok(self.chunks.inside(position))
    }
}
