//! `ottla dev-cluster`: a cluster of several nodes on this machine, each a process of its own, for trying and testing.
//!
//! Every node has a `server.properties` of its own in the cluster's directory, written once and then left as it is; so a
//! single node can be killed, and started again by `ottla start --config`, while the others run.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::CliError;
use crate::config::Props;
use crate::config::directories::{DirectoryError, MetaProperties};
use crate::config::file;
use crate::env::Env;
use crate::env::disk::replace_file;
use crate::node::READY_LINE;
use crate::types::uuid_to_base64;

/// The most nodes; more would only be in each other's way.
const NODES_MAX: u16 = 9;
/// The most controllers, which is what Kafka's users run at most.
const CONTROLLERS_MAX: u16 = 5;
/// Lines of the nodes that wait to be printed.
const LINES_MAX: usize = 256;

/// What may be said to `ottla dev-cluster`.
#[derive(Args, Clone, Debug)]
pub(super) struct DevClusterArgs {
    /// How many nodes
    #[arg(short, long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: u16,
    /// Port of the first node for clients; the others have those after it, then come those of the controllers
    #[arg(short, long, default_value_t = 9092)]
    port: u16,
    /// Directory of the cluster, with the files and the data of its nodes
    #[arg(short, long, value_name = "DIR", default_value = "ottla-cluster")]
    data_dir: PathBuf,
    /// A key and its value, for every node; only where the node has no file yet
    #[arg(short, long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Write the files of the nodes and start nothing
    #[arg(long)]
    prepare: bool,
    /// What to log, such as debug or info,ottla::storage=trace; also $OTTLA_LOG
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// One node of the cluster.
#[derive(Clone, Debug)]
struct Member {
    id: u16,
    port: u16,
    config: PathBuf,
    data: PathBuf,
}

/// Writes what is missing and runs the nodes until all have ended or this process is told to stop.
pub(super) fn run(env: &Env, args: &DevClusterArgs) -> Result<ExitCode, CliError> {
    let members = prepare(env, args)?;
    if args.prepare {
        members.iter().for_each(|member| println!("{}", member.config.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let cluster_id = cluster_id(env, &members)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::Other(format!("cannot start: {e}")))?;
    runtime.block_on(supervise(&members, &cluster_id, args))
}

/// Writes the files of the nodes that have none.
fn prepare(env: &Env, args: &DevClusterArgs) -> Result<Vec<Member>, CliError> {
    let last = args.port.checked_add(2 * args.nodes - 1);
    if args.port == 0 || last.is_none() {
        let why = format!(
            "Invalid value {} for option --port: {} ports are needed from it on",
            args.port,
            2 * args.nodes
        );
        return Err(CliError::Other(why));
    }
    let dir = &args.data_dir;
    let members: Vec<Member> = (1..=args.nodes)
        .map(|id| Member {
            id,
            port: args.port + id - 1,
            config: dir.join(format!("node-{id}.properties")),
            data: dir.join(format!("node-{id}")),
        })
        .collect();
    env.disk.create_dir_all(dir).map_err(|e| DirectoryError::io("Cannot make", dir, e))?;
    for member in &members {
        if env.disk.metadata(&member.config).is_ok() {
            continue;
        }
        let mut props = properties(args, member);
        for text in &args.overrides {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                CliError::Other(format!("Invalid value {text} for option --override: it is KEY=VALUE"))
            })?;
            props.insert(key.trim().to_owned(), value.to_owned());
        }
        let text = file::write(&props, "", &super::format::java_date(env.clock.now()));
        replace_file(&*env.disk, &member.config, text.as_bytes())
            .map_err(|e| DirectoryError::io("Cannot write", &member.config, e))?;
    }
    Ok(members)
}

/// The first nodes are controllers as well, an odd number of them: an even one survives no more losses.
fn controllers(nodes: u16) -> u16 {
    let most = nodes.min(CONTROLLERS_MAX);
    if most.is_multiple_of(2) { most - 1 } else { most }
}

fn properties(args: &DevClusterArgs, member: &Member) -> Props {
    let (nodes, controllers) = (args.nodes, controllers(args.nodes));
    let controller_port = |id: u16| args.port + nodes + id - 1;
    let voters: Vec<String> =
        (1..=controllers).map(|id| format!("{id}@localhost:{}", controller_port(id))).collect();
    let is_controller = member.id <= controllers;
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", member.port);
    if is_controller {
        listeners.push_str(&format!(",CONTROLLER://127.0.0.1:{}", controller_port(member.id)));
    }
    let (replicas, in_sync) = (nodes.min(3).to_string(), if nodes < 3 { "1" } else { "2" });
    let absolute = std::path::absolute(&member.data).unwrap_or_else(|_| member.data.clone());
    let data = absolute.to_string_lossy().into_owned();
    let (id, voters) = (member.id.to_string(), voters.join(","));
    let advertised = format!("PLAINTEXT://localhost:{}", member.port);
    let all = [
        ("process.roles", if is_controller { "broker,controller" } else { "broker" }),
        ("node.id", &id),
        ("listeners", &listeners),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", &voters),
        ("log.dirs", &data),
        ("default.replication.factor", &replicas),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", &replicas),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", &replicas),
        ("share.coordinator.state.topic.min.isr", in_sync),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The cluster that a node with data belongs to, or a fresh one.
fn cluster_id(env: &Env, members: &[Member]) -> Result<String, CliError> {
    for member in members {
        if let Some(meta) = MetaProperties::read(&*env.disk, &member.data)? {
            return Ok(meta.cluster_id);
        }
    }
    Ok(uuid_to_base64(env.seeds.rng().kafka_uuid()))
}

fn start(member: &Member, cluster_id: &str, args: &DevClusterArgs) -> Result<Child, CliError> {
    let failed = |e: std::io::Error| CliError::Other(format!("cannot start node {}: {e}", member.id));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("start").arg("--config").arg(&member.config).args(["--cluster-id", cluster_id]);
    if let Some(filter) = &args.log {
        command.args(["--log", filter]);
    }
    // When this process ends in whatever way, so do the nodes.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().map_err(failed)
}

async fn supervise(
    members: &[Member],
    cluster_id: &str,
    args: &DevClusterArgs,
) -> Result<ExitCode, CliError> {
    let signals = |kind| signal(kind).map_err(|e| CliError::Other(format!("cannot wait for signals: {e}")));
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    println!("ottla {}, a cluster of {} nodes, id {cluster_id}", env!("CARGO_PKG_VERSION"), members.len());
    let (lines, mut printed) = mpsc::channel::<(u16, Arc<str>)>(LINES_MAX);
    let mut nodes = JoinSet::new();
    let mut pids = Vec::new();
    for member in members {
        let mut child = start(member, cluster_id, args)?;
        let pid = child.id().unwrap_or_default();
        pids.push(pid);
        println!("  node {}  pid {pid}  {}", member.id, place(member));
        if let Some(out) = child.stdout.take() {
            nodes.spawn(forward(member.id, out, lines.clone()));
        }
        if let Some(err) = child.stderr.take() {
            nodes.spawn(forward(member.id, err, lines.clone()));
        }
        let (id, lines) = (member.id, lines.clone());
        nodes.spawn(async move {
            let ended = match child.wait().await {
                Ok(status) => format!("node {id} has ended: {status}"),
                Err(e) => format!("node {id} is lost: {e}"),
            };
            drop(lines.send((id, ended.into())).await);
        });
    }
    drop(lines);
    let mut serving = 0;
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => tell(&pids),
            // From a terminal it goes to the nodes as well.
            _ = interrupt.recv() => tell(&pids),
            line = printed.recv() => {
                let Some((id, line)) = line else { return Ok(ExitCode::SUCCESS) };
                println!("[{id}] {line}");
                serving += usize::from(line.contains(READY_LINE));
                if serving == members.len() && line.contains(READY_LINE) {
                    let places: Vec<String> = members.iter().map(|m| format!("localhost:{}", m.port)).collect();
                    println!("The cluster serves: --bootstrap-server {}", places.join(","));
                }
            }
        }
    }
}

