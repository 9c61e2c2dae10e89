use super::*;
use crate::config::Durability;
use crate::config::directories::MetaProperties;
use crate::env::disk::replace_file;
use crate::metadata::checkpoint_file::{BOOTSTRAP_FILE, Checkpoint};

struct Machine {
    env: Env,
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine { env: Env::os(), root: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        self.env.disk.create_dir_all(path.parent().expect("a parent")).expect("made");
        replace_file(&*self.env.disk, &path, content.as_bytes()).expect("written");
        path
    }

    fn config(&self, more: &str) -> PathBuf {
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n\
             listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\n{more}",
            self.path("data").display()
        );
        self.write("server.properties", &text)
    }

    fn environment(&self) -> Environment {
        Environment::from([("HOME".to_owned(), self.root.path().display().to_string())])
    }

    fn prepare(&self, args: &StartArgs) -> Result<Setup, String> {
        prepare(&self.env, args, &self.environment()).map_err(|e| e.to_string())
    }

    fn with_config(&self, more: &str) -> Result<Setup, String> {
        self.prepare(&StartArgs { config: Some(self.config(more)), ..StartArgs::default() })
    }
}

#[test]
fn without_configuration_there_is_a_developers_node() {
    let machine = Machine::new();
    let first = machine.prepare(&StartArgs::default()).expect("a node");
    let config = &first.config;
    assert_eq!(config.advertised_listeners[0].to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(config.listeners[0].host.as_deref(), Some("127.0.0.1"));
    assert_eq!(config.acks_all_durability, Durability::Replicated);
    assert_eq!((config.offsets_topic_replication_factor, config.group_initial_rebalance_delay_ms), (1, 0));
    assert!(first.developer && first.warnings.is_empty(), "{:?}", first.warnings);
    assert_eq!(first.log_directories[0].path, machine.path(".local/share/ottla"));
    for part in ["localhost:9092", ".local/share/ottla", "replicated"] {
        assert!(first.banner().contains(part), "{}", first.banner());
    }
    // What was formatted stays.
    let again = machine.prepare(&StartArgs::default()).expect("the same node");
    assert_eq!((again.cluster_id, again.log_directories), (first.cluster_id, first.log_directories));
}

#[test]
fn options_win_over_the_file_and_over_the_defaults() {
    let machine = Machine::new();
    let args = StartArgs {
        port: Some(31310),
        data_dir: Some(machine.path("d")),
        overrides: vec!["num.partitions=7".to_owned(), "num.io.threads=3".to_owned(), "my.key=1".to_owned()],
        ..StartArgs::default()
    };
    let setup = machine.prepare(&args).expect("a node");
    assert_eq!(setup.config.controller_listeners[0].port, 31311);
    assert_eq!((setup.config.num_partitions, &setup.log_directories[0].path), (7, &machine.path("d")));
    assert_eq!(setup.warnings.len(), 2);
    assert!(setup.warnings[0].contains("Unknown configuration my.key"));
    assert!(setup.warnings[1].starts_with("Configuration num.io.threads has no effect: "));

    let args = StartArgs {
        config: Some(machine.config("num.partitions=2\nzookeeper.connect=z")),
        overrides: vec!["num.partitions=3".to_owned()],
        ..StartArgs::default()
    };
    let setup = machine.prepare(&args).expect("a node");
    assert_eq!((setup.config.num_partitions, setup.config.offsets_topic_replication_factor), (3, 3));
    assert!(!setup.developer && setup.warnings[0].contains("ZooKeeper"));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let machine = Machine::new();
    for (more, expected) in [
        ("num.partitions=0", "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        (
            "listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:PLAINTEXT",
            "SSL is not served yet; PLAINTEXT is allowed",
        ),
        ("node.id=", "Not a number of type INT"),
        (
            "controller.quorum.voters=\ncontroller.quorum.bootstrap.servers=localhost:9093,other:9093",
            "give every node the same --cluster-id",
        ),
        ("controller.quorum.voters=1@localhost:9093,2@other:9093", "give every node the same --cluster-id"),
        ("segment.bytes=1\nlog.segment.bytes=1", "at least 1048576 (allowed: INT [1048576,...])"),
        ("a=\\u00", "malformed"),
    ] {
        let error = machine.with_config(more).expect_err(expected);
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let missing = StartArgs { config: Some(machine.path("none")), ..StartArgs::default() };
    assert!(machine.prepare(&missing).expect_err("no file").contains("Cannot read"));
    let args = StartArgs { overrides: vec!["x".to_owned()], ..StartArgs::default() };
    assert!(machine.prepare(&args).expect_err("no value").contains("--override: it is KEY=VALUE"));
    let args = StartArgs { port: Some(65535), ..StartArgs::default() };
    assert!(machine.prepare(&args).expect_err("no port").contains("--port"));
}

#[test]
fn foreign_directories_are_refused() {
    let machine = Machine::new();
    machine.write("data/holiday.jpg", "x");
    assert!(machine.with_config("").expect_err("foreign").contains("not a Kafka data directory"));

    let machine = Machine::new();
    machine.write("data", "x");
    assert!(machine.with_config("").expect_err("a file").contains("not a directory"));

    let machine = Machine::new();
    machine.with_config("").expect("formatted");
    let args = StartArgs {
        config: Some(machine.config("")),
        cluster_id: Some("other".into()),
        ..StartArgs::default()
    };
    assert!(machine.prepare(&args).expect_err("cluster").contains("Invalid cluster.id: expected other"));
    let _held = machine.env.disk.lock(&machine.path("data/.lock")).expect("free");
    assert!(machine.with_config("").expect_err("in use").contains("in another process"));
}

#[test]
fn a_directory_of_kafkas_storage_tool_keeps_its_ids() {
    let machine = Machine::new();
    machine.write(
        "data/meta.properties",
        include_str!("../../tests/fixtures/storage-tool/static.meta.properties"),
    );
    let bootstrap = include_bytes!("../../tests/fixtures/storage-tool/static.bootstrap.checkpoint");
    let path = machine.path("data").join(BOOTSTRAP_FILE);
    replace_file(&*machine.env.disk, &path, bootstrap).expect("written");
    let setup = machine.with_config("").expect("Kafka's directory");
    assert_eq!(setup.cluster_id, "AAAAAAAAQACAAAAAAAAAAQ");
    let own = MetaProperties::read(&*machine.env.disk, &machine.path("data")).expect("read").expect("there");
    assert_eq!(Some(setup.metadata_directory.id), own.directory_id);
    let kept = crate::env::disk::read_file(&*machine.env.disk, &path, 1 << 20).expect("read");
    assert_eq!(kept, bootstrap);
}

#[test]
fn new_directories_join_formatted_ones() {
    let machine = Machine::new();
    let first = machine.with_config("").expect("formatted");
    let dirs = format!("log.dirs={},{}", machine.path("data").display(), machine.path("more").display());
    let both = machine.with_config(&dirs).expect("grown");
    assert_eq!(both.cluster_id, first.cluster_id);
    assert_eq!(both.log_directories[0], first.log_directories[0]);
    assert_ne!(both.log_directories[1].id, both.log_directories[0].id);
    let bootstrap =
        crate::env::disk::read_file(&*machine.env.disk, &machine.path("more").join(BOOTSTRAP_FILE), 1 << 20);
    assert!(
        Checkpoint::parse(&bootstrap.expect("read").into()).expect("ours").feature_level("metadata.version")
            >= 30
    );
}
