//! Records for a member: what the log has, and what of it the member gets.

use std::ops::Range;
use std::sync::Arc;

use super::partition::{Inner, Phase, SharePartition};
use super::settings::GroupSettings;
use super::state::{Acquire, Acquired, Fetched, MemberId, Mode};
use crate::replica::{FetchWaiter, PartitionRead, Read};
use crate::storage::FileSlice;
use crate::types::{ErrorCode, Offset, ProducerId};
use crate::wire::batch::{BatchHeader, HEADER_BYTES};

/// Bytes read at once where batches are told apart: many small ones, or the header of a large one.
const WINDOW_BYTES: usize = 4096;

/// What a member wants of each partition.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// Who asks.
    pub member: &'a MemberId,
    /// The most records.
    pub records_max: i64,
    /// Records per range, where they can be told apart by batches of the log.
    pub batch_records: i64,
    /// How closely to keep to these.
    pub mode: Mode,
}

/// What there is for a member.
#[allow(clippy::large_enum_variant)] // It lives on the stack, for one look.
pub enum Found {
    /// Nothing now.
    Nothing,
    /// An error.
    Failed(ErrorCode),
    /// Records, perhaps.
    Records(FetchFrom),
}

/// What the log has. Nobody else reads for the group until it is dropped.
pub struct FetchFrom {
    share: Arc<SharePartition>,
    from: Offset,
    read: PartitionRead,
    settings: GroupSettings,
}

impl FetchFrom {
    /// Bytes of records found.
    pub fn bytes(&self) -> u32 {
        self.read.records_len()
    }
}

impl Drop for FetchFrom {
    fn drop(&mut self) {
        let mut inner = self.share.inner.lock();
        inner.is_read = false;
        if std::mem::take(&mut inner.passed_by) {
            // They have to look for themselves, if only to be told of what arrives.
            inner.waiters.wake_all();
        }
    }
}

impl SharePartition {
    /// Looks for records that a member may have. `waiter` is told when there may be others.
    pub fn look(self: &Arc<Self>, bytes_max: u32, waiter: Option<&Arc<FetchWaiter>>) -> Found {
        let settings = self.settings();
        let from = {
            let mut inner = self.inner.lock();
            let Inner { phase, waiters, is_read, passed_by, .. } = &mut *inner;
            if let Some(waiter) = waiter {
                waiters.add(waiter);
            }
            match phase {
                Phase::Loading => return Found::Nothing,
                Phase::Ended(error) => return Found::Failed(*error),
                Phase::Active(_) if *is_read => {
                    *passed_by = true;
                    return Found::Nothing;
                }
                Phase::Active(state) => {
                    state.log_start_moved(self.partition().log_offsets().0);
                    if !state.can_acquire(&settings.limits) {
                        return Found::Nothing;
                    }
                    *is_read = true;
                    state.next_fetch_offset()
                }
            }
        };
        let read = self.partition().read(&Read {
            offset: from,
            bytes_max,
            whole_batch: true,
            isolation: settings.isolation,
            current_leader_epoch: self.leader_epoch(),
            last_fetched_epoch: -1,
            waiter,
            follower: None,
            from_any_replica: false,
            rack: None,
        });
        let error = read.error;
        let found = FetchFrom { share: Arc::clone(self), from, read, settings };
        match error {
            ErrorCode::None if found.bytes() == 0 => Found::Nothing,
            ErrorCode::None => Found::Records(found),
            // The log begins elsewhere since it was looked at; next time that is known.
            ErrorCode::OffsetOutOfRange => Found::Nothing,
            error => Found::Failed(error),
        }
    }
}

