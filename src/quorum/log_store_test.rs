use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use super::*;
use crate::env::Env;
use crate::quorum::publish::Publisher;
use crate::quorum::state_machine::StateMachine;

struct Builder;

fn open(dir: &Path) -> LogStore {
    let env = Env::os();
    LogStore::open(env.disk, env.clock, env.tasks, dir, 4096, 0, Uuid::from_u128(7)).unwrap()
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let env = Env::os();
        let machine = StateMachine::open(
            env.disk,
            env.clock,
            env.tasks,
            dir.path().to_owned(),
            log.clone(),
            Publisher::new(),
            None,
        )
        .unwrap();
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn openrafts_own_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}
