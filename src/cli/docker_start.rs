//! `ottla docker-start`: a node as Kafka's container image starts one, from `KAFKA_…` variables.
//!
//! The same as `/etc/kafka/docker/run` in Kafka's image, and done when the program is called by that name. Settings come from,
//! the later wins: `/mnt/shared/config/server.properties` if it is mounted; the environment, where `KAFKA_NODE_ID` means
//! `node.id` (`__` stands for `_` and `___` for `-`); `KEY=VALUE` arguments, which are variables too. If there are none, the image's own
//! single node serves on localhost:9092. Directories are formatted at the first start, for `CLUSTER_ID`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{CliError, Environment, read_properties, start};
use crate::config::property::one_line;
use crate::config::{Props, Setup};
use crate::env::Env;

/// What the image is asked for by name.
pub(super) const CALLED: &str = "/etc/kafka/docker/run";
/// Where a configuration may be mounted.
const MOUNTED: &str = "/mnt/shared/config/server.properties";
/// The cluster that a node belongs to if nothing is said, as in Kafka's image.
const CLUSTER_ID: &str = "5L6g3nShT-eMCtK--X86sw";
/// Beginnings of variables that state settings; the first that fits counts. The longer one is that of another known image.
const PREFIXES: [&str; 2] = ["KAFKA_CFG_", "KAFKA_"];
/// Variables that are for the image's scripts and for Java.
const NO_SETTINGS: [&str; 12] = [
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_KRAFT_CLUSTER_ID",
];
/// What the image does if nothing is stated. None of it counts beside anything that is.
const DEFAULTS: [(&str, &str); 16] = [
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.quorum.voters", "1@localhost:9093"),
    ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
    ("advertised.listeners", "PLAINTEXT://localhost:9092"),
    ("inter.broker.listener.name", "PLAINTEXT"),
    ("controller.listener.names", "CONTROLLER"),
    ("log.dirs", "/tmp/kraft-combined-logs"),
    ("num.partitions", "1"),
    ("num.recovery.threads.per.data.dir", "2"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("log.retention.hours", "168"),
];

/// What may be said to `ottla docker-start`.
#[derive(Args, Clone, Debug, Default)]
pub struct DockerStartArgs {
    /// Variables that win over the environment, as KAFKA_NODE_ID=2
    #[arg(value_name = "KEY=VALUE")]
    pub variables: Vec<String>,
}

/// Runs a node until it is told to stop.
pub(super) fn run(
    env: &Env,
    args: &DockerStartArgs,
    environment: &Environment,
) -> Result<ExitCode, CliError> {
    let environment = with_arguments(args, environment)?;
    super::logging::init(None, &environment, Arc::clone(&env.clock)).map_err(CliError::Other)?;
    start::run_node(env, &prepare(env, &environment, Path::new(MOUNTED))?)
}

fn with_arguments(args: &DockerStartArgs, environment: &Environment) -> Result<Environment, CliError> {
    let mut environment = environment.clone();
    for text in &args.variables {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            CliError::Other(format!("Invalid argument {}: it is KEY=VALUE", one_line(text)))
        })?;
        environment.insert(key.to_owned(), value.to_owned());
    }
    Ok(environment)
}

/// Everything a node needs, from the environment and from the file that may be mounted at `mounted`.
pub fn prepare(env: &Env, environment: &Environment, mounted: &Path) -> Result<Setup, CliError> {
    let stated = stated(environment)?;
    let file = env.disk.metadata(mounted).is_ok();
    let mut all = match file {
        true => read_properties(env, mounted, environment)?,
        false if stated.is_empty() => {
            DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        }
        false => Props::new(),
    };
    all.extend(stated);
    complete(&mut all);
    let cluster_id = ["CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"];
    let cluster_id = cluster_id.iter().filter_map(|name| environment.get(*name)).map(|id| id.trim());
    let cluster_id = cluster_id.into_iter().find(|id| !id.is_empty()).unwrap_or(CLUSTER_ID);
    start::assemble(env, all.clone(), &all, Some(cluster_id), false)
}

/// The settings that the environment states.
fn stated(environment: &Environment) -> Result<Props, CliError> {
    let mut stated = Props::new();
    // The environment is ordered, and so KAFKA_CFG_X comes before KAFKA_X, which wins.
    let variables = environment.iter().filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str()));
    for (name, value) in variables {
        if let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            stated.insert(key_of(rest), value.clone());
        }
    }
    let is_controller_only = stated.get("process.roles").is_some_and(|roles| roles.trim() == "controller");
    if is_controller_only && stated.contains_key("advertised.listeners") {
        return Err(CliError::Other(
            "KAFKA_ADVERTISED_LISTENERS is not for a node that is a controller only".to_owned(),
        ));
    }
    Ok(stated)
}

