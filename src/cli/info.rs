//! `ottla info`: whose the storage directories are, in the words of Kafka's storage tool.

use std::path::Path;
use std::process::ExitCode;

use super::{CliError, Environment, read_config};
use crate::config::directories::MetaProperties;
use crate::env::Env;

pub(super) fn run(
    env: &Env,
    config: &Path,
    environment: &Environment,
    say: &mut dyn FnMut(String),
) -> Result<ExitCode, CliError> {
    let (config, _) = read_config(env, config, environment)?;
    let (mut found, mut problems, mut first) = (Vec::new(), Vec::new(), None::<MetaProperties>);
    for dir in config.all_directories() {
        let shown = dir.display();
        match env.disk.metadata(&dir) {
            Err(_) => {
                problems.push(format!("{shown} does not exist"));
                continue;
            }
            Ok(meta) if !meta.is_dir => {
                problems.push(format!("{shown} is not a directory"));
                continue;
            }
            Ok(_) => found.push(shown.to_string()),
        }
        match (MetaProperties::read(&*env.disk, &dir), &first) {
            (Err(error), _) => problems.push(format!("Error loading {error}")),
            (Ok(None), _) => problems.push(format!("{shown} is not formatted.")),
            (Ok(Some(meta)), None) => first = Some(meta),
            (Ok(Some(meta)), Some(first)) if meta.cluster_id != first.cluster_id => {
                problems.push("Mismatched cluster IDs between storage directories.".to_owned());
            }
            (Ok(Some(meta)), Some(first)) if meta.node_id != first.node_id => {
                problems.push("Mismatched node IDs between storage directories.".to_owned());
            }
            (Ok(Some(_)), Some(_)) => {}
        }
    }
    list(say, plural("Found log directory:", "Found log directories:", &found), &found);
    if let Some(meta) = &first {
        say(format!("Found metadata: {{{meta}}}"));
        say(String::new());
    }
    list(say, plural("Found problem:", "Found problems:", &problems), &problems);
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plural(one: &'static str, many: &'static str, list: &[String]) -> &'static str {
    if list.len() == 1 { one } else { many }
}

fn list(say: &mut dyn FnMut(String), title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    say(title.to_owned());
    lines.iter().for_each(|line| say(format!("  {line}")));
    say(String::new());
}
