//! `ottla format`: makes storage directories a node's own, as Kafka's storage tool does.
//!
//! A formatted directory has `meta.properties`, `bootstrap.checkpoint` with the feature levels and SCRAM users that the
//! cluster begins with, and, where the voters are data (KIP-853), the quorum's first snapshot. `meta.properties` comes
//! last: a directory whose formatting was cut short counts as not formatted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use uuid::Uuid;

use super::releases::{self, KRAFT_VERSION, METADATA_VERSION};
use super::{CliError, Environment, read_config, scram};
use crate::config::BrokerConfig;
use crate::config::directories::{DirectoryError, Ensemble, MetaProperties, new_directory_id};
use crate::config::property::one_line;
use crate::env::Env;
use crate::env::disk::replace_file;
use crate::metadata::checkpoint_file::{BOOTSTRAP_FILE, Checkpoint};
use crate::metadata::versions::METADATA_VERSION_MAX;
use crate::schema::metadata::{FeatureLevelRecord, MetadataRecord};
use crate::schema::quorum::{Endpoint, KRaftVersionFeature, VotersRecord, VotersVoter};
use crate::types::{Ms, NodeId, uuid_from_base64};

/// Where the quorum's first snapshot is, below the metadata directory.
const QUORUM_SNAPSHOT: [&str; 2] = ["__cluster_metadata-0", "00000000000000000000-0000000000.checkpoint"];
/// The `metadata.version` that SCRAM users need: 3.5-IV2.
const SCRAM_LEVEL: i16 = 11;

/// The options of Kafka's storage tool.
#[derive(Args)]
pub struct FormatArgs {
    /// The cluster's id
    #[arg(short = 't', long, value_name = "ID")]
    cluster_id: String,
    /// The server.properties to use
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Level a feature begins with
    #[arg(short, long, value_name = "NAME=LEVEL")]
    feature: Vec<String>,
    /// Kafka's release whose feature levels to begin with
    #[arg(short, long, value_name = "VERSION")]
    release_version: Option<String>,
    /// SCRAM user, as SCRAM-SHA-256=[name=alice,password=secret]
    #[arg(short = 'S', long, value_name = "CREDENTIAL")]
    add_scram: Vec<String>,
    /// This controller alone is the quorum; others may join
    #[arg(short, long, conflicts_with_all = ["initial_controllers", "no_initial_controllers"])]
    standalone: bool,
    /// The quorum's first voters, as id@host:port:directory-id,…
    #[arg(short = 'I', long, value_name = "VOTERS", conflicts_with = "no_initial_controllers")]
    initial_controllers: Option<String>,
    /// This controller joins a quorum that exists
    #[arg(short = 'N', long)]
    no_initial_controllers: bool,
    /// Leave formatted directories alone instead of refusing
    #[arg(short = 'g', long)]
    ignore_formatted: bool,
}

/// Who votes in the quorum that the directory belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Voters {
    /// Those of `controller.quorum.voters`.
    Configured,
    /// This controller alone.
    Standalone,
    /// These, as `id@host:port:directory-id,…`.
    Initial(String),
    /// Whoever does already.
    Join,
}

/// What to format with.
#[derive(Clone, Debug)]
pub struct FormatOptions {
    /// The cluster's id.
    pub cluster_id: String,
    /// Leave formatted directories alone instead of refusing.
    pub ignore_formatted: bool,
    /// Kafka's release whose levels to begin with; `None` for the newest known.
    pub release_version: Option<String>,
    /// Levels that differ from the release's.
    pub features: Vec<(String, i16)>,
    /// SCRAM users, as the command line states them.
    pub scram: Vec<String>,
    /// Who votes.
    pub voters: Voters,
}

impl FormatOptions {
    /// The newest levels, no users, configured voters.
    pub fn new(cluster_id: impl Into<String>) -> FormatOptions {
        FormatOptions {
            cluster_id: cluster_id.into(),
            ignore_formatted: false,
            release_version: None,
            features: Vec::new(),
            scram: Vec::new(),
            voters: Voters::Configured,
        }
    }
}

pub(super) fn run(
    env: &Env,
    args: &FormatArgs,
    environment: &Environment,
    say: &mut dyn FnMut(String),
) -> Result<ExitCode, CliError> {
    let (config, _) = read_config(env, &args.config, environment)?;
    let mut features = Vec::new();
    for text in &args.feature {
        features.push(parse_feature(text).ok_or_else(|| {
            CliError::Other(format!(
                "Can't parse feature=level string {}: equals sign not found or no level",
                one_line(text)
            ))
        })?);
    }
    let voters = match (&args.initial_controllers, args.standalone, args.no_initial_controllers) {
        (Some(list), ..) => Voters::Initial(list.clone()),
        (None, true, _) => Voters::Standalone,
        (None, false, true) => Voters::Join,
        (None, false, false) => Voters::Configured,
    };
    let options = FormatOptions {
        cluster_id: args.cluster_id.clone(),
        ignore_formatted: args.ignore_formatted,
        release_version: args.release_version.clone(),
        features,
        scram: args.add_scram.clone(),
        voters,
    };
    format(env, &config, &options, say)?;
    Ok(ExitCode::SUCCESS)
}

