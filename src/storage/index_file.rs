//! What the offset and the time index have in common: a file of entries of one size, ordered, the newest in
//! memory.
//!
//! Entries `0..in_file` lie in the file, the rest in `tail`. Appends only push to the tail; when it has grown
//! to [`TAIL_MAX`] the whole of it is written out in one call, so an active segment costs little memory
//! however large its index is. At a roll, a checkpoint and a clean close the tail is written out too. After
//! an unclean stop indexes are rebuilt from the last entry that can be believed, so nothing here is ever
//! synced for its own sake.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::env::File;
use crate::env::disk::read_exact_at;

/// Entries that are kept in memory before they are written out.
const TAIL_MAX: usize = 512;
/// Bytes of entries that a search reads at once when it has narrowed the range down.
const BLOCK_BYTES: usize = 4096;

/// An entry of an index.
pub(super) trait Entry: Copy {
    /// Its size in the file.
    const BYTES: usize;
    /// `bytes` are exactly [`Entry::BYTES`].
    fn decode(bytes: &[u8]) -> Self;
    fn encode(&self, out: &mut Vec<u8>);
}

/// See the module.
#[derive(Debug)]
pub(super) struct IndexFile<E> {
    file: Option<Arc<dyn File>>,
    in_file: u32,
    tail: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> IndexFile<E> {
    /// An index without entries. Its file is opened when entries are written out.
    pub(super) fn empty() -> IndexFile<E> {
        IndexFile { file: None, in_file: 0, tail: Vec::new(), last: None }
    }

    /// The entries in `file`. `None` if its size is no multiple of an entry's.
    pub(super) fn load(file: Arc<dyn File>) -> io::Result<Option<IndexFile<E>>> {
        let len = file.len()?;
        if !len.is_multiple_of(E::BYTES as u64) || len > u64::from(u32::MAX) {
            return Ok(None);
        }
        let mut index = IndexFile {
            file: Some(file),
            in_file: (len / E::BYTES as u64) as u32,
            tail: Vec::new(),
            last: None,
        };
        if index.in_file > 0 {
            index.last = Some(index.get(index.in_file - 1)?);
        }
        Ok(Some(index))
    }

    pub(super) fn len(&self) -> u32 {
        self.in_file + self.tail.len() as u32
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.len()) * E::BYTES as u64
    }

    pub(super) fn last(&self) -> Option<E> {
        self.last
    }

    pub(super) fn get(&self, i: u32) -> io::Result<E> {
        if i >= self.in_file {
            return self
                .tail
                .get((i - self.in_file) as usize)
                .copied()
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        let mut raw = [0u8; 16];
        let raw = &mut raw[..E::BYTES];
        read_exact_at(self.handle()?, u64::from(i) * E::BYTES as u64, raw)?;
        Ok(E::decode(raw))
    }

    fn handle(&self) -> io::Result<&dyn File> {
        self.file.as_deref().ok_or_else(|| io::Error::other("an index with entries has its file open"))
    }

    /// All entries, from the file and from memory.
    pub(super) fn all(&self) -> io::Result<Vec<E>> {
        let mut entries = Vec::with_capacity(self.len() as usize);
        if self.in_file > 0 {
            let mut raw = vec![0; self.in_file as usize * E::BYTES];
            read_exact_at(self.handle()?, 0, &mut raw)?;
            entries.extend(raw.chunks_exact(E::BYTES).map(E::decode));
        }
        entries.extend_from_slice(&self.tail);
        Ok(entries)
    }

    /// How many entries, from the first on, fulfil `holds`, which must be true for a prefix and false behind
    /// it.
    pub(super) fn partition_point(&self, holds: impl Fn(&E) -> bool) -> io::Result<u32> {
        if self.in_file == 0 || self.tail.first().is_some_and(&holds) {
            return Ok(self.in_file + self.tail.partition_point(&holds) as u32);
        }
        let (mut low, mut high) = (0, self.in_file);
        let block = (BLOCK_BYTES / E::BYTES) as u32;
        while high - low > block {
            let middle = low + (high - low) / 2;
            if holds(&self.get(middle)?) { low = middle + 1 } else { high = middle }
        }
        let mut raw = [0u8; BLOCK_BYTES];
        let raw = &mut raw[..(high - low) as usize * E::BYTES];
        read_exact_at(self.handle()?, u64::from(low) * E::BYTES as u64, raw)?;
        let inside = raw.chunks_exact(E::BYTES).take_while(|bytes| holds(&E::decode(bytes))).count();
        Ok(low + inside as u32)
    }

    /// Adds an entry. `open` gives the file when the tail must be written out.
    pub(super) fn push(
        &mut self,
        entry: E,
        open: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<()> {
        self.tail.push(entry);
        self.last = Some(entry);
        if self.tail.len() < TAIL_MAX {
            return Ok(());
        }
        match self.write_out(open) {
            // Appends are refused for the same reason before long, so the tail does not grow without bound.
            Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Ok(()),
            other => other,
        }
    }

    /// Writes the tail to the file.
    pub(super) fn write_out(&mut self, open: impl FnOnce() -> io::Result<Arc<dyn File>>) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(open()?),
        };
        let mut raw = Vec::with_capacity(self.tail.len() * E::BYTES);
        for entry in &self.tail {
            entry.encode(&mut raw);
        }
        file.write_at(u64::from(self.in_file) * E::BYTES as u64, &[IoSlice::new(&raw)])?;
        self.in_file += self.tail.len() as u32;
        self.tail.clear();
        Ok(())
    }

    /// Writes the tail out and makes the file exactly as long as its entries; it exists afterwards even if it
    /// is empty.
    pub(super) fn finish(&mut self, open: impl FnOnce() -> io::Result<Arc<dyn File>>) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(open()?);
        }
        self.write_out(|| Err(io::Error::other("just opened")))?;
        self.tail.shrink_to_fit();
        match &self.file {
            Some(file) => file.set_len(self.bytes()),
            None => Ok(()),
        }
    }

    /// Keeps the first `count` entries.
    pub(super) fn truncate(&mut self, count: u32) -> io::Result<()> {
        if count >= self.len() {
            return Ok(());
        }
        if count >= self.in_file {
            self.tail.truncate((count - self.in_file) as usize);
        } else {
            self.tail.clear();
            if let Some(file) = &self.file {
                file.set_len(u64::from(count) * E::BYTES as u64)?;
            }
            self.in_file = count;
        }
        self.last = if count == 0 { None } else { Some(self.get(count - 1)?) };
        Ok(())
    }

    /// The open file, for a sync.
    pub(super) fn file(&self) -> Option<Arc<dyn File>> {
        self.file.clone()
    }
}
