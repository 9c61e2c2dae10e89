//! `.index`: from offset to position. An entry names the *last* offset of a batch and where that batch
//! begins.

use super::index_file::{Entry, IndexFile};

/// Offset relative to the segment's base, and position of the batch that ends with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OffsetEntry {
    pub(super) relative_offset: u32,
    pub(super) position: u32,
}

impl Entry for OffsetEntry {
    const BYTES: usize = 8;

    fn decode(bytes: &[u8]) -> Self {
        let half = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        OffsetEntry { relative_offset: half(0), position: half(4) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }
}

pub(super) type OffsetIndex = IndexFile<OffsetEntry>;

impl OffsetIndex {
    /// Where to begin looking for `relative_offset`: the position of the last entry at or below it, else 0.
    pub(super) fn lookup(&self, relative_offset: u32) -> std::io::Result<u32> {
        match self.partition_point(|e| e.relative_offset <= relative_offset)? {
            0 => Ok(0),
            n => Ok(self.get(n - 1)?.position),
        }
    }

    /// The last position in the index at or below `position`, else 0.
    pub(super) fn position_before(&self, position: u32) -> std::io::Result<u32> {
        match self.partition_point(|e| e.position <= position)? {
            0 => Ok(0),
            n => Ok(self.get(n - 1)?.position),
        }
    }

    /// The relative offset of the first entry at or behind `position`.
    pub(super) fn first_from(&self, position: u32) -> std::io::Result<Option<u32>> {
        match self.partition_point(|e| e.position < position)? {
            n if n == self.len() => Ok(None),
            n => Ok(Some(self.get(n)?.relative_offset)),
        }
    }

    /// True unless the entries are out of order or point behind `size`, the length of the segment.
    pub(super) fn is_sane(&self, size: u32) -> bool {
        self.last().is_none_or(|last| last.position < size)
    }

    /// How many entries from the first on are in order and point into a segment of `size` bytes.
    pub(super) fn sane_prefix(&self, size: u32) -> std::io::Result<u32> {
        let mut before: Option<OffsetEntry> = None;
        let mut sane = 0;
        for entry in self.all()? {
            let follows = before
                .is_none_or(|b| entry.relative_offset > b.relative_offset && entry.position > b.position);
            if !follows || entry.position >= size {
                break;
            }
            sane += 1;
            before = Some(entry);
        }
        Ok(sane)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::{Disk, File};

    fn file() -> Arc<dyn File> {
        let disk = crate::sim::disk::SimDisk::new();
        disk.create_dir_all(std::path::Path::new("/d")).unwrap();
        disk.open(std::path::Path::new("/d/index"), crate::env::disk::OpenMode::Create).unwrap()
    }

    #[test]
    fn entries_are_found_in_file_and_memory_alike() {
        let file = file();
        let mut index = OffsetIndex::empty();
        for i in 0..2000u32 {
            let entry = OffsetEntry { relative_offset: i * 10 + 5, position: i * 100 };
            index.push(entry, || Ok(file.clone())).unwrap();
        }
        assert_eq!(index.lookup(4).unwrap(), 0);
        for i in (0..2000u32).step_by(7) {
            assert_eq!(index.lookup(i * 10 + 5).unwrap(), i * 100);
            assert_eq!(index.lookup(i * 10 + 14).unwrap(), i * 100);
        }
        index.finish(|| Ok(file.clone())).unwrap();
        let loaded = OffsetIndex::load(file.clone()).unwrap().unwrap();
        assert_eq!(loaded.len(), 2000);
        assert_eq!(loaded.lookup(9999).unwrap(), 99_900);
        assert_eq!(loaded.position_before(799).unwrap(), 700);
        assert_eq!(loaded.position_before(0).unwrap(), 0);
        assert_eq!(loaded.sane_prefix(200_000).unwrap(), 2000);
        assert_eq!(loaded.sane_prefix(1000).unwrap(), 10);
        let mut cut = loaded;
        cut.truncate(3).unwrap();
        assert_eq!(cut.last().unwrap().position, 200);
        assert_eq!(file.len().unwrap(), 24);
    }
}
