//! Scripts in `tests/scripts/group`: commands, `----`, what they bring about. `UPDATE_EXPECT=1` rewrites the latter.
//!
//! ```text
//! join G MEMBER|- [instance=I] [client=C] [session=MS] [rebalance=MS] [type=T] [protocols=P,Q] [topics=A,B] [v=N]
//! sync G MEMBER gen=N [instance=I] [type=T] [protocol=P] [assign=MEMBER:TEXT,...]
//! beat G MEMBER gen=N [instance=I]          leave G MEMBER|MEMBER/INSTANCE|/INSTANCE ...
//! commit G TOPIC-N=OFFSET ... [gen=N] [member=M] [instance=I] [retention=MS] [note=TEXT] [v=N]
//! fetch G [TOPIC-N ...] [stable] [member=M] [epoch=N]
//! forget G TOPIC-N ...     list [states=S,..] [types=T,..]     describe G ...     delete G ...
//! after MS                 passes time, deadline by deadline
//! deadline                 when something is due next
//! drop-topics T ...        restart        config KEY=VALUE ...
//! txn-commit P G TOPIC-N=OFFSET ...       end-txn P commit|abort
//! hb G MEMBER|- epoch=N [instance=I] [rack=R] [rebalance=MS] [names=A,B] [regex=R] [assignor=A] [own=T-N,..|own=none] [v=N]
//! describe-consumer G ...     topic NAME=PARTITIONS ...     group-config G KEY=VALUE ...
//! ```
//!
//! Member ids show as `CLIENT#N`: the id's random part is numbered in order of appearance.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla::coordinator::group::GroupConfigs;
use ottla::coordinator::group::command::*;
use ottla::coordinator::group::config::MigrationPolicy;
use ottla::coordinator::group::record::GroupRecord;
use ottla::coordinator::group::state::CommittedOffset;
use ottla::coordinator::shard::{Entry, Producer, Ticket};
use ottla::types::{ErrorCode, TopicId};

use super::machine::{BEGINNING, Done, Machine};

#[test]
fn scripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/group");
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut stale = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = run(&text, &path);
        if found == text {
            continue;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &found).unwrap();
        } else {
            let first = text.lines().zip(found.lines()).position(|(a, b)| a != b);
            stale.push(format!("{} from line {:?}; now:\n{found}", path.display(), first.map(|l| l + 1)));
        }
    }
    assert!(stale.is_empty(), "UPDATE_EXPECT=1 rewrites them\n{}", stale.join("\n"));
}

/// The script with what it brings about now.
fn run(text: &str, path: &Path) -> String {
    let mut script = Script::new();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let command = line.split('#').next().unwrap_or("").trim();
        if line == "----" {
            out.push_str("----\n");
            for line in lines.by_ref() {
                if line.is_empty() {
                    break;
                }
            }
            out.push_str(&std::mem::take(&mut script.said));
            if lines.peek().is_some() {
                out.push('\n');
            }
            continue;
        }
        out.push_str(line);
        out.push('\n');
        // A number sign within a word is part of a member's name.
        let command = if line.trim_start().starts_with('#') { "" } else { command.max(line.trim()) };
        if !command.is_empty() {
            let context = || format!("{}: {line}", path.display());
            script.step(command, &context);
        }
    }
    assert!(script.said.is_empty(), "{}: the last commands have no ----", path.display());
    out
}

pub(super) struct Script {
    pub(super) machine: Machine,
    /// Member ids by the name they show under.
    ids: BTreeMap<String, Arc<str>>,
    names: BTreeMap<Arc<str>, String>,
    asked: BTreeMap<Ticket, String>,
    said: String,
}

/// A command's words: those without and those with a `=`.
pub(super) struct Words<'a> {
    pub(super) plain: Vec<&'a str>,
    pub(super) named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn number(&self, name: &str, otherwise: i64) -> i64 {
        self.named.get(name).map_or(otherwise, |v| v.parse().unwrap())
    }

    pub(super) fn text(&self, name: &str) -> Option<Arc<str>> {
        self.named.get(name).map(|v| Arc::from(*v))
    }

    pub(super) fn list(&self, name: &str) -> Vec<&'a str> {
        self.named.get(name).map(|v| v.split(',').filter(|v| !v.is_empty()).collect()).unwrap_or_default()
    }

    /// `TOPIC-N=OFFSET`, by topic.
    fn offsets(&self) -> BTreeMap<&'a str, Vec<(i32, i64)>> {
        let mut topics: BTreeMap<&str, Vec<(i32, i64)>> = BTreeMap::new();
        for (name, value) in &self.named {
            if let Some((topic, index)) = partition(name) {
                topics.entry(topic).or_default().push((index, value.parse().unwrap()));
            }
        }
        topics
    }

    /// `TOPIC-N`, by topic.
    fn partitions(&self) -> Vec<(&'a str, Vec<i32>)> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, index) in self.plain.iter().filter_map(|word| partition(word)) {
            topics.entry(topic).or_default().push(index);
        }
        topics.into_iter().collect()
    }
}

