use super::*;
use crate::env::disk::OpenMode;
use crate::sim::disk::SimDisk;
use crate::storage::AppendBy;
use crate::storage::validate::{AppendOrigin, validate};
use crate::types::Rng;
use crate::wire::records::BatchBuilder;

#[test]
fn names_of_directories() {
    let log = |topic: &str, partition| DirKind::Log(TopicPartition::new(topic, partition));
    assert_eq!(classify("a-b-12"), log("a-b", 12));
    assert_eq!(classify("__consumer_offsets-0"), log("__consumer_offsets", 0));
    assert_eq!(classify("__cluster_metadata-0"), DirKind::Metadata);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-delete"), DirKind::Delete);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-future"), DirKind::Future);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-stray"), DirKind::Stray);
    for name in ["a", "a-", "-0", "a-+1", "a-01", "a b-0", "lost+found", "a-0.01-delete"] {
        assert_eq!(classify(name), DirKind::Unknown, "{name}");
    }
}

#[test]
fn recovery_points_are_written_every_second_where_logs_are_few() {
    let intervals = [0, 1, 1000, 10_000, 60_000].map(|logs| points_interval_ms(logs, 1000));
    assert_eq!(intervals, [1000, 1000, 1000, 10_000, 60_000]);
}

#[test]
fn with_many_logs_those_in_use_have_their_recovery_points_on_disk_within_a_second() {
    let disk = disk_with_logs();
    let few = ManagerConfig { points_per_second: 1, ..ManagerConfig::default() };
    let open = |disk: &SimDisk| {
        let manager = Manager::open(Arc::new(disk.clone()), &[PathBuf::from("/data")], few, NOW).unwrap();
        manager.recover_here(|_| Arc::new(LogConfig::default()));
        manager
    };
    let point = |disk: &SimDisk, tp: &str| {
        let dir = Path::new("/data");
        let mut all = checkpoint::read_offsets(disk, &dir.join(checkpoint::RECOVERY_POINT)).unwrap();
        all.extend(checkpoint::read_recent_points(disk, dir).unwrap());
        all.get(&TopicPartition::new(tp, 0)).copied()
    };
    let append = |log: &mut Log| {
        let mut builder = BatchBuilder::new(0);
        builder.append(NOW, None, Some(b"v"));
        let input = builder.finish();
        let mut plan = validate(&input, &log.config().validate.clone(), AppendOrigin::Client, NOW).unwrap();
        log.append_as_leader(&input, &mut plan, AppendBy::client(0), NOW).unwrap();
        log.sync_now().unwrap();
    };
    let manager = open(&disk);
    let mut a = log(&manager, "a", id_of("a"));
    manager.tick(NOW + 3000);
    for i in 0..2 {
        append(&mut a);
        manager.tick(NOW + 4000 + i * 1000);
        assert_eq!(point(&disk, "a"), Some(2 + i));
    }
    // A log that becomes shorter takes all points with it.
    a.truncate_to(1).unwrap();
    assert_eq!(point(&disk, "a"), Some(1));
    append(&mut a);
    manager.tick(NOW + 6000);
    assert_eq!(point(&disk, "a"), Some(2));
    drop((manager, a));
    disk.crash(&mut Rng::new(1));
    assert_eq!(point(&disk, "a"), Some(2), "it is durable");
    assert_eq!(log(&open(&disk), "a", id_of("a")).log_end_offset(), 2);
    // What somebody else writes down counts, and nothing beside it.
    let all = [(TopicPartition::new("a", 0), 1)];
    let lines = all.iter().map(|(tp, offset)| (tp, *offset));
    checkpoint::write_offsets(&disk, &Path::new("/data").join(checkpoint::RECOVERY_POINT), lines).unwrap();
    assert_eq!(point(&disk, "a"), Some(1));
}

const NOW: Ms = 1_700_000_000_000;

