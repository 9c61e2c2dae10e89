//! `ottla start`: from arguments to everything a node needs to run.
//!
//! With `--config` the node is what Kafka's file says; overrides win over it. Without, it is a developer's single node
//! on localhost:9092 that formats itself and keeps its data. Whatever is wrong is one line, before anything runs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::format::{FormatOptions, Voters, format};
use super::{CliError, Environment, read_properties, warnings};
use crate::config::directories::{DirectoryError, Ensemble, is_untouched};
use crate::config::property::one_line;
use crate::config::{BrokerConfig, ConfigError, Layers, LogDirectory, Props, SecurityProtocol, Setup};
use crate::env::disk::OpenMode;
use crate::env::{Env, Tasks, Threads};
use crate::node::{Node, READY_LINE};
use crate::types::uuid_to_base64;

/// How long calls that block may go on after the node has stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Port of the node without configuration.
const PORT: u16 = 9092;
/// Name of the file that whoever works on a directory has locked.
const LOCK_FILE: &str = ".lock";

/// Threads beyond one for each processor. Appends are made where their requests are read, and a write to a file may be
/// held up: for the journal, for memory, for the disk. With as many threads as processors two such writes hold up every
/// connection; on two processors two more took the 99th percentile of produces from 5 to 3.5 ms at the same cost.
const SPARE_THREADS: usize = 2;

/// Threads for what is vital. One of them may be busy with a change of the metadata for a while; the others go on, also
/// with what it has woken, since no thread keeps the task that is next for itself.
const VITAL_THREADS: usize = 2;

/// What may be said to `ottla start`.
#[derive(Args, Clone, Debug, Default)]
pub struct StartArgs {
    /// Kafka's server.properties
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A key and its value; wins over the file
    #[arg(short, long = "override", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Directory for the data, in place of log.dirs
    #[arg(short, long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Port for clients, the next one is for the controller; only without --config
    #[arg(short, long, conflicts_with = "config")]
    pub port: Option<u16>,
    /// Id of the cluster, where the directories are not formatted yet; also $CLUSTER_ID
    #[arg(short = 't', long, value_name = "ID")]
    pub cluster_id: Option<String>,
    /// What to log, such as debug or info,ottla::storage=trace; also $OTTLA_LOG
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// Runs a node until it is told to stop.
pub(super) fn run(env: &Env, args: &StartArgs, environment: &Environment) -> Result<ExitCode, CliError> {
    super::logging::init(args.log.as_deref(), environment, Arc::clone(&env.clock))
        .map_err(CliError::Other)?;
    run_node(env, &prepare(env, args, environment)?)
}

/// Runs the node of `setup` until it is told to stop.
pub(super) fn run_node(env: &Env, setup: &Setup) -> Result<ExitCode, CliError> {
    for warning in &setup.warnings {
        tracing::warn!("{warning}");
    }
    let no_threads = |e: io::Error| CliError::Other(format!("cannot start threads: {e}"));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors + SPARE_THREADS)
        .enable_all()
        .thread_name("ottla")
        .build()
        .map_err(no_threads)?;
    // Quorum and heartbeats: where requests keep every other thread busy, these do not wait for their turn.
    let vital = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(VITAL_THREADS)
        .disable_lifo_slot()
        .enable_all()
        .thread_name("ottla-vital")
        .build()
        .map_err(no_threads)?;
    let threads = Threads { main: runtime.handle().clone(), vital: vital.handle().clone() };
    let env = Env { tasks: Tasks::os_on(threads), ..env.clone() };
    let outcome = runtime.block_on(serve(&env, setup));
    // What still blocks (a removal of files, say) must not hold up the end.
    runtime.shutdown_timeout(STOP_PATIENCE);
    vital.shutdown_timeout(STOP_PATIENCE);
    outcome
}