/// `NODE_ID` is `node.id`; of underscores two stand for one, and three for a hyphen.
fn key_of(name: &str) -> String {
    let mut key = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('_') {
        key.push_str(&rest[..at]);
        rest = &rest[at..];
        let count = rest.len() - rest.trim_start_matches('_').len();
        let (separator, taken) = match count {
            1 => ('.', 1),
            2 => ('_', 2),
            _ => ('-', 3),
        };
        key.push(separator);
        rest = &rest[taken..];
    }
    key.push_str(rest);
    key.to_lowercase()
}

/// Listeners follow from what is advertised, where only that is stated: on every address.
fn complete(all: &mut Props) {
    let derived = match (all.get("listeners"), all.get("advertised.listeners")) {
        (None, Some(advertised)) => advertised.split(',').map(on_every_address).collect::<Vec<_>>().join(","),
        _ => return,
    };
    all.insert("listeners".to_owned(), derived);
}

/// `PLAINTEXT://broker-1:9092` as `PLAINTEXT://0.0.0.0:9092`.
fn on_every_address(listener: &str) -> String {
    let parts = listener.split_once("://").and_then(|(name, address)| {
        let (_, port) = address.rsplit_once(':')?;
        Some(format!("{}://0.0.0.0:{port}", name.trim()))
    });
    // What cannot be read is left for the check of the configuration to name.
    parts.unwrap_or_else(|| listener.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn names_of_variables_are_those_of_settings() {
        for (name, key) in [
            ("NODE_ID", "node.id"),
            ("LISTENER_NAME_TC-0_SSL_KEY__PASSWORD", "listener.name.tc-0.ssl.key_password"),
            ("A___B__C_D", "a-b_c.d"),
            ("PLAIN", "plain"),
        ] {
            assert_eq!(key_of(name), key);
        }
        let stated = stated(&environment(&[
            ("KAFKA_HEAP_OPTS", "-Xmx1G"),
            ("KAFKA_CFG_NODE_ID", "7"),
            ("KAFKA_CFG_NUM_PARTITIONS", "3"),
            ("KAFKA_NODE_ID", "8"),
            ("PATH", "/bin"),
        ]));
        let stated = stated.expect("settings");
        let expected = [("node.id", "8"), ("num.partitions", "3")];
        assert_eq!(stated, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn a_container_is_what_its_environment_says() {
        let (env, dir) = (Env::os(), tempfile::tempdir().expect("a directory"));
        let data = dir.path().join("data").display().to_string();
        let none = dir.path().join("none");
        let pairs = [
            ("KAFKA_NODE_ID", "2"),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker-2:9092"),
            ("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@broker-1:9093,2@broker-2:9093,3@broker-3:9093"),
            ("KAFKA_LOG_DIRS", data.as_str()),
        ];
        let setup = prepare(&env, &environment(&pairs), &none).expect("a node");
        assert_eq!((setup.config.node_id, setup.cluster_id.as_str()), (2, CLUSTER_ID));
        assert!(!setup.developer && setup.warnings.is_empty(), "{:?}", setup.warnings);
        assert_eq!(setup.config.offsets_topic_replication_factor, 3, "the image's own settings do not count");
        // Started again, and with a file beside the environment, which wins.
        let mounted = dir.path().join("server.properties");
        let text = b"num.partitions=5\nnode.id=9\n";
        crate::env::disk::replace_file(&*env.disk, &mounted, text).expect("written");
        let again = prepare(&env, &environment(&pairs), &mounted).expect("the same node");
        assert_eq!((again.config.num_partitions, again.config.node_id), (5, 2));
        assert_eq!(again.log_directories, setup.log_directories);

        let mut other = environment(&pairs);
        other.insert("CLUSTER_ID".to_owned(), "AAAAAAAAQACAAAAAAAAAAQ".to_owned());
        let refused = prepare(&env, &other, &none).map(|_| ()).expect_err("another cluster");
        assert!(refused.to_string().contains("cluster.id"), "{refused}");
    }

    #[test]
    fn listeners_follow_from_what_is_advertised_and_controllers_advertise_nothing() {
        let mut all: Props = [("advertised.listeners".to_owned(), "A://[::1]:1, B://b:2".to_owned())].into();
        complete(&mut all);
        assert_eq!(all["listeners"], "A://0.0.0.0:1,B://0.0.0.0:2");
        let pairs = [("KAFKA_PROCESS_ROLES", "controller"), ("KAFKA_ADVERTISED_LISTENERS", "A://a:1")];
        assert!(stated(&environment(&pairs)).is_err());
        let args = DockerStartArgs { variables: vec!["KAFKA_NODE_ID=4".to_owned()] };
        let with = with_arguments(&args, &environment(&[("KAFKA_NODE_ID", "3")])).expect("variables");
        assert_eq!(with["KAFKA_NODE_ID"], "4");
    }
}
