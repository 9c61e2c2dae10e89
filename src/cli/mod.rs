//! The command line: one file per command.
//!
//! Commands parse, call one thing, and print one line when it fails. A command that formats or inspects storage takes
//! the options of Kafka's storage tool.

mod dev_cluster;
pub mod docker_start;
pub mod format;
mod info;
pub mod logging;
pub mod releases;
mod scram;
pub mod start;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::broker::{self, split_listener_prefix};
use crate::config::file::{self, FileError, Outside};
use crate::config::property::one_line;
use crate::config::{BrokerConfig, ConfigError, Layers, Props};
use crate::env::Env;
use crate::types::uuid_to_base64;

/// The process's environment. Variables that are not UTF-8 are left out.
pub type Environment = BTreeMap<String, String>;

#[derive(Parser)]
#[command(name = "ottla", version, about = "A Kafka server", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node; without options a single one on localhost:9092
    Start(start::StartArgs),
    /// Run a cluster of several nodes on this machine, for trying and testing
    DevCluster(dev_cluster::DevClusterArgs),
    /// Run a node in a container, from KAFKA_… variables, as Kafka's image does
    DockerStart(docker_start::DockerStartArgs),
    /// Format storage directories, as kafka-storage does
    Format(format::FormatArgs),
    /// Say whose the storage directories are
    Info(ConfigArg),
    /// Print a fresh id, for a cluster or a directory
    RandomUuid,
    /// Print the version
    Version,
}

#[derive(Args)]
pub(crate) struct ConfigArg {
    /// The server.properties to use
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// What goes wrong before anything runs, as the one line that is printed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error("{}", .0.explained())]
    Config(#[from] ConfigError),
    /// The configuration's file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: FileError,
    },
    /// A storage directory.
    #[error("{0}")]
    Directory(#[from] crate::config::directories::DirectoryError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Runs the command that `args` state (the program's name first) in the real world.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
        .collect();
    let cli = match Cli::try_parse_from(by_other_names(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let env = Env::os();
    let done = match cli.command {
        Command::Start(args) => start::run(&env, &args, &environment),
        Command::DevCluster(args) => dev_cluster::run(&env, &args),
        Command::DockerStart(args) => docker_start::run(&env, &args, &environment),
        Command::Format(args) => format::run(&env, &args, &environment, &mut |line| println!("{line}")),
        Command::Info(args) => info::run(&env, &args.config, &environment, &mut |line| println!("{line}")),
        Command::RandomUuid => {
            println!("{}", uuid_to_base64(env.seeds.rng().kafka_uuid()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            println!("ottla {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("ottla: {}", error.to_string().replace('\n', " "));
        ExitCode::FAILURE
    })
}

/// What the program is asked for by its name alone.
fn by_other_names(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(|name| name == docker_start::CALLED) {
        args.insert(1, "docker-start".into());
    }
    args
}

/// Reads a `server.properties`, with what it refers to.
pub(crate) fn read_properties(env: &Env, path: &Path, environment: &Environment) -> Result<Props, CliError> {
    let read = || {
        let mut props = file::read(&*env.disk, path)?;
        file::resolve(&mut props, &Outside { disk: &*env.disk, environment })?;
        Ok(props)
    };
    read().map_err(|source| match source {
        FileError::Config(error) => CliError::Config(error),
        // It names its file itself.
        FileError::Io { .. } => CliError::Other(source.to_string()),
        FileError::Escape { .. } => CliError::File { path: path.to_owned(), source },
    })
}

/// Configuration of a file, typed and in layers.
pub(crate) fn read_config(
    env: &Env,
    path: &Path,
    environment: &Environment,
) -> Result<(BrokerConfig, Layers), CliError> {
    let layers = Layers::new(read_properties(env, path, environment)?);
    Ok((BrokerConfig::new(&layers)?, layers))
}

/// A warning for each key that has no effect or that nobody knows, ordered by key.
pub(crate) fn warnings(props: &Props) -> Vec<String> {
    let mut warnings = Vec::new();
    for key in props.keys() {
        let shown = one_line(key);
        let found =
            |list: &[(&str, &'static str)]| list.iter().find(|(name, _)| name == key).map(|(_, why)| *why);
        let property = broker::property(key).or_else(|| split_listener_prefix(key).map(|(_, p)| p));
        match property {
            Some(p) => {
                if let Some(why) = p.ignored {
                    warnings.push(format!("Configuration {shown} has no effect: {why}."));
                }
            }
            None => {
                if let Some(why) = found(broker::PLUGIN_KEYS) {
                    warnings.push(format!("Configuration {shown} has no effect: {why}."));
                } else if let Some(why) = found(broker::REMOVED) {
                    warnings.push(format!(
                        "Configuration {shown} is of an older Kafka and has no effect: {why}."
                    ));
                } else if !key.starts_with("config.providers.") {
                    warnings.push(format!("Unknown configuration {shown} has no effect."));
                }
            }
        }
    }
    warnings
}