pub(super) fn partition(word: &str) -> Option<(&str, i32)> {
    let (topic, index) = word.rsplit_once('-')?;
    Some((topic, index.parse().ok()?))
}

/// The metadata of a consumer that subscribes to `topics`, version 0.
pub(super) fn subscription(topics: &[&str]) -> Bytes {
    let mut out = vec![0, 0];
    out.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        out.extend((topic.len() as i16).to_be_bytes());
        out.extend(topic.as_bytes());
    }
    out.extend((-1i32).to_be_bytes());
    out.into()
}

impl Script {
    fn new() -> Script {
        Script {
            machine: Machine::new(GroupConfigs::default(), 7),
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            asked: BTreeMap::new(),
            said: String::new(),
        }
    }

    fn step(&mut self, line: &str, context: &dyn Fn() -> String) {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let mut w = Words { plain: Vec::new(), named: BTreeMap::new() };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => drop(w.named.insert(name, value)),
                None => w.plain.push(word),
            }
        }
        let command = match verb {
            "join" => self.join(&w),
            "sync" => Command::Sync(Sync {
                group: w.plain[0].into(),
                generation: w.number("gen", -1) as i32,
                member: self.id(w.plain[1]),
                instance_id: w.text("instance"),
                protocol_type: w.text("type"),
                protocol: w.text("protocol"),
                assignments: w
                    .list("assign")
                    .iter()
                    .map(|one| one.split_once(':').unwrap())
                    .map(|(member, what)| (self.id(member), Bytes::copy_from_slice(what.as_bytes())))
                    .collect(),
            }),
            "beat" => Command::Heartbeat(Heartbeat {
                group: w.plain[0].into(),
                generation: w.number("gen", -1) as i32,
                member: self.id(w.plain[1]),
                instance_id: w.text("instance"),
            }),
            "leave" => Command::Leave(Leave {
                group: w.plain[0].into(),
                members: w.plain[1..]
                    .iter()
                    .map(|who| match who.split_once('/') {
                        Some((member, instance)) => (self.id(member), Some(Arc::from(instance))),
                        None => (self.id(who), None),
                    })
                    .collect(),
            }),
            "commit" => self.commit(&w),
            "fetch" => {
                let topics = w.partitions().into_iter().map(|(name, partitions)| FetchTopic {
                    name: name.into(),
                    id: TopicId::NIL,
                    partitions,
                });
                let topics: Vec<_> = topics.collect();
                Command::Fetch(OffsetFetch {
                    group: w.plain[0].into(),
                    member: w.named.get("member").map(|m| self.id(m)),
                    member_epoch: w.number("epoch", -1) as i32,
                    topics: (!topics.is_empty()).then_some(topics),
                    require_stable: w.plain.contains(&"stable"),
                })
            }
            "forget" => Command::DeleteOffsets(OffsetDelete {
                group: w.plain[0].into(),
                topics: w.partitions().into_iter().map(|(t, p)| (t.into(), p)).collect(),
            }),
            "hb" => self.heartbeat(&w),
            "describe-consumer" => Command::ConsumerDescribe(w.plain.iter().map(|&g| g.into()).collect()),
            "list" => Command::List(ListGroups {
                states: w.list("states").into_iter().map(str::to_owned).collect(),
                types: w.list("types").into_iter().map(str::to_owned).collect(),
            }),
            "describe" => Command::Describe(w.plain.iter().map(|&g| g.into()).collect()),
            "delete" => Command::Delete(w.plain.iter().map(|&g| g.into()).collect()),
            other => {
                self.aside(other, &w, context);
                self.machine.check();
                return;
            }
        };
        let (ticket, done) = self.machine.ask(command);
        let name = format!("{verb}{}", ticket.0);
        self.asked.insert(ticket, name.clone());
        self.say(&done);
        if self.machine.open.contains(&ticket) {
            writeln!(self.said, "{name} waits").unwrap();
        }
        self.machine.check();
    }

    fn aside(&mut self, verb: &str, w: &Words<'_>, context: &dyn Fn() -> String) {
        match verb {
            "after" => {
                let until = self.machine.now + w.plain[0].parse::<i64>().unwrap();
                while let Some(done) = self.machine.next_due(until) {
                    if !done.records.is_empty() || !done.replies.is_empty() {
                        writeln!(self.said, "at {}:", self.machine.now - BEGINNING).unwrap();
                        self.say(&done);
                    }
                    self.machine.check();
                }
                self.machine.now = until;
            }
            "deadline" => {
                let at = self.machine.next_deadline().map(|at| at - BEGINNING);
                writeln!(self.said, "now {}, next {at:?}", self.machine.now - BEGINNING).unwrap();
            }
            "topic" => {
                for (name, partitions) in &w.named {
                    let done = self.machine.set_topic(name, partitions.parse().unwrap());
                    self.say(&done);
                }
            }
            "group-config" => {
                for (key, value) in &w.named {
                    let done = self.machine.set_group_config(w.plain[0], key, value);
                    self.say(&done);
                }
            }
            "drop-topics" => {
                let done = self.machine.delete_topics(&w.plain);
                self.say(&done);
            }
            "restart" => {
                let lost = self.machine.restart();
                let lost: Vec<_> = lost.iter().map(|ticket| self.asked[ticket].clone()).collect();
                writeln!(self.said, "restarted; unanswered: {}", lost.join(" ")).unwrap();
            }
            "txn-commit" => {
                let producer = Producer { id: w.plain[0].parse().unwrap(), epoch: 0 };
                for (topic, partitions) in w.offsets() {
                    for (partition, offset) in partitions {
                        let offset = CommittedOffset {
                            offset,
                            leader_epoch: -1,
                            metadata: "".into(),
                            commit_timestamp: self.machine.now,
                            expire_timestamp: None,
                            topic_id: TopicId::NIL,
                            at: -1,
                        };
                        let record = GroupRecord::Offset {
                            group: w.plain[1].into(),
                            topic: topic.into(),
                            partition,
                            offset: Some(offset),
                        };
                        self.machine.append(Entry::Record { producer: Some(producer), record });
                    }
                }
            }
            "end-txn" => self.machine.end_txn(w.plain[0].parse().unwrap(), w.plain[1] == "commit"),
            "config" => {
                let Machine { config, max_batch_bytes, .. } = &mut self.machine;
                for (&name, value) in &w.named {
                    let value: i64 = value.parse().unwrap();
                    match name {
                        "consumer_max_size" => config.consumer.max_size = value as usize,
                        "interval" => config.consumer.assignment_interval_ms.value = value,
                        "migration" => {
                            let policies = ["disabled", "upgrade", "downgrade", "bidirectional"];
                            let policy = MigrationPolicy::from_name(policies[value as usize]);
                            config.consumer.migration = policy.unwrap();
                        }
                        "max_size" => config.max_size = value as usize,
                        "initial_delay" => config.initial_rebalance_delay_ms = value as i32,
                        "metadata_max" => config.offset_metadata_max_bytes = value as usize,
                        "retention" => config.offsets_retention_ms = value,
                        "max_batch" => *max_batch_bytes = value as usize,
                        "max_pending" => config.max_pending_members = value as usize,
                        other => panic!("{}: no setting {other}", context()),
                    }
                }
            }
            other => panic!("{}: no command {other}", context()),
        }
    }

    fn join(&mut self, w: &Words<'_>) -> Command {
        let version = w.number("v", 9);
        let topics = w.list("topics");
        let metadata = match w.named.get("metadata") {
            Some(text) => Bytes::copy_from_slice(text.as_bytes()),
            None => subscription(&topics),
        };
        let protocols = match w.named.contains_key("protocols") {
            true => w.list("protocols"),
            false => vec!["range"],
        };
        let session = w.number("session", 10_000) as i32;
        Command::Join(Join {
            group: w.plain[0].into(),
            member: self.id(w.plain[1]),
            instance_id: w.text("instance"),
            client_id: w.text("client").unwrap_or_else(|| "c".into()),
            client_host: "/127.0.0.1".into(),
            session_timeout_ms: session,
            rebalance_timeout_ms: w.number("rebalance", 60_000) as i32,
            protocol_type: w.text("type").unwrap_or_else(|| "consumer".into()),
            protocols: protocols
                .into_iter()
                .map(|name| Protocol { name: name.into(), metadata: metadata.clone() })
                .collect(),
            requires_known_member_id: version >= 4,
            can_skip_assignment: version >= 9,
        })
    }

    fn commit(&mut self, w: &Words<'_>) -> Command {
        let note: Arc<str> = w.text("note").unwrap_or_else(|| "".into());
        let topics = w.offsets().into_iter().map(|(name, partitions)| CommitTopic {
            name: name.into(),
            id: TopicId::NIL,
            partitions: partitions
                .into_iter()
                .map(|(index, offset)| CommitPartition {
                    index,
                    offset,
                    leader_epoch: -1,
                    metadata: note.clone(),
                })
                .collect(),
        });
        Command::Commit(OffsetCommit {
            producer: None,
            group: w.plain[0].into(),
            generation: w.number("gen", -1) as i32,
            member: w.named.get("member").map_or_else(|| "".into(), |m| self.id(m)),
            instance_id: w.text("instance"),
            retention_ms: w.number("retention", -1),
            topics: topics.collect(),
            knows_member_epochs: w.number("v", 9) >= 9,
        })
    }

    /// The id that shows under `name`; a name that nobody has is an id of its own.
    pub(super) fn id(&self, name: &str) -> Arc<str> {
        match name {
            "-" | "" => Arc::from(""),
            name => self.ids.get(name).cloned().unwrap_or_else(|| Arc::from(name)),
        }
    }

    /// What an id shows as.
    pub(super) fn name(&mut self, id: &Arc<str>) -> String {
        if id.is_empty() {
            return "-".to_owned();
        }
        if let Some(name) = self.names.get(id) {
            return name.clone();
        }
        // A UUID has 36 characters, and a dash before it.
        let Some(prefix) = id.len().checked_sub(37).map(|at| &id[..at]) else { return id.to_string() };
        let name = format!("{prefix}#{}", self.names.len() + 1);
        self.names.insert(id.clone(), name.clone());
        self.ids.insert(name.clone(), id.clone());
        name
    }

    pub(super) fn say(&mut self, done: &Done) {
        for record in &done.records {
            let said = self.record(record);
            writeln!(self.said, "  wrote {said}").unwrap();
        }
        for (ticket, reply) in &done.replies {
            let said = self.reply(reply);
            let said =
                format!("{} {said}", self.asked.get(ticket).cloned().unwrap_or_else(|| "=>".to_owned()));
            writeln!(self.said, "{}", said.trim_end()).unwrap();
        }
    }

    fn record(&mut self, record: &GroupRecord) -> String {
        match record {
            GroupRecord::Group { group, metadata: None } => format!("{group} is no more"),
            GroupRecord::Group { group, metadata: Some(m) } => {
                let mut said = format!(
                    "{group} gen={} type={} protocol={}",
                    m.generation,
                    or_dash(&m.protocol_type),
                    or_dash(&m.protocol)
                );
                if let Some(leader) = &m.leader {
                    write!(said, " leader={}", self.name(leader)).unwrap();
                }
                for member in &m.members {
                    let assignment = shown(&member.assignment);
                    write!(said, " [{}", self.name(&member.id)).unwrap();
                    if let Some(instance) = &member.instance_id {
                        write!(said, "/{instance}").unwrap();
                    }
                    write!(said, ": {assignment}]").unwrap();
                }
                said
            }
            GroupRecord::Offset { group, topic, partition, offset } => match offset {
                None => format!("{group} {topic}-{partition} is no more"),
                Some(o) => format!("{group} {topic}-{partition}={}{}", o.offset, note(&o.metadata)),
            },
            GroupRecord::Consumer(record) => self.consumer_record(record),
            GroupRecord::Share(record) => format!("{} {:?}", record.group, record.change),
            GroupRecord::Foreign(record) => format!("{} {:?}", record.group, record.kind),
        }
    }

    fn reply(&mut self, reply: &Reply) -> String {
        match reply {
            Reply::Join(joined) => self.joined(joined),
            Reply::Sync(s) => match s.error {
                ErrorCode::None => format!(
                    "ok type={} protocol={} [{}]",
                    or_dash(&s.protocol_type),
                    or_dash(&s.protocol),
                    shown(&s.assignment)
                ),
                error => error.to_string(),
            },
            Reply::Heartbeat(error) => ok(*error),
            Reply::ConsumerHeartbeat(reply) => self.beaten(reply),
            Reply::ConsumerDescribe(groups) => self.described(groups),
            Reply::Leave(left) => {
                let one = |l: &Left| {
                    let instance = l.instance_id.as_ref().map(|i| format!("/{i}")).unwrap_or_default();
                    let member = l.member.clone();
                    (member, instance, l.error)
                };
                let all: Vec<_> = left.iter().map(one).collect();
                let all: Vec<_> = all
                    .into_iter()
                    .map(|(member, instance, error)| {
                        format!("{}{instance} {}", self.name(&member), ok(error))
                    })
                    .collect();
                all.join(", ")
            }
            Reply::Commit(result) | Reply::DeleteOffsets(result) => match result {
                Ok(topics) => {
                    let one = |t: &TopicErrors| {
                        let each = t.partitions.iter().map(|(i, e)| format!("{}-{i} {}", t.name, ok(*e)));
                        each.collect::<Vec<_>>().join(", ")
                    };
                    topics.iter().map(one).collect::<Vec<_>>().join(", ")
                }
                Err(error) => error.to_string(),
            },
            Reply::Fetch(result) => match result {
                Ok(topics) => {
                    let mut all = Vec::new();
                    for topic in topics {
                        for p in &topic.partitions {
                            let error =
                                if p.error.is_err() { format!(" {}", p.error) } else { String::new() };
                            all.push(format!(
                                "{}-{}={}{}{error}",
                                topic.name,
                                p.index,
                                p.offset,
                                note(&p.metadata)
                            ));
                        }
                    }
                    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
                }
                Err(error) => error.to_string(),
            },
            Reply::List(groups) => {
                let one = |g: &ListedGroup| {
                    format!(
                        "{} {} {} {}",
                        g.id,
                        g.state,
                        g.kind,
                        if g.protocol_type.is_empty() { "-" } else { &g.protocol_type }
                    )
                };
                groups.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Reply::Describe(groups) => {
                let mut said = String::new();
                for g in groups {
                    write!(said, "{} {} type={} protocol={}", g.id, g.state, g.protocol_type, g.protocol)
                        .unwrap();
                    if g.error.is_err() {
                        write!(said, " {} {:?}", g.error, g.error_message.as_deref().unwrap_or("")).unwrap();
                    }
                    for m in &g.members {
                        let name = self.name(&m.id);
                        let instance = m.instance_id.as_deref().unwrap_or("-");
                        write!(
                            said,
                            "\n  {name} instance={instance} client={} host={} metadata={}B [{}]",
                            m.client_id,
                            m.client_host,
                            m.metadata.len(),
                            shown(&m.assignment)
                        )
                        .unwrap();
                    }
                }
                said
            }
            Reply::Delete(groups) => {
                let each = groups.iter().map(|(g, e)| format!("{g} {}", ok(*e)));
                each.collect::<Vec<_>>().join(", ")
            }
            of_shares => format!("{of_shares:?}"),
        }
    }

    fn joined(&mut self, joined: &Joined) -> String {
        let member = self.name(&joined.member);
        if joined.error.is_err() {
            return format!("{} member={member}", joined.error);
        }
        let leader = self.name(&joined.leader);
        let mut said = format!(
            "ok member={member} gen={} type={} protocol={} leader={leader}",
            joined.generation,
            or_dash(&joined.protocol_type),
            or_dash(&joined.protocol)
        );
        if joined.skip_assignment {
            said.push_str(" skip");
        }
        if !joined.members.is_empty() {
            let names: Vec<_> = joined.members.iter().map(|m| m.id.clone()).collect();
            let names: Vec<_> = names.iter().map(|id| self.name(id)).collect();
            write!(said, " members={}", names.join(",")).unwrap();
        }
        said
    }
}

/// Text as it is, other bytes by their number.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        Ok(_) | Err(_) => format!("{} bytes", bytes.len()),
    }
}

fn or_dash(text: &Option<Arc<str>>) -> &str {
    text.as_deref().unwrap_or("-")
}

fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {text:?}") }
}

fn ok(error: ErrorCode) -> String {
    if error.is_err() { error.to_string() } else { "ok".to_owned() }
}
