//! A simulated disk that remembers what was made durable and what was not.
//!
//! Every file has the content that programs see and the operations since its last sync; every directory has
//! the names that programs see and the name operations since it was last synced. [`SimDisk::crash`] is a
//! power cut: of what was not synced, any part may be there afterwards and any may not: whole writes, single
//! sectors of a write, the new length without the data (zeros), a rename without the creation of another file
//! before it. That is harsher than a journaling file system, on purpose.
//!
//! Every call has a number ([`SimDisk::calls`]). [`SimDisk::lose_power_at`] makes the call of that number,
//! and all after it, fail until the crash, so that a test can end a workload at each of its calls in turn.
//! Other faults: a limited capacity (`ENOSPC` after a part of the write), I/O errors by path and kind of
//! call, a failed sync (after which the pages are clean and lost, as Linux has it), and bit rot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Component, Path};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::disk::{DirEntry, Disk, File, LockGuard, Metadata, OpenMode};
use crate::types::{Ms, Rng};

/// Bytes that a disk writes as one.
pub const SECTOR_BYTES: usize = 512;

/// Kinds of calls, for faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Opening or making a file or directory, removing, renaming.
    Name,
    /// Reading a file or a directory.
    Read,
    /// Writing, cutting or extending a file.
    Write,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
}

/// An error that is to come.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Calls on paths that contain this text fail.
    pub path_contains: String,
    /// Calls of this kind fail.
    pub call: Call,
    /// How many calls still succeed first.
    pub after: u64,
    /// How many fail then; `u64::MAX` for all.
    pub times: u64,
}

/// A disk of one simulated machine. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

type Ino = u64;
const ROOT: Ino = 0;

enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Default)]
struct FileNode {
    content: Vec<u8>,
    /// The content at the last sync.
    durable: Vec<u8>,
    pending: Vec<FileOp>,
    modified: Ms,
}

#[derive(Clone)]
enum FileOp {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Default)]
struct DirNode {
    names: BTreeMap<String, Ino>,
    durable: BTreeMap<String, Ino>,
    pending: Vec<NameOp>,
}

#[derive(Clone)]
enum NameOp {
    Link(String, Ino),
    Unlink(String),
    Rename(String, String),
}

impl NameOp {
    fn apply(&self, names: &mut BTreeMap<String, Ino>) {
        match self {
            NameOp::Link(name, ino) => {
                names.insert(name.clone(), *ino);
            }
            NameOp::Unlink(name) => {
                names.remove(name);
            }
            NameOp::Rename(from, to) => {
                if let Some(ino) = names.remove(from) {
                    names.insert(to.clone(), ino);
                }
            }
        }
    }
}

struct State {
    nodes: BTreeMap<Ino, Node>,
    next_ino: Ino,
    /// Handles of an earlier life are dead.
    life: u64,
    calls: u64,
    power_until: Option<u64>,
    capacity: Option<u64>,
    syncs_all: bool,
    faults: Vec<Fault>,
    locks: BTreeSet<Ino>,
    now: Ms,
    log: Option<Vec<String>>,
}

