use super::*;
use crate::env::Env;
use crate::types::Rng;

const DATE: &str = "Thu Jan 01 00:00:00 UTC 1970";

fn meta(node_id: NodeId, id: u128) -> MetaProperties {
    MetaProperties { cluster_id: "a-cluster".to_owned(), node_id, directory_id: Some(Uuid::from_u128(id)) }
}

struct Dirs {
    env: Env,
    root: tempfile::TempDir,
}

impl Dirs {
    fn new() -> Dirs {
        Dirs { env: Env::os(), root: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.root.path().join(name);
        self.env.disk.create_dir_all(&path).expect("made");
        path
    }

    fn formatted(&self, name: &str, meta: &MetaProperties) -> PathBuf {
        let path = self.path(name);
        meta.write(&*self.env.disk, &path, DATE).expect("written");
        path
    }

    fn load(&self, dirs: &[PathBuf], cluster_id: Option<&str>) -> Result<Ensemble, String> {
        Ensemble::load(&*self.env.disk, dirs, 1, cluster_id).map_err(|e| e.to_string())
    }
}

#[test]
fn what_is_written_is_read_back() {
    let dirs = Dirs::new();
    let path = dirs.formatted("a", &meta(1, 1 << 100));
    assert_eq!(MetaProperties::read(&*dirs.env.disk, &path).expect("read"), Some(meta(1, 1 << 100)));
    let ensemble =
        dirs.load(&[path, dirs.path("b"), dirs.root.path().join("none")], Some("a-cluster")).expect("fits");
    assert_eq!((ensemble.formatted.len(), ensemble.empty.len()), (1, 2));
    assert_eq!(ensemble.cluster_id(), Some("a-cluster"));
}

#[test]
fn directories_that_do_not_belong_together_are_refused() {
    let dirs = Dirs::new();
    let a = dirs.formatted("a", &meta(1, 1 << 100));
    assert!(
        dirs.load(std::slice::from_ref(&a), Some("other"))
            .expect_err("cluster")
            .contains("expected other, but read a-cluster")
    );
    let node = dirs.formatted("b", &meta(2, 2 << 100));
    assert!(dirs.load(&[a.clone(), node], None).expect_err("node").contains("Stored node id 2"));
    let copy = dirs.formatted("c", &meta(1, 1 << 100));
    assert!(dirs.load(&[a.clone(), copy], None).expect_err("copy").contains("one is a copy of the other"));
    let foreign = MetaProperties { cluster_id: "x".to_owned(), ..meta(1, 3 << 100) };
    let foreign = dirs.formatted("d", &foreign);
    assert!(dirs.load(&[a, foreign], None).expect_err("cluster").contains("Invalid cluster.id"));
}

#[test]
fn files_that_say_too_little_are_refused() {
    let dirs = Dirs::new();
    let path = dirs.path("a");
    for (content, expected) in [
        ("version=0\nbroker.id=1", "ZooKeeper"),
        ("broker.id=1", "ZooKeeper"),
        ("version=7", "version is 7"),
        ("version=1\nnode.id=1", "cluster.id was not found"),
        ("version=1\ncluster.id=a\nnode.id=x", "node.id was not found"),
        (
            "version=1\ncluster.id=a\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA",
            "not the id of a directory",
        ),
        ("version=1\ncluster.id=a\nnode.id=1\ndirectory.id=x", "not the id of a directory"),
    ] {
        replace_file(&*dirs.env.disk, &path.join(META_PROPERTIES), content.as_bytes()).expect("written");
        let error = dirs.load(std::slice::from_ref(&path), None).expect_err(expected);
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    assert!(dirs.load(&[path.join(META_PROPERTIES)], None).expect_err("a file").contains("not a directory"));
}

#[test]
fn only_untouched_directories_count_as_new() {
    let dirs = Dirs::new();
    let disk = &*dirs.env.disk;
    assert!(is_untouched(disk, &dirs.root.path().join("none")).expect("looked"));
    let path = dirs.path("a");
    replace_file(disk, &path.join(".lock"), b"").expect("written");
    assert!(is_untouched(disk, &path).expect("looked"));
    replace_file(disk, &path.join("x"), b"").expect("written");
    assert!(!is_untouched(disk, &path).expect("looked"));
    assert!(new_directory_id(&mut Rng::new(1), &Ensemble::default()).as_u128() >= RESERVED_IDS);
}