fn parse_feature(text: &str) -> Option<(String, i16)> {
    let (name, level) = text.split_once('=')?;
    Some((name.trim().to_owned(), level.trim().parse().ok()?))
}

/// Formats the directories of a node that are not formatted yet, and says what it does.
pub fn format(
    env: &Env,
    config: &BrokerConfig,
    options: &FormatOptions,
    say: &mut dyn FnMut(String),
) -> Result<(), CliError> {
    let mut rng = env.seeds.rng();
    let now = env.clock.now();
    let plan = Plan::new(config, options, &mut rng).map_err(CliError::Other)?;
    let disk = &*env.disk;
    let mut ensemble =
        Ensemble::load(disk, &config.all_directories(), config.node_id, Some(&options.cluster_id))?;
    if let Some(dir) = ensemble.formatted.keys().next().filter(|_| !options.ignore_formatted) {
        return Err(CliError::Other(format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            dir.display()
        )));
    }
    if ensemble.empty.is_empty() {
        say("All of the log directories are already formatted.".to_owned());
        return Ok(());
    }
    let bootstrap = plan.bootstrap.to_bytes(now).map_err(|e| CliError::Other(e.to_string()))?;
    for dir in ensemble.empty.clone() {
        let is_metadata = dir == config.metadata_log_dir;
        let own = plan.voters.as_ref().and_then(|v| v.voters.iter().find(|v| v.voter_id == config.node_id));
        let (what, id) = match (&plan.voters, own) {
            (Some(_), Some(own)) if is_metadata => {
                ("dynamic metadata voter directory", own.voter_directory_id)
            }
            (Some(_), None) if is_metadata => {
                ("dynamic metadata directory", new_directory_id(&mut rng, &ensemble))
            }
            _ if is_metadata => ("metadata directory", new_directory_id(&mut rng, &ensemble)),
            _ => ("data directory", new_directory_id(&mut rng, &ensemble)),
        };
        let version = releases::name_of(plan.metadata_version);
        say(format!("Formatting {what} {} with {METADATA_VERSION} {version}.", dir.display()));
        let io = |source| CliError::Directory(DirectoryError::io("Cannot write to", &dir, source));
        disk.create_dir_all(&dir).map_err(io)?;
        replace_file(disk, &dir.join(BOOTSTRAP_FILE), &bootstrap).map_err(io)?;
        if let Some(voters) = plan.voters.as_ref().filter(|_| is_metadata) {
            write_quorum_snapshot(env, &dir, voters, now)?;
        }
        let meta = MetaProperties {
            cluster_id: options.cluster_id.clone(),
            node_id: config.node_id,
            directory_id: Some(id),
        };
        meta.write(disk, &dir, &java_date(now))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(io)?;
        }
        ensemble.formatted.insert(dir, meta);
    }
    Ok(())
}

fn write_quorum_snapshot(env: &Env, dir: &Path, voters: &VotersRecord, now: Ms) -> Result<(), CliError> {
    let snapshot = Checkpoint {
        last_contained_log_timestamp: now,
        kraft_version: Some(1),
        voters: Some(voters.clone()),
        records: Vec::new(),
    };
    let bytes = snapshot.to_bytes(now).map_err(|e| CliError::Other(e.to_string()))?;
    let [partition, file] = QUORUM_SNAPSHOT;
    let partition = dir.join(partition);
    let io = |source| CliError::Directory(DirectoryError::io("Cannot write to", &partition, source));
    env.disk.create_dir_all(&partition).map_err(io)?;
    replace_file(&*env.disk, &partition.join(file), &bytes).map_err(io)?;
    env.disk.sync_dir(dir).map_err(io)
}

/// What every directory gets.
struct Plan {
    metadata_version: i16,
    bootstrap: Checkpoint,
    /// The first voters, where they are data.
    voters: Option<VotersRecord>,
}

impl Plan {
    fn new(
        config: &BrokerConfig,
        options: &FormatOptions,
        rng: &mut crate::types::Rng,
    ) -> Result<Plan, String> {
        if options.cluster_id.trim().is_empty() {
            return Err("You must specify the cluster id.".to_owned());
        }
        let metadata_version = metadata_version(options)?;
        let voters = initial_voters(config, options, rng)?;
        check_kraft_version(options, voters.is_some())?;
        let level = |name: &str, feature_level| {
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.to_owned(), feature_level })
        };
        let mut records = vec![level(METADATA_VERSION, metadata_version)];
        let others = releases::levels(metadata_version, &options.features)?;
        records.extend(others.into_iter().map(|(name, feature_level)| level(name, feature_level)));
        if !options.scram.is_empty() && metadata_version < SCRAM_LEVEL {
            return Err(format!(
                "SCRAM is only supported in {METADATA_VERSION} {} or later.",
                releases::name_of(SCRAM_LEVEL)
            ));
        }
        for argument in &options.scram {
            records.push(MetadataRecord::UserScramCredential(scram::parse(argument, rng)?));
        }
        Ok(Plan { metadata_version, bootstrap: Checkpoint { records, ..Checkpoint::default() }, voters })
    }
}