impl Default for SimDisk {
    fn default() -> Self {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty disk without limits or faults.
    pub fn new() -> SimDisk {
        let state = State {
            nodes: BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next_ino: 1,
            life: 0,
            calls: 0,
            power_until: None,
            capacity: None,
            syncs_all: false,
            faults: Vec::new(),
            locks: BTreeSet::new(),
            now: 0,
            log: None,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The number of calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Lets call number `call` (counted as [`SimDisk::calls`] does, from 1) happen in part, and fails it and
    /// every later one until [`SimDisk::crash`].
    pub fn lose_power_at(&self, call: u64) {
        self.state.lock().power_until = Some(call);
    }

    /// True if the power was lost and [`SimDisk::crash`] has not come yet.
    pub fn is_without_power(&self) -> bool {
        let state = self.state.lock();
        state.power_until.is_some_and(|until| state.calls >= until)
    }

    /// Sets the time that files are stamped with.
    pub fn set_now(&self, now: Ms) {
        self.state.lock().now = now;
    }

    /// The sum of all files' lengths.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Limits the sum of all files' lengths.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Lets everything be synced at once, which it can't be otherwise.
    pub fn set_syncs_all(&self, can: bool) {
        self.state.lock().syncs_all = can;
    }

    /// Adds a fault.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// Begins to note every call that changes something, for a test that fails.
    pub fn start_trace(&self) {
        self.state.lock().log = Some(Vec::new());
    }

    /// What was noted.
    pub fn trace(&self) -> Vec<String> {
        self.state.lock().log.clone().unwrap_or_default()
    }

    /// Flips one bit of a file, in the content and on the platter. False if there is no such byte.
    pub fn rot(&self, path: &Path, at: u64, bit: u8) -> bool {
        let mut state = self.state.lock();
        let Ok(ino) = state.find(path) else { return false };
        let Some(Node::File(file)) = state.nodes.get_mut(&ino) else { return false };
        let at = at as usize;
        for content in [&mut file.content, &mut file.durable] {
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
        at < file.content.len()
    }

    /// The power comes back after a cut: what was synced is there, of the rest whatever `rng` draws. Open
    /// handles are dead and locks free.
    pub fn crash(&self, rng: &mut Rng) {
        let mut state = self.state.lock();
        for node in state.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    file.survive(rng);
                }
                Node::Dir(dir) => {
                    // One draw says how much of what is pending survives, so that all and nothing come up
                    // often.
                    let mode = rng.below(4);
                    for op in std::mem::take(&mut dir.pending) {
                        if survives(mode, rng) {
                            op.apply(&mut dir.durable);
                        }
                    }
                    dir.names = dir.durable.clone();
                }
            }
        }
        state.new_life();
        if state.log.is_some() {
            let mut noted = vec!["the power is back, and there are".to_owned()];
            state.note_files(ROOT, "", &mut noted);
            state.log.get_or_insert_default().extend(noted);
        }
    }

    /// The process dies (kill -9) and the system lives: everything written is there, nothing is durable that
    /// was not. Open handles are dead and locks free.
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.new_life();
        if let Some(log) = &mut state.log {
            log.push("the process is killed".to_owned());
        }
    }

    /// The process that had files open and locked is gone, and nothing else has happened.
    pub fn release(&self) {
        let mut state = self.state.lock();
        state.life += 1;
        state.locks.clear();
    }

    /// Everything becomes durable, as after a long time.
    pub fn settle(&self) {
        self.state.lock().settle();
    }
}

fn survives(mode: u64, rng: &mut Rng) -> bool {
    match mode {
        0 => false,
        1 => true,
        2 => rng.chance(4),
        _ => !rng.chance(4),
    }
}

impl FileNode {
    fn survive(&mut self, rng: &mut Rng) {
        let mode = rng.below(5);
        let pending = std::mem::take(&mut self.pending);
        let mut len = self.durable.len();
        let mut kept: Vec<Kept> = pending.iter().map(|op| Kept::draw(op, mode, &mut len, rng)).collect();
        // A sector is written from memory, with all that was in it by then: where a later write is, so are those before.
        let mut later = BTreeSet::new();
        for (op, kept) in pending.iter().zip(&mut kept).rev() {
            for ((at, _), survives) in sectors(op).zip(&mut kept.parts) {
                *survives |= later.contains(&(at / SECTOR_BYTES));
                if *survives {
                    later.insert(at / SECTOR_BYTES);
                }
            }
        }
        let mut now = std::mem::take(&mut self.durable);
        for (op, kept) in pending.iter().zip(&kept) {
            match op {
                FileOp::SetLen(len) if kept.length => now.resize(*len, 0),
                FileOp::SetLen(_) => {}
                FileOp::Write { at: start, bytes } => {
                    for ((at, len), survives) in sectors(op).zip(&kept.parts) {
                        if *survives {
                            put(&mut now, at, &bytes[at - start..at - start + len]);
                        }
                    }
                    if kept.length && now.len() < start + bytes.len() {
                        now.resize(start + bytes.len(), 0);
                    }
                }
            }
        }
        self.content = now.clone();
        self.durable = now;
    }
}

/// What a power loss leaves of an operation on a file.
struct Kept {
    /// Of each sector that was written: whether it is on the disk.
    parts: Vec<bool>,
    /// Whether the new length is, though sectors may be missing.
    length: bool,
}

