use super::*;
use crate::env::disk::{read_file, replace_file};

fn path(text: &str) -> &Path {
    Path::new(text)
}

#[test]
fn what_was_synced_survives_every_crash() {
    for seed in 0..200 {
        let (disk, mut rng) = (SimDisk::new(), Rng::new(seed));
        disk.create_dir_all(path("/a")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        let file = disk.open(path("/a/f"), OpenMode::CreateNew).unwrap();
        file.write_at(0, &[IoSlice::new(&[1; 3000])]).unwrap();
        file.sync().unwrap();
        disk.sync_dir(path("/a")).unwrap();
        file.write_at(3000, &[IoSlice::new(&[2; 3000])]).unwrap();
        disk.crash(&mut rng);
        assert!(file.sync().is_err(), "handles die");
        let back = read_file(&disk, path("/a/f"), 10_000).unwrap();
        assert_eq!(&back[..3000], &[1; 3000][..]);
        assert!(back[3000..].iter().all(|&b| b == 2 || b == 0));
    }
}

#[test]
fn unsynced_writes_and_names_are_lost_kept_and_torn() {
    let (mut lost, mut whole, mut torn) = (0, 0, 0);
    for seed in 0..300 {
        let (disk, mut rng) = (SimDisk::new(), Rng::new(seed));
        let file = disk.open(path("/f"), OpenMode::CreateNew).unwrap();
        file.write_at(0, &[IoSlice::new(&[7; 4000])]).unwrap();
        disk.crash(&mut rng);
        match read_file(&disk, path("/f"), 10_000) {
            Err(_) => lost += 1,
            Ok(back) if back == [7; 4000] => whole += 1,
            Ok(_) => torn += 1,
        }
    }
    assert!(lost > 20 && whole > 20 && torn > 20, "{lost} {whole} {torn}");
}

#[test]
fn a_replaced_file_is_old_or_new_at_every_call() {
    for call in 1.. {
        let (disk, mut rng) = (SimDisk::new(), Rng::new(call));
        replace_file(&disk, path("/c"), b"old").unwrap();
        disk.lose_power_at(disk.calls() + call);
        let done = replace_file(&disk, path("/c"), b"newer").is_ok();
        if done {
            break;
        }
        disk.crash(&mut rng);
        let back = read_file(&disk, path("/c"), 100).unwrap();
        assert!(back == b"old" || back == b"newer", "{back:?}");
    }
}

#[test]
fn a_full_disk_takes_a_part() {
    let disk = SimDisk::new();
    disk.set_capacity(Some(10));
    let file = disk.open(path("/f"), OpenMode::CreateNew).unwrap();
    let error = file.write_at(0, &[IoSlice::new(&[1; 12])]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 10);
    file.set_len(0).unwrap();
    file.write_at(0, &[IoSlice::new(&[1; 10])]).unwrap();
}

#[test]
fn after_a_failed_sync_the_next_one_lies() {
    let (disk, mut rng) = (SimDisk::new(), Rng::new(1));
    let file = disk.open(path("/f"), OpenMode::CreateNew).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk.inject(Fault { path_contains: "/f".into(), call: Call::Sync, after: 0, times: 1 });
    file.write_at(0, &[IoSlice::new(b"x")]).unwrap();
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok());
    disk.crash(&mut rng);
    assert_eq!(read_file(&disk, path("/f"), 10).unwrap(), b"");
}

#[test]
fn one_lock_until_the_process_dies() {
    let disk = SimDisk::new();
    let held = disk.lock(path("/.lock")).unwrap();
    assert_eq!(disk.lock(path("/.lock")).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    disk.kill();
    let again = disk.lock(path("/.lock")).unwrap();
    drop(held);
    assert!(disk.lock(path("/.lock")).is_err());
    drop(again);
}

#[test]
fn a_sector_with_a_later_write_has_those_before_it() {
    let (mut both, mut first, mut none) = (0, 0, 0);
    for seed in 0..200 {
        let (disk, mut rng) = (SimDisk::new(), Rng::new(seed));
        let file = disk.open(path("/f"), OpenMode::CreateNew).unwrap();
        disk.sync_dir(path("/")).unwrap();
        file.write_at(0, &[IoSlice::new(&[1; 600])]).unwrap();
        file.write_at(600, &[IoSlice::new(&[2; 200])]).unwrap();
        disk.crash(&mut rng);
        let mut found = read_file(&disk, path("/f"), 1000).unwrap();
        found.resize(800, 0);
        match (found[599], found[600]) {
            (1, 2) => both += 1,
            (1, 0) => first += 1,
            (0, 0) => none += 1,
            other => panic!("seed {seed}: {other:?}"),
        }
        assert!(found[..512].iter().all(|&b| b == found[0]), "one sector of one write");
    }
    assert!(both > 20 && first > 5 && none > 20, "{both} {first} {none}");
}