fn place(member: &Member) -> String {
    format!("localhost:{}  ottla start --config {}", member.port, shown(&member.config))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Hands lines on. A line that is not UTF-8 ends it, as does a node that closes its end.
async fn forward(id: u16, from: impl AsyncRead + Unpin, lines: mpsc::Sender<(u16, Arc<str>)>) {
    let mut from = BufReader::new(from).lines();
    while let Ok(Some(line)) = from.next_line().await {
        if lines.send((id, line.into())).await.is_err() {
            return;
        }
    }
}

/// Tells the nodes to stop.
fn tell(pids: &[u32]) {
    for pid in pids.iter().filter_map(|pid| rustix::process::Pid::from_raw(*pid as i32)) {
        // A node that has ended already cannot be told, and need not be.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, read_config};
    use super::*;

    #[test]
    fn controllers_are_an_odd_number_of_the_nodes() {
        let of: Vec<u16> = (1..=NODES_MAX).map(controllers).collect();
        assert_eq!(of, [1, 1, 3, 3, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn every_node_gets_a_file_that_a_node_accepts_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let args = DevClusterArgs {
            nodes: 4,
            port: 19092,
            data_dir: dir.path().join("c"),
            overrides: vec!["num.partitions=7".to_owned()],
            prepare: true,
            log: None,
        };
        let env = Env::os();
        let members = prepare(&env, &args).unwrap();
        let mut roles = Vec::new();
        for member in &members {
            let (config, _) = read_config(&env, &member.config, &Environment::new()).unwrap();
            roles.push((config.node_id, config.is_controller, config.num_partitions));
            assert_eq!(config.controller_quorum_voters.len(), 3);
            assert_eq!((config.default_replication_factor, config.min_insync_replicas), (3, 2));
        }
        assert_eq!(roles, [(1, true, 7), (2, true, 7), (3, true, 7), (4, false, 7)]);
        let again = DevClusterArgs { overrides: vec!["num.partitions=8".to_owned()], ..args };
        prepare(&env, &again).unwrap();
        let (config, _) = read_config(&env, &members[0].config, &Environment::new()).unwrap();
        assert_eq!(config.num_partitions, 7);
    }
}