impl Kept {
    /// `len` is the length that the file has if all operations so far came to what was drawn.
    fn draw(op: &FileOp, mode: u64, len: &mut usize, rng: &mut Rng) -> Kept {
        match op {
            FileOp::SetLen(to) => {
                let length = survives(mode.min(3), rng);
                if length {
                    *len = *to;
                }
                Kept { parts: Vec::new(), length }
            }
            FileOp::Write { at, bytes } if mode < 4 => {
                let survives = survives(mode, rng);
                if survives {
                    *len = (*len).max(at + bytes.len());
                }
                Kept { parts: sectors(op).map(|_| survives).collect(), length: false }
            }
            FileOp::Write { at, bytes } => {
                // Torn: each sector by itself, and perhaps a length that covers what is missing.
                let mut parts = Vec::new();
                for (at, bytes) in sectors(op) {
                    parts.push(!rng.chance(3));
                    if parts.last() == Some(&true) {
                        *len = (*len).max(at + bytes);
                    }
                }
                let length = *len < at + bytes.len() && rng.chance(2);
                if length {
                    *len = at + bytes.len();
                }
                Kept { parts, length }
            }
        }
    }
}

/// The sectors that an operation writes to: where in the file, and how many bytes.
fn sectors(op: &FileOp) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (mut at, end) = match op {
        FileOp::SetLen(_) => (0, 0),
        FileOp::Write { at, bytes } => (*at, at + bytes.len()),
    };
    std::iter::from_fn(move || {
        let here = at;
        let bytes = (SECTOR_BYTES - here % SECTOR_BYTES).min(end - here);
        at += bytes;
        (bytes > 0).then_some((here, bytes))
    })
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

/// What a call may do once it was counted.
enum Go {
    /// All of it.
    Do,
    /// Its effect happens, and then it fails: the power goes during the call.
    DoAndFail,
}

impl State {
    fn settle(&mut self) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => {
                    file.durable = file.content.clone();
                    file.pending.clear();
                }
                Node::Dir(dir) => {
                    dir.durable = dir.names.clone();
                    dir.pending.clear();
                }
            }
        }
    }

    fn new_life(&mut self) {
        self.life += 1;
        self.power_until = None;
        self.locks.clear();
    }

    /// Every file and how long it is, for the trace.
    fn note_files(&self, dir: Ino, path: &str, into: &mut Vec<String>) {
        let Some(Node::Dir(found)) = self.nodes.get(&dir) else { return };
        for (name, ino) in &found.names {
            match self.nodes.get(ino) {
                Some(Node::File(file)) => into.push(format!("  {path}/{name}, {} bytes", file.content.len())),
                Some(Node::Dir(_)) => self.note_files(*ino, &format!("{path}/{name}"), into),
                None => {}
            }
        }
    }

    fn begin(&mut self, call: Call, path: &str) -> io::Result<Go> {
        let powered = self.power_until.is_none_or(|until| self.calls < until);
        if !powered {
            return Err(no_power());
        }
        self.calls += 1;
        if let (Some(log), false) = (&mut self.log, call == Call::Read) {
            log.push(format!("{} {call:?} {path}", self.calls));
        }
        for fault in &mut self.faults {
            if fault.call == call && path.contains(&fault.path_contains) {
                if fault.after > 0 {
                    fault.after -= 1;
                } else if fault.times > 0 {
                    fault.times = if fault.times == u64::MAX { u64::MAX } else { fault.times - 1 };
                    return Err(eio());
                }
            }
        }
        Ok(if self.power_until == Some(self.calls) { Go::DoAndFail } else { Go::Do })
    }

    fn step(&self, dir: Ino, name: &str) -> io::Result<Ino> {
        match self.nodes.get(&dir) {
            Some(Node::Dir(dir)) => dir.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<Ino> {
        names_of(path)?.iter().try_fold(ROOT, |at, name| self.step(at, name))
    }

    fn parent(&self, path: &Path) -> io::Result<(Ino, String)> {
        let mut names = names_of(path)?;
        let last = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = names.iter().try_fold(ROOT, |at, name| self.step(at, name))?;
        Ok((dir, last))
    }

    fn add(&mut self, dir: Ino, name: &str, node: Node) -> io::Result<Ino> {
        let ino = self.next_ino;
        self.change(dir, NameOp::Link(name.to_owned(), ino))?;
        self.next_ino += 1;
        self.nodes.insert(ino, node);
        Ok(ino)
    }

    fn change(&mut self, dir: Ino, op: NameOp) -> io::Result<()> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir(dir)) => {
                op.apply(&mut dir.names);
                dir.pending.push(op);
                Ok(())
            }
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn used(&self) -> u64 {
        let len = |node: &Node| match node {
            Node::File(file) => file.content.len() as u64,
            Node::Dir(_) => 0,
        };
        self.nodes.values().map(len).sum()
    }
}

