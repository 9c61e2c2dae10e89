use super::*;
use crate::config::Layers;
use crate::env::disk::read_file;

struct Machine {
    env: Env,
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine { env: Env::os(), root: tempfile::tempdir().expect("a directory") }
    }

    fn config(&self, voters: bool) -> BrokerConfig {
        let dir = self.root.path().join("data");
        let quorum = if voters { "controller.quorum.voters" } else { "controller.quorum.bootstrap.servers" };
        let address = if voters { "1@127.0.0.1:31301" } else { "127.0.0.1:31301" };
        let props = [
            ("process.roles", "broker,controller"),
            ("node.id", "1"),
            (quorum, address),
            ("listeners", "PLAINTEXT://127.0.0.1:31300,CONTROLLER://127.0.0.1:31301"),
            ("controller.listener.names", "CONTROLLER"),
            ("log.dirs", dir.to_str().expect("UTF-8")),
        ];
        let props = props.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        BrokerConfig::new(&Layers::new(props)).expect("valid")
    }

    fn format(&self, config: &BrokerConfig, options: &FormatOptions) -> Result<Vec<String>, String> {
        let mut said = Vec::new();
        format(&self.env, config, options, &mut |line| said.push(line)).map_err(|e| e.to_string())?;
        Ok(said)
    }

    fn checkpoint(&self, name: &str) -> Checkpoint {
        let path = self.root.path().join("data").join(name);
        let bytes = read_file(&*self.env.disk, &path, 1 << 20).expect("read");
        Checkpoint::parse(&bytes.into()).expect("our own file")
    }
}

fn options() -> FormatOptions {
    FormatOptions::new("AAAAAAAAQACAAAAAAAAAAQ")
}

fn fixture(name: &str) -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/storage-tool").join(name);
    let bytes = read_file(&*Env::os().disk, &path, 1 << 20).expect("a fixture");
    Checkpoint::parse(&bytes.into()).expect("Kafka's file")
}

#[test]
fn the_files_are_those_of_kafkas_tool() {
    let machine = Machine::new();
    let alice = "SCRAM-SHA-256=[name=alice,iterations=4096,salt=\"N3E=\",password=alice-secret]".to_owned();
    let static_voters =
        FormatOptions { scram: vec![alice], release_version: Some("4.3".to_owned()), ..options() };
    let said = machine.format(&machine.config(true), &static_voters).expect("formatted");
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("Formatting metadata directory ")
            && said[0].ends_with("metadata.version 4.3-IV0.")
    );
    assert_eq!(machine.checkpoint(BOOTSTRAP_FILE), fixture("static.bootstrap.checkpoint"));

    let machine = Machine::new();
    let release_version = Some("4.0".to_owned());
    let standalone = FormatOptions { release_version, voters: Voters::Standalone, ..options() };
    let said = machine.format(&machine.config(false), &standalone).expect("formatted");
    assert!(said[0].starts_with("Formatting dynamic metadata voter directory "), "{said:?}");
    assert_eq!(machine.checkpoint(BOOTSTRAP_FILE), fixture("standalone.bootstrap.checkpoint"));
    let [dir, file] = QUORUM_SNAPSHOT;
    let (ours, kafkas) =
        (machine.checkpoint(&format!("{dir}/{file}")), fixture("standalone.quorum.checkpoint"));
    assert_eq!(ours.kraft_version, kafkas.kraft_version);
    let (mut ours, kafkas) = (ours.voters.expect("voters"), kafkas.voters.expect("voters"));
    let data = machine.root.path().join("data");
    let meta = MetaProperties::read(&*machine.env.disk, &data).expect("read").expect("there");
    assert_eq!(meta.directory_id, Some(ours.voters[0].voter_directory_id));
    ours.voters[0].voter_directory_id = kafkas.voters[0].voter_directory_id;
    assert_eq!(ours, kafkas);
}

#[test]
fn a_formatted_directory_is_not_formatted_again() {
    let machine = Machine::new();
    let config = machine.config(true);
    machine.format(&config, &options()).expect("formatted");
    assert!(machine.format(&config, &options()).expect_err("again").contains("is already formatted"));
    let ignore = FormatOptions { ignore_formatted: true, ..options() };
    assert_eq!(
        machine.format(&config, &ignore),
        Ok(vec!["All of the log directories are already formatted.".into()])
    );
    let other = FormatOptions { cluster_id: "other".to_owned(), ..ignore };
    assert!(machine.format(&config, &other).expect_err("another cluster").contains("Invalid cluster.id"));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let machine = Machine::new();
    let feature = |name: &str, level| FormatOptions { features: vec![(name.to_owned(), level)], ..options() };
    let cases = [
        (true, FormatOptions { cluster_id: " ".to_owned(), ..options() }, "specify the cluster id"),
        (false, options(), "--standalone, --initial-controllers, or --no-initial-controllers"),
        (
            true,
            FormatOptions { release_version: Some("9".into()), ..options() },
            "Unknown release version '9'",
        ),
        (
            true,
            FormatOptions { release_version: Some("4.0".into()), ..feature("metadata.version", 20) },
            "ambiguity",
        ),
        (true, feature("metadata.version", 99), "Unknown release version"),
        (true, feature("nope", 1), "Unsupported feature: nope"),
        (true, feature("kraft.version", 1), "unless KIP-853 configuration is present"),
        (true, FormatOptions { voters: Voters::Standalone, ..feature("kraft.version", 0) }, "if KIP-853"),
        (true, FormatOptions { scram: vec!["x".into()], ..options() }, "equals sign"),
        (
            true,
            FormatOptions { scram: vec!["x".into()], ..feature("metadata.version", 8) },
            "SCRAM is only supported",
        ),
        (
            false,
            FormatOptions { voters: Voters::Initial("1@h:1".into()), ..options() },
            "id@hostname:port:directory-id",
        ),
        (false, FormatOptions { voters: Voters::Initial(" ".into()), ..options() }, "No initial controllers"),
    ];
    for (voters, options, expected) in cases {
        let error = machine.format(&machine.config(voters), &options).expect_err(expected);
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    assert!(!machine.env.disk.exists(&machine.root.path().join("data")));
}

#[test]
fn initial_controllers_are_kept_by_id() {
    let list = "2@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A,0@example.com:8082:JEXY6aqzQY-32P5TStzaFg";
    let voters = parse_initial(list, "CONTROLLER").expect("valid");
    assert_eq!(voters.iter().map(|v| v.voter_id).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(voters[1].endpoints[0].host, "::1");
    assert!(parse_initial(&format!("{list},0@x:1:07R5amHmR32VDA6jHkGbTA"), "C").is_err());
}

#[test]
fn dates_look_as_in_java() {
    assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
    assert_eq!(java_date(1_795_188_572_000), "Fri Nov 20 15:29:32 UTC 2026");
}