fn open(disk: &SimDisk) -> Manager {
    let manager =
        Manager::open(Arc::new(disk.clone()), &[PathBuf::from("/data")], ManagerConfig::default(), NOW)
            .unwrap();
    manager.recover_here(|_| Arc::new(LogConfig::default()));
    manager
}

fn id_of(topic: &str) -> TopicId {
    TopicId(Uuid::from_u128(u128::from(topic.as_bytes()[0])))
}

fn log(manager: &Manager, topic: &str, id: TopicId) -> Log {
    manager.log(&TopicPartition::new(topic, 0), id, Arc::new(LogConfig::default()), None).unwrap()
}

/// Logs `a-0`, `b-0` and `c-0` with one batch each, all of it durable.
fn disk_with_logs() -> SimDisk {
    let disk = SimDisk::new();
    let manager = open(&disk);
    for topic in ["a", "b", "c"] {
        let mut log = log(&manager, topic, id_of(topic));
        let mut builder = BatchBuilder::new(0);
        builder.append(NOW, None, Some(topic.as_bytes()));
        let input = builder.finish();
        let mut plan = validate(&input, &log.config().validate.clone(), AppendOrigin::Client, NOW).unwrap();
        log.append_as_leader(&input, &mut plan, AppendBy::client(0), NOW).unwrap();
        log.sync_now().unwrap();
    }
    drop(manager);
    disk.settle();
    disk.kill();
    disk
}

fn set_strays_aside(manager: &Manager, wanted: &[&str]) -> usize {
    let mut unique = 0;
    let is_wanted = |tp: &TopicPartition, id: Option<TopicId>| {
        assert_eq!(id, Some(id_of(&tp.topic)), "what its directory says");
        wanted.contains(&&*tp.topic)
    };
    manager.set_strays_aside(is_wanted, || {
        unique += 1;
        Uuid::from_u128(unique)
    })
}

fn names(disk: &SimDisk) -> Vec<String> {
    let entries = disk.list(Path::new("/data")).unwrap();
    entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect()
}

#[test]
fn logs_of_no_topic_are_set_aside_with_all_that_is_in_them() {
    let disk = disk_with_logs();
    let manager = open(&disk);
    let _asked_for = log(&manager, "a", id_of("a"));
    let files = disk.list(Path::new("/data/c-0")).unwrap();
    assert_eq!(set_strays_aside(&manager, &["b"]), 1, "a is in use, b will be");
    let stray = "c-0.00000000000000000000000000000001-stray";
    assert_eq!(names(&disk), ["a-0", "b-0", stray]);
    assert_eq!(disk.list(&Path::new("/data").join(stray)).unwrap(), files);
    assert_eq!(manager.found().len(), 1);
    assert_eq!(set_strays_aside(&manager, &["b"]), 0);
    assert_eq!(log(&manager, "c", id_of("d")).log_end_offset(), 0, "a new topic of the name begins anew");
    drop(manager);
    disk.kill();

    let manager = open(&disk);
    assert_eq!(names(&disk), ["a-0", "b-0", stray], "it stays until somebody removes it");
    let found: Vec<String> = manager.found().iter().map(|found| found.partition.to_string()).collect();
    assert_eq!(found, ["a-0", "b-0"]);
}

#[test]
fn a_power_loss_while_strays_are_set_aside_loses_nothing() {
    for seed in 0..4 {
        for call in 1.. {
            let disk = disk_with_logs();
            let files = disk.list(Path::new("/data/c-0")).unwrap();
            let manager = open(&disk);
            disk.lose_power_at(disk.calls() + call);
            set_strays_aside(&manager, &["a"]);
            let is_over = !disk.is_without_power();
            drop(manager);
            disk.crash(&mut Rng::new(seed));

            let manager = open(&disk);
            set_strays_aside(&manager, &["a"]);
            let names = names(&disk);
            assert_eq!(names.len(), 3, "{names:?}");
            for (name, topic) in names.iter().zip(["a-0", "b-0.", "c-0."]) {
                assert!(name.starts_with(topic) && name.ends_with("-stray") == (topic != "a-0"), "{names:?}");
                let found = disk.list(&Path::new("/data").join(name)).unwrap();
                assert!(files.iter().all(|file| found.contains(file)), "call {call}: {found:?}");
            }
            if is_over {
                assert!(call > 4, "{call}");
                break;
            }
        }
    }
}