fn names_of(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned());
            }
            Component::ParentDir | Component::Prefix(_) => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(names)
}

/// The answer of a call whose effect happened: a failure if the power went meanwhile.
fn end<T>(go: Go, value: T) -> io::Result<T> {
    match go {
        Go::Do => Ok(value),
        Go::DoAndFail => Err(no_power()),
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let name = path.to_string_lossy().into_owned();
        let mut state = self.state.lock();
        let go = state.begin(Call::Name, &name)?;
        let (dir, last) = state.parent(path)?;
        let ino = match (state.step(dir, &last), mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(ino), _) => match state.nodes.get(&ino) {
                Some(Node::File(_)) => ino,
                _ => return Err(io::ErrorKind::IsADirectory.into()),
            },
            (Err(e), OpenMode::Create | OpenMode::CreateNew) if e.kind() == io::ErrorKind::NotFound => {
                let file = FileNode { modified: state.now, ..FileNode::default() };
                state.add(dir, &last, Node::File(file))?
            }
            (Err(e), _) => return Err(e),
        };
        let life = state.life;
        drop(state);
        end(go, Arc::new(SimFile { disk: self.clone(), ino, life, name, writable: mode != OpenMode::Read }))
            .map(|file| file as Arc<dyn File>)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Name, &path.to_string_lossy())?;
        let mut at = ROOT;
        for name in names_of(path)? {
            at = match state.step(at, &name) {
                Ok(ino) => ino,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    state.add(at, &name, Node::Dir(DirNode::default()))?
                }
                Err(e) => return Err(e),
            };
        }
        match state.nodes.get(&at) {
            Some(Node::Dir(_)) => end(go, ()),
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Name, &path.to_string_lossy())?;
        let (dir, last) = state.parent(path)?;
        let ino = state.step(dir, &last)?;
        match state.nodes.get(&ino) {
            Some(Node::File(_)) => state.change(dir, NameOp::Unlink(last))?,
            _ => return Err(io::ErrorKind::IsADirectory.into()),
        }
        end(go, ())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Name, &path.to_string_lossy())?;
        let (dir, last) = state.parent(path)?;
        let ino = state.step(dir, &last)?;
        // What is inside goes first, name by name, and may be half gone after a crash.
        let mut todo = vec![ino];
        while let Some(at) = todo.pop() {
            if let Some(Node::Dir(node)) = state.nodes.get_mut(&at) {
                for (name, child) in std::mem::take(&mut node.names) {
                    node.pending.push(NameOp::Unlink(name));
                    todo.push(child);
                }
            }
        }
        state.change(dir, NameOp::Unlink(last))?;
        end(go, ())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Name, &to.to_string_lossy())?;
        let ((from_dir, from), (to_dir, to)) = (state.parent(from)?, state.parent(to)?);
        let ino = state.step(from_dir, &from)?;
        if from_dir == to_dir {
            state.change(from_dir, NameOp::Rename(from, to))?;
        } else {
            state.change(to_dir, NameOp::Link(to, ino))?;
            state.change(from_dir, NameOp::Unlink(from))?;
        }
        end(go, ())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let go = state.begin(Call::SyncDir, &path.to_string_lossy())?;
        let ino = state.find(path)?;
        if let Go::DoAndFail = go {
            return Err(no_power());
        }
        match state.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => {
                dir.durable = dir.names.clone();
                dir.pending.clear();
                Ok(())
            }
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn sync_all(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state.lock();
        if !state.syncs_all {
            return Ok(false);
        }
        if let Go::DoAndFail = state.begin(Call::Sync, &path.to_string_lossy())? {
            return Err(no_power());
        }
        state.settle();
        Ok(true)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Read, &path.to_string_lossy())?;
        let ino = state.find(path)?;
        let Some(Node::Dir(dir)) = state.nodes.get(&ino) else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entry = |(name, ino): (&String, &Ino)| DirEntry {
            name: name.clone(),
            is_dir: matches!(state.nodes.get(ino), Some(Node::Dir(_))),
        };
        end(go, dir.names.iter().map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let mut state = self.state.lock();
        let go = state.begin(Call::Read, &path.to_string_lossy())?;
        let ino = state.find(path)?;
        let found = match state.nodes.get(&ino) {
            Some(Node::File(file)) => {
                Metadata { is_dir: false, len: file.content.len() as u64, modified: file.modified }
            }
            _ => Metadata { is_dir: true, len: 0, modified: 0 },
        };
        end(go, found)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let file = self.open(path, OpenMode::Create)?;
        drop(file);
        let mut state = self.state.lock();
        let ino = state.find(path)?;
        if !state.locks.insert(ino) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), ino, life: state.life }))
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(state.used())))
    }

    fn total_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.state.lock().capacity.unwrap_or(u64::MAX / 2))
    }
}