impl FetchFrom {
    /// Hands records out to a member, with the part of the log that they are in. True at the end if another look may find
    /// records though these were none.
    pub fn acquire(self, fetch: &Fetch<'_>) -> (Vec<Acquired>, Option<FileSlice>, bool) {
        let Some(slice) = &self.read.records else { return (Vec::new(), None, false) };
        // Batches beyond what can be handed out are of no interest.
        let end = match &self.share.inner.lock().phase {
            Phase::Active(state) => state.end(),
            Phase::Loading | Phase::Ended(_) => return (Vec::new(), None, false),
        };
        let most = fetch.records_max.min(self.settings.limits.records_max);
        let enough = end.max(self.from).saturating_add(most);
        let aborted = self.read.aborted.as_deref().unwrap_or_default();
        let batches = match tell_apart(slice, enough, aborted) {
            Ok(batches) => batches,
            Err(e) => {
                tracing::error!(key = %self.share.key(), "records cannot be read: {e}");
                return (Vec::new(), None, false);
            }
        };
        let fetched: Vec<Fetched> = batches.iter().map(|(batch, _)| *batch).collect();
        let ask = Acquire {
            member: fetch.member,
            from: self.from,
            fetched: &fetched,
            records_max: fetch.records_max,
            batch_records: fetch.batch_records,
            mode: fetch.mode,
        };
        let mut inner = self.share.inner.lock();
        let Phase::Active(state) = &mut inner.phase else { return (Vec::new(), None, false) };
        let acquired = state.acquire(&ask, self.share.now(), &self.settings.limits);
        let moved = state.next_fetch_offset() != self.from;
        drop(inner);
        self.share.has_changed();
        let slice = slice_of(slice, &batches, &acquired);
        let again = acquired.is_empty() && moved;
        (acquired, slice, again)
    }
}

/// Batches and where they are in the slice.
type Placed = Vec<(Fetched, Range<u32>)>;

/// Tells the batches of a slice apart by their headers, up to the first that begins at `enough` or behind it. The last one of
/// the slice may be cut off, and is left out then.
fn tell_apart(
    slice: &FileSlice,
    enough: Offset,
    aborted: &[(ProducerId, Offset)],
) -> std::io::Result<Placed> {
    let mut placed = Vec::new();
    let mut window = Window { slice, at: 0, bytes: Vec::new() };
    let mut at = 0u32;
    let mut open: Vec<ProducerId> = Vec::new();
    let mut aborted: Vec<_> = aborted.to_vec();
    aborted.sort_by_key(|&(_, first)| first);
    let mut aborted = aborted.into_iter().peekable();
    while let Some(header) = window.header(at)? {
        let header = BatchHeader::of(&header);
        let total = header.total_bytes().and_then(|total| u32::try_from(total).ok());
        let Some(end) = total.and_then(|total| at.checked_add(total)).filter(|&end| end <= slice.len) else {
            break;
        };
        let (first, last) = (header.base_offset(), header.last_offset());
        if first >= enough || last < first {
            break;
        }
        while let Some((producer, _)) = aborted.next_if(|&(_, from)| from <= last) {
            open.push(producer);
        }
        let is_aborted = header.is_transactional() && open.contains(&header.producer_id());
        if header.is_control() {
            // Whatever the marker says, the transaction ends with it.
            if let Some(at) = open.iter().position(|&producer| producer == header.producer_id()) {
                open.swap_remove(at);
            }
        }
        placed.push((Fetched { first, last, is_void: header.is_control() || is_aborted }, at..end));
        at = end;
    }
    Ok(placed)
}

/// The part of the slice that the acquired records are in.
fn slice_of(slice: &FileSlice, batches: &Placed, acquired: &[Acquired]) -> Option<FileSlice> {
    let (first, last) = (acquired.first()?.first, acquired.last()?.last);
    let mut within = batches.iter().filter(|(batch, _)| batch.last >= first && batch.first <= last);
    let from = within.next()?.1.clone();
    let to = within.next_back().map_or(from.end, |(_, place)| place.end);
    Some(FileSlice {
        file: Arc::clone(&slice.file),
        position: slice.position + u64::from(from.start),
        len: to - from.start,
    })
}

/// A part of the slice in memory.
struct Window<'a> {
    slice: &'a FileSlice,
    at: u32,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The header at `at`; `None` if the slice ends before its end.
    fn header(&mut self, at: u32) -> std::io::Result<Option<[u8; HEADER_BYTES]>> {
        let has = |window: &Window<'_>| {
            let from = at.checked_sub(window.at)? as usize;
            window.bytes.get(from..)?.first_chunk().copied()
        };
        if let Some(header) = has(self) {
            return Ok(Some(header));
        }
        let len = (self.slice.len.saturating_sub(at)).min(WINDOW_BYTES as u32);
        let part = FileSlice {
            file: Arc::clone(&self.slice.file),
            position: self.slice.position + u64::from(at),
            len,
        };
        (self.at, self.bytes) = (at, part.read()?);
        Ok(has(self))
    }
}
