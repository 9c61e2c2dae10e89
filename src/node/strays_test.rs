use std::path::PathBuf;

use uuid::Uuid;

use super::test_node::on_a_node;
use crate::env::Disk as _;
use crate::storage::test_log::make_log;
use crate::types::TopicId;

#[test]
fn logs_that_the_metadata_does_not_know_are_set_aside_at_the_start() {
    on_a_node(|mut machine, _client| async move {
        let replicas = &machine.node().expect("the node runs").broker.replicas;
        let dir: PathBuf = replicas.logs().dirs()[0].path().to_owned();
        machine.stop().await.expect("it stops");
        let disk = machine.disk.clone();
        // Of a topic that was deleted, of a partition that `t` does not have, and without any id.
        make_log(&disk, &dir.join("gone-0"), Some(TopicId(Uuid::from_u128(5))), b"");
        make_log(&disk, &dir.join("t-1"), Some(TopicId(Uuid::from_u128(6))), b"");
        make_log(&disk, &dir.join("nobody-0"), None, b"records");
        // Of a topic that is there, but who knows whether of this one.
        make_log(&disk, &dir.join("t-0"), None, b"records");
        // Nothing was ever in it.
        make_log(&disk, &dir.join("unmade-0"), None, b"");
        disk.settle();

        machine.start().await.expect("it starts again");
        let names = disk.list(&dir).expect("the log directory").into_iter().filter(|entry| entry.is_dir);
        let names: Vec<String> = names.map(|entry| entry.name).collect();
        for stray in ["gone-0", "t-1", "nobody-0", "t-0"] {
            let renamed = |name: &&String| name.starts_with(&format!("{stray}.")) && name.ends_with("-stray");
            assert_eq!(names.iter().filter(renamed).count(), 1, "{stray} in {names:?}");
            assert!(!names.iter().any(|name| name == stray), "{stray} in {names:?}");
        }
        assert!(
            !names.iter().any(|name| name == "unmade-0" || name.ends_with("unmade-0-stray")),
            "{names:?}"
        );
        let replicas = &machine.node().expect("the node runs").broker.replicas;
        assert!(replicas.partition("t", 0).is_ok());
    });
}
