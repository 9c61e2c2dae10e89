//! The orderly end of many logs at once.
//!
//! A log that has unsynced bytes leaves some six files, each of which costs a commit of the file system's journal when it is
//! synced by itself. Many of them are made durable by one sync of the file system instead; few are synced one by one, for
//! that sync writes what other programs have left unwritten, too.
//!
//! One sync is enough because nothing rests on it before it has ended: the mark of an orderly stop is written after it, and
//! without the mark the next start believes no file. The checkpoint of leader epochs takes its name before its content is
//! durable; where a power loss leaves it half written it does not pass for a checkpoint, and the epochs come from the log.

use std::sync::Arc;

use super::dir::LogDir;
use super::fault::{At, StorageError};
use super::log::{Log, SyncJob};
use super::manager::Manager;

impl Manager {
    /// Closes `logs` in order: what is in memory goes to the disk, and the next start need not look at them once
    /// [`Manager::close`] has left its mark. Blocks.
    ///
    /// # Errors
    ///
    /// The first fault, after all has been tried. A log that was not closed keeps the mark from its directory.
    pub fn close_logs(&self, logs: impl IntoIterator<Item = Log>) -> Result<(), StorageError> {
        let mut outcome = Ok(());
        let mut jobs = Vec::new();
        for mut log in logs {
            match log.write_out_to_close() {
                Ok(()) if log.is_offline() => keep_first(&mut outcome, Err(log.log_dir().offline())),
                Ok(()) => jobs.extend(log.sync_job().map(|job| (log, job))),
                Err(fault) => {
                    tracing::error!("{} cannot be closed in order: {fault}", log.partition());
                    keep_first(&mut outcome, Err(fault));
                }
            }
        }
        for dir in self.dirs() {
            let (here, others): (Vec<_>, Vec<_>) =
                jobs.into_iter().partition(|(log, _): &(Log, SyncJob)| Arc::ptr_eq(log.log_dir(), dir));
            jobs = others;
            let at_once = here.len() > self.config().synced_one_by_one_max;
            let synced = if at_once { sync_all(dir, &here) } else { Ok(false) };
            let (at_once, failed) = (matches!(synced, Ok(true)), synced.is_err());
            keep_first(&mut outcome, synced.map(drop));
            for (mut log, job) in here {
                let done = if failed {
                    job.synced_by(Err(dir.offline()))
                } else if at_once {
                    job.synced_by(Ok(()))
                } else {
                    job.run()
                };
                keep_first(&mut outcome, log.synced(done));
            }
        }
        outcome
    }
}

fn keep_first(outcome: &mut Result<(), StorageError>, next: Result<(), StorageError>) {
    if outcome.is_ok() {
        *outcome = next;
    }
}

/// Makes durable what all `jobs` are for. False if this disk can't do that at once.
fn sync_all(dir: &LogDir, jobs: &[(Log, SyncJob)]) -> Result<bool, StorageError> {
    let all = || {
        jobs.iter().try_for_each(|(_, job)| job.put_files_in_place())?;
        dir.disk().sync_all(dir.path()).at(dir.path())
    };
    let synced = all();
    if let Err(fault) = &synced {
        tracing::error!(dir = %dir.path().display(), "the logs cannot be closed in order: {fault}");
        dir.fail(fault);
    }
    synced
}
