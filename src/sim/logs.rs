//! The logs as they lie on the disks of nodes that have stopped: below the end that clients have read, replicas are the
//! same, byte for byte.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::SimDisk;
use super::model::{Slot, topic_name};
use super::node::DATA_DIR;
use crate::env::Disk as _;
use crate::env::disk::OpenMode;
use crate::types::{NodeId, Offset};
use crate::wire::batch::batches;

/// A replica's batches by their first offsets.
type Replica = BTreeMap<Offset, Vec<u8>>;

/// Compares the replicas of a partition, each of which must reach `end`.
pub fn are_the_same(disks: &[(NodeId, SimDisk)], slot: Slot, end: Offset) -> Result<(), String> {
    let dir = PathBuf::from(DATA_DIR).join(format!("{}-{}", topic_name(slot.0), slot.1));
    let mut first: Option<(NodeId, Replica)> = None;
    for (node, disk) in disks {
        let Some(replica) = read(disk, &dir).map_err(|e| format!("node {node}, {}: {e}", dir.display()))?
        else {
            continue;
        };
        let reaches = replica.last_key_value().and_then(|(_, batch)| batches(batch).next()?.ok());
        let reaches = reaches.map_or(0, |batch| batch.header().next_offset());
        if reaches < end {
            return Err(format!("{slot:?}: node {node} has stopped in sync at {reaches}, before {end}"));
        }
        let Some((other, expected)) = &first else {
            first = Some((*node, replica));
            continue;
        };
        let from = expected.keys().next().max(replica.keys().next()).copied().unwrap_or(0);
        if let Some((offset, _)) =
            expected.range(from..end).find(|(at, batch)| replica.get(at) != Some(batch))
        {
            return Err(format!("{slot:?}: nodes {other} and {node} differ at {offset}"));
        }
        if expected.range(from..end).count() != replica.range(from..end).count() {
            return Err(format!("{slot:?}: node {node} has batches that node {other} has not"));
        }
    }
    Ok(())
}

/// `None` if there is no replica.
fn read(disk: &SimDisk, dir: &Path) -> io::Result<Option<Replica>> {
    let files = match disk.list(dir) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut replica = Replica::new();
    for entry in files.iter().filter(|entry| entry.name.ends_with(".log")) {
        let file = disk.open(&dir.join(&entry.name), OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(read as u64, &mut bytes[read..])? {
                0 => break,
                n => read += n,
            }
        }
        for batch in batches(&bytes).map_while(Result::ok) {
            replica.insert(batch.header().base_offset(), batch.bytes().to_vec());
        }
    }
    Ok(Some(replica))
}
