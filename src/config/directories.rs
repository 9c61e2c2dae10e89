//! Whose a data directory is: its `meta.properties` (KIP-631, KIP-858).
//!
//! The file names the cluster, the node and the directory. Directories of one node agree on the first two and differ
//! in the third. Version 0 is ZooKeeper's and is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::file;
use super::layers::Props;
use super::property::one_line;
use crate::env::Disk;
use crate::env::disk::{read_file, replace_file};
use crate::types::{NodeId, uuid_from_base64, uuid_to_base64};

/// Name of the file.
pub const META_PROPERTIES: &str = "meta.properties";
/// Bytes that the file may have.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Ids below this have a meaning of their own (KIP-858).
const RESERVED_IDS: u128 = 100;

/// What `meta.properties` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetaProperties {
    /// `cluster.id`, as text: Kafka does not insist on its form.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: NodeId,
    /// `directory.id`; absent in directories that an older Kafka formatted.
    pub directory_id: Option<Uuid>,
}

/// Why a directory cannot be used. One line each.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The operating system refused.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was to be done, such as `Cannot write to`.
        what: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there but does not say what it must.
    #[error("{}: {why}", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process works on the directory.
    #[error("Failed to acquire lock on file .lock in {}. A Kafka or ottla in another process is using this directory.", .0.display())]
    InUse(PathBuf),
}

impl DirectoryError {
    fn foreign(path: &Path, why: impl Into<String>) -> DirectoryError {
        DirectoryError::Foreign { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> DirectoryError {
        DirectoryError::Io { what, path: path.to_owned(), source }
    }
}

impl MetaProperties {
    /// Reads the file of a directory; `None` if it has none.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<MetaProperties>, DirectoryError> {
        let path = dir.join(META_PROPERTIES);
        let content = match read_file(disk, &path, FILE_BYTES_MAX) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DirectoryError::io("Cannot read", &path, source)),
        };
        let props =
            file::parse(&content).map_err(|error| DirectoryError::foreign(&path, error.to_string()))?;
        MetaProperties::from_props(&path, &props).map(Some)
    }

    fn from_props(path: &Path, props: &Props) -> Result<MetaProperties, DirectoryError> {
        let bad = |why: String| Err(DirectoryError::foreign(path, why));
        let get = |key: &str| props.get(key).map(|value| value.trim());
        match get("version") {
            Some("1") => {}
            None | Some("0") => {
                return bad("version is 0, which is a ZooKeeper broker's; 1 is needed".to_owned());
            }
            Some(other) => return bad(format!("version is {}; 1 is needed", one_line(other))),
        }
        let Some(cluster_id) = get("cluster.id").filter(|id| !id.is_empty()) else {
            return bad("cluster.id was not found".to_owned());
        };
        let node_id = match get("node.id").map(str::parse) {
            Some(Ok(id)) if id >= 0 => id,
            _ => return bad("node.id was not found, or is no number from 0 up".to_owned()),
        };
        let directory_id = match get("directory.id") {
            None => None,
            Some(text) => match uuid_from_base64(text) {
                Some(id) if id.as_u128() >= RESERVED_IDS => Some(id),
                _ => return bad(format!("directory.id {} is not the id of a directory", one_line(text))),
            },
        };
        Ok(MetaProperties { cluster_id: cluster_id.to_owned(), node_id, directory_id })
    }

    /// Writes the file of a directory in one step that survives a crash. `date` stands in its comment, as in Kafka's.
    pub fn write(&self, disk: &dyn Disk, dir: &Path, date: &str) -> Result<(), DirectoryError> {
        let mut props = Props::from([
            ("version".to_owned(), "1".to_owned()),
            ("cluster.id".to_owned(), self.cluster_id.clone()),
            ("node.id".to_owned(), self.node_id.to_string()),
        ]);
        if let Some(id) = self.directory_id {
            props.insert("directory.id".to_owned(), uuid_to_base64(id));
        }
        let path = dir.join(META_PROPERTIES);
        replace_file(disk, &path, file::write(&props, "", date).as_bytes())
            .map_err(|source| DirectoryError::io("Cannot write", &path, source))
    }
}