struct SimLock {
    disk: SimDisk,
    ino: Ino,
    life: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.ino);
        }
    }
}

struct SimFile {
    disk: SimDisk,
    ino: Ino,
    life: u64,
    name: String,
    writable: bool,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.name)
    }
}

impl SimFile {
    fn with<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut FileNode, &Go, Option<u64>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.state.lock();
        if state.life != self.life {
            return Err(no_power());
        }
        let failed_sync = match state.begin(call, &self.name) {
            Ok(go) => Ok(go),
            Err(e) if call == Call::Sync && e.raw_os_error() == Some(5) => Err(e),
            Err(e) => return Err(e),
        };
        let room = state.capacity.map(|capacity| capacity.saturating_sub(state.used()));
        let now = state.now;
        let Some(Node::File(file)) = state.nodes.get_mut(&self.ino) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match failed_sync {
            // The kernel marks the pages clean though they never reached the disk.
            Err(e) => {
                file.pending.clear();
                Err(e)
            }
            Ok(go) => {
                if call == Call::Write {
                    file.modified = now;
                }
                let value = act(file, &go, room)?;
                end(go, value)
            }
        }
    }
}

impl File for SimFile {
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        assert!(self.writable, "{} was opened to read", self.name);
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.with(Call::Write, |file, _, room| {
            let at = offset as usize;
            let grows = (at + bytes.len()).saturating_sub(file.content.len()) as u64;
            let full = room.is_some_and(|room| grows > room);
            if full {
                let missing = grows - room.unwrap_or(0);
                bytes.truncate(bytes.len().saturating_sub(missing as usize));
            }
            put(&mut file.content, at, &bytes);
            file.pending.push(FileOp::Write { at, bytes });
            if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.with(Call::Read, |file, _, _| {
            let from = (offset as usize).min(file.content.len());
            let n = buf.len().min(file.content.len() - from);
            buf[..n].copy_from_slice(&file.content[from..from + n]);
            Ok(n)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(Call::Read, |file, _, _| Ok(file.content.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        assert!(self.writable, "{} was opened to read", self.name);
        self.with(Call::Write, |file, _, _| {
            file.content.resize(len as usize, 0);
            file.pending.push(FileOp::SetLen(len as usize));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(Call::Sync, |file, go, _| {
            if let Go::Do = go {
                // Only what is pending is written: what a failed sync left behind never reaches the disk.
                for op in std::mem::take(&mut file.pending) {
                    match op {
                        FileOp::Write { at, bytes } => put(&mut file.durable, at, &bytes),
                        FileOp::SetLen(len) => file.durable.resize(len, 0),
                    }
                }
            }
            Ok(())
        })
    }

    fn allocate(&self, _offset: u64, _len: u64) -> io::Result<()> {
        self.with(Call::Write, |_, _, _| Ok(()))
    }

    fn is_resident(&self, _offset: u64, _len: u64) -> bool {
        true
    }

    fn prefetch(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
#[path = "disk_test.rs"]
mod tests;