#[test]
fn checkpoints_go_on_saying_what_they_said_of_logs_that_are_not_opened_yet() {
    let disk = disk_with_logs();
    let manager = open(&disk);
    let mut a = log(&manager, "a", id_of("a"));
    a.advance_log_start_offset(1).unwrap();
    a.close(true).unwrap();
    manager.close(1).unwrap();
    drop(manager);
    disk.kill();

    let manager =
        Manager::open(Arc::new(disk.clone()), &[PathBuf::from("/data")], ManagerConfig::default(), NOW);
    let manager = manager.unwrap();
    // Something else has the checkpoints written before `a` is opened.
    let mut b = log(&manager, "b", id_of("b"));
    b.advance_log_start_offset(1).unwrap();
    manager.tick(NOW + 100_000);
    drop((manager, b));
    disk.crash(&mut Rng::new(1));

    let a = log(&open(&disk), "a", id_of("a"));
    assert_eq!((a.log_start_offset(), a.log_end_offset()), (1, 1), "what was deleted stays so");
}

#[test]
fn of_two_logs_of_one_name_each_topic_has_its_own() {
    for wanted in ["x", "y"] {
        let disk = SimDisk::new();
        let paths = [PathBuf::from("/d0"), PathBuf::from("/d1")];
        let open = |disk: &SimDisk, paths: &[PathBuf]| {
            let manager =
                Manager::open(Arc::new(disk.clone()), paths, ManagerConfig::default(), NOW).unwrap();
            manager.recover_here(|_| Arc::new(LogConfig::default()));
            manager
        };
        // Each was made while the other directory could not be used.
        for (path, topic) in paths.iter().zip(["x", "y"]) {
            let manager = open(&disk, std::slice::from_ref(path));
            let mut log = log(&manager, "a", id_of(topic));
            let mut builder = BatchBuilder::new(0);
            builder.append(NOW, None, Some(b"v"));
            let input = builder.finish();
            let mut plan =
                validate(&input, &log.config().validate.clone(), AppendOrigin::Client, NOW).unwrap();
            log.append_as_leader(&input, &mut plan, AppendBy::client(0), NOW).unwrap();
            log.sync_now().unwrap();
            drop((manager, log));
            disk.kill();
        }
        let manager = open(&disk, &paths);
        let log = log(&manager, "a", id_of(wanted));
        assert_eq!(log.log_end_offset(), 1);
        let own = if wanted == "x" { "/d0" } else { "/d1" };
        assert_eq!(log.log_dir().path(), Path::new(own));
        let aside = manager.set_strays_aside(|_, id| id == Some(id_of(wanted)), || Uuid::from_u128(1));
        assert_eq!(aside, 1);
        for path in &paths {
            let is_own = path == Path::new(own);
            let names = disk.list(path).unwrap().into_iter().filter(|entry| entry.is_dir);
            assert!(names.map(|entry| entry.name).all(|name| name.ends_with("-stray") != is_own));
        }
    }
}

/// What whoever has the topic `id` does to have its log.
fn open_anew(manager: &Manager, topic: &str, id: TopicId) -> Log {
    let tp = TopicPartition::new(topic, 0);
    let open = || manager.log(&tp, id, Arc::new(LogConfig::default()), None);
    open()
        .or_else(|fault| match fault {
            StorageError::TopicId { .. } => {
                manager.set_aside(&tp, Uuid::from_u128(1))?;
                open()
            }
            other => Err(other),
        })
        .unwrap()
}