/// Runs the node until it is told to stop, or cannot go on.
async fn serve(env: &Env, setup: &Setup) -> Result<ExitCode, CliError> {
    // Signals that come from here on are not lost.
    let signal = |kind| signal(kind).map_err(|e| CliError::Other(format!("cannot wait for signals: {e}")));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    println!("{}", setup.banner());
    let node = tokio::select! {
        biased;
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
        started = Node::start(env, setup) => started.map_err(|e| CliError::Other(e.to_string()))?,
    };
    tracing::info!("{READY_LINE}");
    let failure = tokio::select! {
        biased;
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        why = node.failed() => Some(why),
    };
    if let Some(why) = failure {
        return Err(CliError::Other(format!("the node cannot go on: {why}")));
    }
    tracing::info!("stopping");
    match node.stop().await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(fault) => Err(CliError::Other(format!("the node did not stop in order: {fault}"))),
    }
}

/// Checks configuration and directories, and formats new directories of a node that is a quorum by itself.
pub fn prepare(env: &Env, args: &StartArgs, environment: &Environment) -> Result<Setup, CliError> {
    let (props, stated) = properties(env, args, environment)?;
    let given = args.cluster_id.as_deref().or(environment.get("CLUSTER_ID").map(String::as_str));
    let given = given.map(str::trim).filter(|id| !id.is_empty());
    assemble(env, props, &stated, given, args.config.is_none())
}

/// Everything a node needs, from all of its settings, those of them that somebody stated, and its cluster's id if that is
/// given. `developer`: nobody has configured it.
pub(super) fn assemble(
    env: &Env,
    props: Props,
    stated: &Props,
    given: Option<&str>,
    developer: bool,
) -> Result<Setup, CliError> {
    let layers = Layers::new(props);
    let config = BrokerConfig::new(&layers)?;
    refuse_unserved(&config)?;
    let ensemble = open_directories(env, &config, given)?;
    let cluster_id = ensemble.cluster_id().unwrap_or_default().to_owned();
    let directory = |path: &Path| -> Result<LogDirectory, CliError> {
        let id = ensemble.formatted.get(path).and_then(|meta| meta.directory_id);
        let id = id.ok_or_else(|| {
            CliError::Other(format!("{} has no directory.id in meta.properties", path.display()))
        })?;
        Ok(LogDirectory { path: path.to_owned(), id })
    };
    let mut log_directories = Vec::new();
    for path in &config.log_dirs {
        log_directories.push(directory(path)?);
    }
    Ok(Setup {
        cluster_id,
        log_directories,
        metadata_directory: directory(&config.metadata_log_dir)?,
        developer,
        warnings: warnings(stated),
        config: Arc::new(config),
        layers,
    })
}

/// All settings, and those of them that somebody stated.
fn properties(env: &Env, args: &StartArgs, environment: &Environment) -> Result<(Props, Props), CliError> {
    let mut stated = match &args.config {
        Some(path) => read_properties(env, path, environment)?,
        None => Props::new(),
    };
    for text in &args.overrides {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            CliError::Other(format!(
                "Invalid value {} for option --override: it is KEY=VALUE",
                one_line(text)
            ))
        })?;
        stated.insert(key.trim().to_owned(), value.to_owned());
    }
    if let Some(dir) = &args.data_dir {
        let dir =
            dir.to_str().filter(|dir| !dir.contains(',') && !dir.trim().is_empty()).ok_or_else(|| {
                CliError::Other(format!(
                    "Invalid value {} for option --data-dir: a name in UTF-8 without commas is allowed",
                    dir.display()
                ))
            })?;
        stated.insert("log.dirs".to_owned(), dir.to_owned());
    }
    let mut all = match args.config {
        Some(_) => Props::new(),
        None => developer_defaults(args.port.unwrap_or(PORT), &default_data_dir(environment))?,
    };
    all.extend(stated.clone());
    Ok((all, stated))
}

