//! What a node is given to run with: made by whoever starts it, once configuration and directories are checked.

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::broker::view::BrokerConfig;
use super::layers::Layers;
use super::topic::Durability;

/// A formatted directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Its `directory.id`.
    pub id: Uuid,
}

/// Everything a node needs to know before it runs. Directories are there, writable, formatted and belong together;
/// nobody held their locks when they were looked at.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration in typed form, from the file's layer alone.
    pub config: Arc<BrokerConfig>,
    /// The configuration in layers; dynamic values are added when the metadata is known.
    pub layers: Layers,
    /// `cluster.id`.
    pub cluster_id: String,
    /// The log directories, in the order of `log.dirs`.
    pub log_directories: Vec<LogDirectory>,
    /// The directory of the metadata log, which holds `bootstrap.checkpoint`.
    pub metadata_directory: LogDirectory,
    /// True in the mode without configuration.
    pub developer: bool,
    /// What to warn of: keys without effect, and unknown ones. One line each.
    pub warnings: Vec<String>,
}

impl Setup {
    /// What to say at the start: where the node listens, where its data is, what acks=all means.
    pub fn banner(&self) -> String {
        let addresses: Vec<String> =
            self.config.advertised_listeners.iter().map(ToString::to_string).collect();
        let dirs: Vec<String> =
            self.log_directories.iter().map(|dir| dir.path.display().to_string()).collect();
        let durability = match self.config.acks_all_durability {
            Durability::Fsync => "fsync: acks=all is answered once it is on stable storage",
            Durability::Replicated => {
                "replicated: acks=all is answered from memory, as in Kafka; power loss may take the last seconds"
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        let listening =
            if addresses.is_empty() { "as a controller only".to_owned() } else { addresses.join(", ") };
        format!(
            "ottla {version}, node {} of cluster {}\n  listening  {listening}\n  data       {} (kept)\n  durability {durability}",
            self.config.node_id,
            self.cluster_id,
            dirs.join(", ")
        )
    }
}