fn append(log: &mut Log) -> Result<(), crate::storage::AppendError> {
    let mut builder = BatchBuilder::new(0);
    builder.append(NOW, None, Some(b"v"));
    let input = builder.finish();
    let mut plan = validate(&input, &log.config().validate.clone(), AppendOrigin::Client, NOW).unwrap();
    log.append_as_leader(&input, &mut plan, AppendBy::client(0), NOW).map(drop)
}

#[test]
fn a_log_that_has_lost_its_topic_id_is_nobodys() {
    let disk = disk_with_logs();
    disk.remove_file(&Path::new("/data/a-0").join(checkpoint::PARTITION_METADATA)).unwrap();
    disk.settle();
    let manager = open(&disk);
    let files = disk.list(Path::new("/data/a-0")).unwrap();
    let refused = manager.log(&TopicPartition::new("a", 0), id_of("a"), Arc::new(LogConfig::default()), None);
    assert!(
        matches!(refused, Err(StorageError::TopicId { found: TopicId::NIL, .. })),
        "also not the topic's that had it: {refused:?}"
    );
    let log = open_anew(&manager, "a", id_of("a"));
    assert_eq!(log.log_end_offset(), 0);
    let stray = "a-0.00000000000000000000000000000001-stray";
    assert_eq!(names(&disk), [stray, "b-0", "c-0"]);
    assert_eq!(disk.list(&Path::new("/data").join(stray)).unwrap(), files, "its records stay");
}

#[test]
fn of_a_log_that_was_never_written_to_nothing_stays() {
    let disk = disk_with_logs();
    let path = Path::new("/data/d-0");
    disk.create_dir_all(path).unwrap();
    disk.open(&path.join("00000000000000000000.log"), OpenMode::Create).unwrap();
    disk.open(&path.join(checkpoint::PARTITION_METADATA), OpenMode::Create).unwrap();
    disk.settle();
    let manager = open(&disk);
    let mut log = open_anew(&manager, "d", id_of("d"));
    append(&mut log).unwrap();
    log.sync_now().unwrap();
    manager.tick(NOW + 1);
    assert_eq!(names(&disk), ["a-0", "b-0", "c-0", "d-0"]);
    drop((manager, log));
    disk.crash(&mut Rng::new(1));
    let manager = open(&disk);
    assert_eq!(
        manager
            .log(&TopicPartition::new("d", 0), id_of("d"), Arc::new(LogConfig::default()), None)
            .unwrap()
            .log_end_offset(),
        1
    );
}

#[test]
fn whenever_the_power_goes_no_topic_gets_the_records_of_another() {
    for seed in 0..4 {
        for call in 1.. {
            let disk = SimDisk::new();
            let manager = open(&disk);
            disk.lose_power_at(disk.calls() + call);
            let mut first = log(&manager, "a", id_of("x"));
            assert!(!first.is_new(), "there is nothing yet");
            let appended = append(&mut first).is_ok();
            let is_promised = appended && first.sync_now().is_ok();
            assert!(!is_promised || !first.is_new());
            assert!(is_promised || !appended || first.is_new());
            let is_over = !disk.is_without_power();
            drop((manager, first));
            disk.crash(&mut Rng::new(seed));

            let manager = open(&disk);
            let mut second = open_anew(&manager, "a", id_of("y"));
            assert_eq!((second.log_start_offset(), second.log_end_offset()), (0, 0), "call {call}");
            append(&mut second).unwrap();
            second.sync_now().unwrap();
            manager.tick(NOW + 1);
            let names = names(&disk);
            let strays: Vec<&String> = names.iter().filter(|name| name.ends_with("-stray")).collect();
            assert!(names.iter().any(|name| name == "a-0") && names.len() == 1 + strays.len(), "{names:?}");
            assert!(!is_promised || strays.len() == 1, "{names:?}");
            drop((manager, second));
            disk.crash(&mut Rng::new(seed));
            assert_eq!(log(&open(&disk), "a", id_of("y")).log_end_offset(), 1);
            if is_over {
                assert!(call > 8, "{call}");
                break;
            }
        }
    }
}