/// What serves a developer: one node, nothing replicated, nothing to wait for.
fn developer_defaults(port: u16, data_dir: &Path) -> Result<Props, CliError> {
    let controller = match port {
        0 => 0,
        _ => port.checked_add(1).ok_or_else(|| {
            CliError::Other(format!(
                "Invalid value {port} for option --port: the controller needs the port after it"
            ))
        })?,
    };
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}");
    let advertised = format!("PLAINTEXT://localhost:{port}");
    let voters = format!("1@localhost:{controller}");
    let dir = data_dir.to_string_lossy().into_owned();
    let defaults = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("listeners", listeners.as_str()),
        ("advertised.listeners", advertised.as_str()),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", voters.as_str()),
        ("log.dirs", dir.as_str()),
        ("acks.all.durability", "replicated"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.num.partitions", "4"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
    ];
    Ok(defaults.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Where a developer's data is kept: the user's data directory, or below the working directory for want of a home.
fn default_data_dir(environment: &Environment) -> PathBuf {
    let set = |name: &str| environment.get(name).filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let user = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    user.map_or_else(|| PathBuf::from("ottla-data"), |dir| dir.join("ottla"))
}

/// A node that would promise more than it keeps must not start.
fn refuse_unserved(config: &BrokerConfig) -> Result<(), CliError> {
    let secure = config.listeners.iter().find(|e| e.protocol != SecurityProtocol::Plaintext);
    secure.map_or(Ok(()), |endpoint| {
        Err(CliError::Config(ConfigError::Value {
            key: "listeners".to_owned(),
            value: endpoint.to_string(),
            why: format!(
                "security protocol {} is not served yet; PLAINTEXT is allowed",
                endpoint.protocol.name()
            ),
        }))
    })
}

/// Looks at the directories, makes sure that they can be written, and formats those that are new.
fn open_directories(env: &Env, config: &BrokerConfig, given: Option<&str>) -> Result<Ensemble, CliError> {
    let disk = &*env.disk;
    let dirs = config.all_directories();
    let ensemble = Ensemble::load(disk, &dirs, config.node_id, given)?;
    for dir in &ensemble.empty {
        if !is_untouched(disk, dir)? {
            let why = "there are files but no meta.properties: this is not a Kafka data directory, or it was not formatted"
                .to_owned();
            return Err(DirectoryError::Foreign { path: dir.clone(), why }.into());
        }
    }
    if !ensemble.empty.is_empty() && given.is_none() && ensemble.formatted.is_empty() && !config.is_alone() {
        return Err(CliError::Other(format!(
            "No readable meta.properties files found in {}: run ottla format, or give every node the same --cluster-id",
            config.metadata_log_dir.display()
        )));
    }
    for dir in &dirs {
        check_usable(env, dir)?;
    }
    // An older Kafka gave its directories no ids, and Kafka gives them one at the next start.
    for (dir, meta) in ensemble.formatted.iter().filter(|(_, meta)| meta.directory_id.is_none()) {
        let mut meta = meta.clone();
        meta.directory_id =
            Some(crate::config::directories::new_directory_id(&mut env.seeds.rng(), &ensemble));
        meta.write(disk, dir, &super::format::java_date(env.clock.now()))?;
    }
    if !ensemble.empty.is_empty() {
        let known = given.or(ensemble.cluster_id()).map(str::to_owned);
        let cluster_id = known.unwrap_or_else(|| uuid_to_base64(env.seeds.rng().kafka_uuid()));
        let mut options = FormatOptions::new(cluster_id);
        options.ignore_formatted = true;
        if config.is_controller && config.controller_quorum_voters.is_empty() {
            options.voters = if config.is_alone() { Voters::Standalone } else { Voters::Join };
        }
        format(env, config, &options, &mut |line| tracing::info!("{line}"))?;
    }
    Ok(Ensemble::load(disk, &dirs, config.node_id, given)?)
}

/// Makes a directory if it is not there, and takes and gives back its lock: that needs the right to write, and nobody
/// else at work on it.
fn check_usable(env: &Env, dir: &Path) -> Result<(), CliError> {
    let io = |source| CliError::Directory(DirectoryError::io("Cannot write to", dir, source));
    env.disk.create_dir_all(dir).map_err(io)?;
    let lock = dir.join(LOCK_FILE);
    env.disk.open(&lock, OpenMode::Create).map_err(io)?;
    match env.disk.lock(&lock) {
        Ok(guard) => {
            drop(guard);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(DirectoryError::InUse(dir.to_owned()).into())
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
#[path = "start_test.rs"]
mod tests;
