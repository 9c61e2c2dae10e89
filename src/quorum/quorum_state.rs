//! `quorum-state`: whom this node voted for and which leader it knows, as Kafka's JSON.
//!
//! The file is replaced atomically and synced before a vote counts; that is all the durability an election needs.

use std::io;
use std::path::Path;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::env::Disk;
use crate::env::disk::{read_file, replace_file};
use crate::types::{Bug, NodeId, uuid_from_base64, uuid_to_base64};

use super::types::{RaftId, Vote};

/// The file's name in the metadata log's directory.
pub(super) const FILE_NAME: &str = "quorum-state";
/// More than any quorum's state needs.
const BYTES_MAX: u64 = 1 << 20;

/// Reads the vote; `None` if there is no file or nothing was ever voted.
///
/// `me` stands in where the file knows an epoch but nobody in it: that this node has given its own vote to itself is
/// then the weakest claim that keeps it from voting twice in that epoch.
pub(super) fn read(disk: &dyn Disk, dir: &Path, me: NodeId) -> io::Result<Option<Vote>> {
    let path = dir.join(FILE_NAME);
    let content = match read_file(disk, &path, BYTES_MAX) {
        Ok(content) => content,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let state: Value = serde_json::from_slice(&content).map_err(|e| bad(&e.to_string()))?;
    let version = state["data_version"].as_i64().ok_or_else(|| bad("no data_version"))?;
    if !(0..=1).contains(&version) {
        return Err(bad(&format!("unknown data_version {version}")));
    }
    let number = |name: &str| {
        state[name].as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(|| bad(&format!("no {name}")))
    };
    let (leader, epoch, voted) = (number("leaderId")?, number("leaderEpoch")?, number("votedId")?);
    let Ok(term) = u64::try_from(epoch) else { return Ok(None) };
    if leader < 0 && voted < 0 && term == 0 {
        return Ok(None);
    }
    if version == 1
        && let Some(directory) = state["votedDirectoryId"].as_str()
        && uuid_from_base64(directory).is_none()
    {
        return Err(bad("votedDirectoryId is no id"));
    }
    Ok(Some(match (leader, voted) {
        (0.., _) => Vote::new_committed(term, RaftId(leader)),
        (_, 0..) => Vote::new(term, RaftId(voted)),
        _ => Vote::new(term, RaftId(me)),
    }))
}

/// Writes the vote and waits until it is on disk.
pub(super) fn write(disk: &dyn Disk, dir: &Path, vote: &Vote, directory: Uuid) -> io::Result<()> {
    if Bug::ForgetsVote.is_planted() {
        return Ok(());
    }
    let node = vote.leader_id.voted_for.0;
    let (leader, voted) = if vote.committed { (node, -1) } else { (-1, node) };
    // Kafka names the directory only of a vote that is still open.
    let directory = if vote.committed { Uuid::nil() } else { directory };
    let state = json!({
        "leaderId": leader,
        "leaderEpoch": vote.leader_id.term,
        "votedId": voted,
        "votedDirectoryId": uuid_to_base64(directory),
        "data_version": 1,
    });
    replace_file(disk, &dir.join(FILE_NAME), state.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn votes_come_back_and_kafkas_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, dir) = (Env::os().disk, dir.path());
        assert_eq!(read(&*disk, dir, 1).unwrap(), None);
        for vote in [Vote::new(3, RaftId(2)), Vote::new_committed(4, RaftId(1))] {
            write(&*disk, dir, &vote, Uuid::from_u128(9)).unwrap();
            assert_eq!(read(&*disk, dir, 1).unwrap(), Some(vote));
        }
        let cases = [
            (
                r#"{"clusterId":"","leaderId":1,"leaderEpoch":1,"votedId":-1,"appliedOffset":0,
                "currentVoters":[{"voterId":1}],"data_version":0}"#,
                Some(Vote::new_committed(1, RaftId(1))),
            ),
            (
                r#"{"leaderId":-1,"leaderEpoch":7,"votedId":-1,"data_version":1}"#,
                Some(Vote::new(7, RaftId(5))),
            ),
            (r#"{"leaderId":-1,"leaderEpoch":0,"votedId":-1,"data_version":1}"#, None),
        ];
        for (text, vote) in cases {
            replace_file(&*disk, &dir.join(FILE_NAME), text.as_bytes()).unwrap();
            assert_eq!(read(&*disk, dir, 5).unwrap(), vote);
        }
        for text in ["", "{}", r#"{"data_version":9}"#, r#"{"leaderId":-1,"data_version":1}"#] {
            replace_file(&*disk, &dir.join(FILE_NAME), text.as_bytes()).unwrap();
            assert_eq!(read(&*disk, dir, 5).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