/// What is known of a node's directories.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ensemble {
    /// Directories with a `meta.properties`.
    pub formatted: BTreeMap<PathBuf, MetaProperties>,
    /// Directories without one, or that are not there.
    pub empty: Vec<PathBuf>,
}

impl Ensemble {
    /// Looks at the directories and checks that they belong together, to this node and to the cluster, where that is
    /// known.
    pub fn load(
        disk: &dyn Disk,
        dirs: &[PathBuf],
        node_id: NodeId,
        cluster_id: Option<&str>,
    ) -> Result<Ensemble, DirectoryError> {
        let mut ensemble = Ensemble::default();
        for dir in dirs {
            match disk.metadata(dir) {
                Ok(found) if !found.is_dir => {
                    return Err(DirectoryError::foreign(dir, "this is a file, not a directory"));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DirectoryError::io("Cannot look at", dir, error));
                }
                Ok(_) | Err(_) => {}
            }
            match MetaProperties::read(disk, dir)? {
                Some(meta) => drop(ensemble.formatted.insert(dir.clone(), meta)),
                None => ensemble.empty.push(dir.clone()),
            }
        }
        ensemble.verify(node_id, cluster_id)?;
        Ok(ensemble)
    }

    fn verify(&self, node_id: NodeId, cluster_id: Option<&str>) -> Result<(), DirectoryError> {
        let mut expected = cluster_id;
        let mut seen: BTreeMap<Uuid, &Path> = BTreeMap::new();
        for (dir, meta) in &self.formatted {
            let path = dir.join(META_PROPERTIES);
            match expected {
                Some(id) if id != meta.cluster_id => {
                    let why =
                        format!("Invalid cluster.id: expected {id}, but read {}", one_line(&meta.cluster_id));
                    return Err(DirectoryError::Foreign { path, why });
                }
                Some(_) => {}
                None => expected = Some(&meta.cluster_id),
            }
            if meta.node_id != node_id {
                let why = format!(
                    "Stored node id {} doesn't match the configured node.id {node_id}. If you moved your data, make sure \
                     your configured node id matches; a new node needs empty directories",
                    meta.node_id
                );
                return Err(DirectoryError::Foreign { path, why });
            }
            if let Some(other) = meta.directory_id.and_then(|id| seen.insert(id, dir)) {
                let why =
                    format!("it has the directory.id of {}: one is a copy of the other", other.display());
                return Err(DirectoryError::Foreign { path, why });
            }
        }
        Ok(())
    }

    /// The cluster that the formatted directories belong to.
    pub fn cluster_id(&self) -> Option<&str> {
        self.formatted.values().next().map(|meta| meta.cluster_id.as_str())
    }
}

/// True if nothing of anybody's is in a directory: it is not there, or holds nothing but hidden files and what a file
/// system keeps for itself.
pub fn is_untouched(disk: &dyn Disk, dir: &Path) -> Result<bool, DirectoryError> {
    match disk.list(dir) {
        Ok(entries) => Ok(entries.iter().all(|e| e.name.starts_with('.') || e.name == "lost+found")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(DirectoryError::io("Cannot list", dir, source)),
    }
}

/// A fresh id for a directory: not reserved, and not one of `taken`.
pub fn new_directory_id(rng: &mut crate::types::Rng, taken: &Ensemble) -> Uuid {
    loop {
        let id = rng.kafka_uuid();
        if id.as_u128() >= RESERVED_IDS && taken.formatted.values().all(|meta| meta.directory_id != Some(id))
        {
            return id;
        }
    }
}

impl fmt::Display for MetaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster.id={}, ", self.cluster_id)?;
        if let Some(id) = self.directory_id {
            write!(f, "directory.id={}, ", uuid_to_base64(id))?;
        }
        write!(f, "node.id={}, version=1", self.node_id)
    }
}

#[cfg(test)]
#[path = "directories_test.rs"]
mod tests;