fn metadata_version(options: &FormatOptions) -> Result<i16, String> {
    let set = options.features.iter().rev().find(|(name, _)| name == METADATA_VERSION);
    match (&options.release_version, set) {
        (Some(_), Some(_)) => Err(format!(
            "Use --release-version instead of --feature {METADATA_VERSION}=X to avoid ambiguity."
        )),
        (Some(release), None) => releases::level_of(release),
        (None, Some((_, level))) => releases::level_of(&releases::name_of(*level)),
        (None, None) => Ok(METADATA_VERSION_MAX),
    }
}

fn check_kraft_version(options: &FormatOptions, dynamic: bool) -> Result<(), String> {
    let Some((_, level)) = options.features.iter().rev().find(|(name, _)| name == KRAFT_VERSION) else {
        return Ok(());
    };
    let problem = match level {
        0 if dynamic => "if KIP-853 configuration is present",
        1 if !dynamic => "unless KIP-853 configuration is present",
        0 | 1 => return Ok(()),
        _ => "which this version does not know",
    };
    Err(format!(
        "Cannot set {KRAFT_VERSION} to {level} {problem}. Try removing the --feature flag for {KRAFT_VERSION}."
    ))
}

fn initial_voters(
    config: &BrokerConfig,
    options: &FormatOptions,
    rng: &mut crate::types::Rng,
) -> Result<Option<VotersRecord>, String> {
    let listener = config.controller_listener_names.first().cloned().unwrap_or_default();
    let voters = match &options.voters {
        Voters::Join => return Ok(None),
        Voters::Configured if config.is_controller && config.controller_quorum_voters.is_empty() => {
            return Err("Because controller.quorum.voters is not set on this controller, you must specify one of the \
                        following: --standalone, --initial-controllers, or --no-initial-controllers."
                .to_owned());
        }
        Voters::Configured => return Ok(None),
        Voters::Standalone if !config.is_controller => {
            return Err("You can only use --standalone on a controller.".to_owned());
        }
        Voters::Standalone => {
            let own =
                config.advertised_controller_listeners.first().ok_or("No controller listeners found.")?;
            let host = own.host.clone().unwrap_or_else(|| "localhost".to_owned());
            vec![voter(config.node_id, &listener, &host, own.port, rng.kafka_uuid())]
        }
        Voters::Initial(list) => parse_initial(list, &listener)?,
    };
    Ok(Some(VotersRecord { version: 0, voters }))
}

fn voter(id: NodeId, listener: &str, host: &str, port: u16, directory: Uuid) -> VotersVoter {
    VotersVoter {
        voter_id: id,
        voter_directory_id: directory,
        endpoints: vec![Endpoint { name: listener.to_owned(), host: host.to_owned(), port }],
        k_raft_version_feature: KRaftVersionFeature { min_supported_version: 0, max_supported_version: 1 },
    }
}

fn parse_initial(list: &str, listener: &str) -> Result<Vec<VotersVoter>, String> {
    let mut voters: Vec<VotersVoter> = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let parse = || {
            let (id, rest) = entry.split_once('@')?;
            let (address, directory) = rest.rsplit_once(':')?;
            let (host, port) = address.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let id: NodeId = id.parse().ok().filter(|id| *id >= 0)?;
            let directory = uuid_from_base64(directory)?;
            (!host.is_empty()).then(|| Some(voter(id, listener, host, port.parse().ok()?, directory)))?
        };
        let one = parse().ok_or_else(|| {
            format!("Failed to parse controller {}: each is id@hostname:port:directory-id", one_line(entry))
        })?;
        if voters.iter().any(|v| v.voter_id == one.voter_id || v.voter_directory_id == one.voter_directory_id)
        {
            return Err(format!("{} has an id or directory that another controller has", one_line(entry)));
        }
        voters.push(one);
    }
    if voters.is_empty() {
        return Err("No initial controllers were given: each is id@hostname:port:directory-id".to_owned());
    }
    // Kafka keeps voters by id.
    voters.sort_by_key(|v| v.voter_id);
    Ok(voters)
}

/// A time as Java's `Date` shows it, in UTC: `Fri Nov 20 15:29:32 UTC 2026`.
pub(crate) fn java_date(ms: Ms) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = super::logging::civil(ms);
    let day = DAYS[ms.div_euclid(86_400_000).rem_euclid(7) as usize];
    let month = MONTHS[date.month as usize - 1];
    format!(
        "{day} {month} {:02} {:02}:{:02}:{:02} UTC {}",
        date.day, date.hour, date.minute, date.second, date.year
    )
}

#[cfg(test)]
#[path = "format_test.rs"]
mod tests;
