//! Instructions that hot parts take, counted by callgrind: the same on every run, whatever the machine is
//! busy with.
//!
//! A part is done many times by this program under valgrind, and then twice as many times; the difference,
//! per time, is its cost without start-up and first-time work. System calls count as nothing: what the kernel
//! does is not in it. The committed counts are in benches/instructions.tsv, and `--check` compares with them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use ottla::coordinator::group::command::{Heartbeat, Join, Protocol, Sync};
use ottla::coordinator::group::state::Hard;
use ottla::coordinator::group::{Command as Ask, GroupConfigs, GroupShard, Reply};
use ottla::coordinator::shard::{Cx, Entry, Output, Shard, Ticket};
use ottla::env::Env;
use ottla::metadata::MetadataImage;
use ottla::schema::api;
use ottla::storage::validate::{AppendOrigin, ValidateConfig, validate};
use ottla::storage::{AppendBy, Log, LogConfig, Manager, ManagerConfig};
use ottla::types::{ErrorCode, Ms, Rng, TopicId, TopicPartition};
use ottla::wire::guard::{self, Limits};
use ottla::wire::header::RequestHeader;
use ottla::wire::records::BatchBuilder;

use super::client::{frame, text};
use crate::process::{found, quietly, root, target};

/// A count may grow by this share of the committed one before `--check` fails. The same build gives the same counts to
/// the instruction; but the compiler cuts and inlines differently when something else changes, which moved small parts
/// by up to 7%.
const TOLERANCE: f64 = 0.1;
/// The same where another compiler made the committed counts: then only a blunder is told from its doings.
const TOLERANCE_OTHER_COMPILER: f64 = 0.25;
/// The line of the committed file that names its compiler.
const COMPILER: &str = "# compiler: ";
/// What a partition of the coordinators takes.
const MAX_BATCH_BYTES: usize = 1 << 20;
const NOW: Ms = 1_700_000_000_000;
/// Produce and Fetch as today's clients send them, the last versions that name topics.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;

struct Part {
    name: &'static str,
    about: &'static str,
    /// How often it is done; twice that for the second count.
    times: u64,
    work: fn(u64) -> io::Result<()>,
}

const PARTS: &[Part] = &[
    Part { name: "validate-64k", about: "check a produced batch of 64 KiB", times: 50, work: validate_64k },
    Part { name: "validate-1", about: "check a batch of one record", times: 2000, work: validate_one },
    Part { name: "produce-decode", about: "header, guard, body of a Produce", times: 2000, work: decode },
    Part { name: "fetch-encode", about: "encode a Fetch answer of 12 partitions", times: 1000, work: encode },
    Part { name: "append-64k", about: "check and append 64 KiB to a log", times: 50, work: append_64k },
    Part { name: "append-1", about: "check and append one record to a log", times: 2000, work: append_one },
    Part { name: "heartbeat", about: "a member's heartbeat, in a group of 10", times: 2000, work: heartbeat },
];

fn bad(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// A batch of 100-byte values: one record, or as many as fit 64 KiB. Always the same bytes.
fn batch(records: Option<i32>) -> Vec<u8> {
    let (mut rng, mut builder, mut value) = (Rng::new(1), BatchBuilder::new(0), [0u8; 100]);
    while records.map_or(builder.bytes() < 64 * 1024 - 110, |records| builder.count() < records) {
        value.fill_with(|| rng.below(256) as u8);
        builder.append(NOW, None, Some(&value));
    }
    builder.finish()
}

fn check(bytes: &[u8], times: u64) -> io::Result<()> {
    let config = ValidateConfig::default();
    for _ in 0..times {
        validate(std::hint::black_box(bytes), &config, AppendOrigin::Client, NOW).map_err(bad)?;
    }
    Ok(())
}

fn validate_64k(times: u64) -> io::Result<()> {
    check(&batch(None), times)
}

fn validate_one(times: u64) -> io::Result<()> {
    check(&batch(Some(1)), times)
}

/// One record to each of 12 partitions.
fn decode(times: u64) -> io::Result<()> {
    let mut request = api::ProduceRequest::default();
    request.acks = -1;
    request.timeout_ms = 30_000;
    let mut topic = api::produce_request::TopicProduceData::default();
    topic.name = text("a-topic").into();
    for index in 0..12 {
        let mut partition = api::produce_request::PartitionProduceData::default();
        partition.index = index;
        partition.records = Some(batch(Some(1)).into());
        topic.partition_data.push(partition);
    }
    request.topic_data.push(topic);
    let frame = Bytes::from(frame(&request, PRODUCE_VERSION, 1)?).slice(4..);
    let limits = Limits::default();
    for _ in 0..times {
        let mut body = std::hint::black_box(&frame).clone();
        let header = RequestHeader::decode(&mut body).map_err(bad)?;
        guard::check(header.api.key, header.version, &body, &limits).map_err(bad)?;
        let request = api::ProduceRequest::decode(&mut body, header.version).map_err(bad)?;
        std::hint::black_box(request);
    }
    Ok(())
}

fn encode(times: u64) -> io::Result<()> {
    let mut topic = api::fetch_response::FetchableTopicResponse::default();
    topic.topic = text("a-topic").into();
    for index in 0..12 {
        let mut partition = api::fetch_response::PartitionData::default();
        partition.partition_index = index;
        partition.high_watermark = 1000;
        partition.records = Some(Bytes::from_static(&[0; 100]));
        topic.partitions.push(partition);
    }
    let mut response = api::FetchResponse::default();
    response.responses.push(topic);
    let mut buffer = BytesMut::with_capacity(4096);
    for _ in 0..times {
        buffer.clear();
        std::hint::black_box(&response).encode(&mut buffer, FETCH_VERSION).map_err(bad)?;
        std::hint::black_box(&buffer);
    }
    Ok(())
}

/// Calls `with` with a new log, and removes that.
fn with_log(with: impl FnOnce(&mut Log) -> io::Result<()>) -> io::Result<()> {
    let dir = target().join(format!("bench/parts-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let config = Arc::new(LogConfig::default());
    let done = (|| {
        let manager =
            Manager::open(Env::os().disk, std::slice::from_ref(&dir), ManagerConfig::default(), NOW)
                .map_err(bad)?;
        manager.recover_here(|_| config.clone());
        let topic = TopicId(uuid::Uuid::from_u128(9));
        let mut log = manager.log(&TopicPartition::new("t", 0), topic, config.clone(), None).map_err(bad)?;
        with(&mut log)
    })();
    std::fs::remove_dir_all(&dir)?;
    done
}

fn append(bytes: &[u8], times: u64) -> io::Result<()> {
    with_log(|log| {
        let config = log.config().validate.clone();
        for _ in 0..times {
            let mut plan = validate(bytes, &config, AppendOrigin::Client, NOW).map_err(bad)?;
            log.append_as_leader(bytes, &mut plan, AppendBy::client(0), NOW).map_err(bad)?;
        }
        Ok(())
    })
}

fn append_64k(times: u64) -> io::Result<()> {
    append(&batch(None), times)
}

fn append_one(times: u64) -> io::Result<()> {
    append(&batch(Some(1)), times)
}

/// A group shard and what it needs to be asked.
struct Machine {
    config: GroupConfigs,
    hard: Hard,
    soft: <GroupShard as Shard>::Soft,
    image: MetadataImage,
    rng: Rng,
    now: Ms,
    written: i64,
}

impl Machine {
    /// Calls the shard and replays what it writes. -> its replies
    fn call(
        &mut self,
        call: impl FnOnce(
            &Hard,
            &mut <GroupShard as Shard>::Soft,
            &mut Cx<'_, GroupConfigs>,
            &mut Output<GroupShard>,
        ),
    ) -> Vec<(Ticket, Reply)> {
        let mut out = Output::default();
        let mut cx = Cx {
            now: self.now,
            monotonic: self.now,
            cluster: &self.image,
            config: &self.config,
            max_batch_bytes: MAX_BATCH_BYTES,
            rng: &mut self.rng,
        };
        call(&self.hard, &mut self.soft, &mut cx, &mut out);
        for record in out.records {
            GroupShard::replay(&mut self.hard, self.written, Entry::Record { producer: None, record });
            self.written += 1;
        }
        out.replies
    }

    fn ask(&mut self, ticket: u64, ask: Ask) -> Vec<(Ticket, Reply)> {
        self.call(|hard, soft, cx, out| GroupShard::handle(hard, soft, cx, Ticket(ticket), ask, out))
    }
}

/// A stable group of ten, and one of its members that lives.
fn heartbeat(times: u64) -> io::Result<()> {
    let mut machine = Machine {
        config: GroupConfigs::default(),
        hard: Hard::default(),
        soft: Default::default(),
        image: MetadataImage::empty(),
        rng: Rng::new(1),
        now: NOW,
        written: 0,
    };
    machine.call(|hard, soft, cx, _| GroupShard::loaded(hard, soft, cx));
    let group: Arc<str> = Arc::from("a-group");
    for ticket in 0..10 {
        let join = Join {
            group: group.clone(),
            member: Arc::from(""),
            instance_id: None,
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: Arc::from("consumer"),
            protocols: vec![Protocol { name: Arc::from("range"), metadata: Bytes::from_static(b"topics") }],
            requires_known_member_id: false,
            can_skip_assignment: false,
        };
        machine.ask(ticket, Ask::Join(join));
    }
    let mut joined = Vec::new();
    while joined.is_empty() {
        let due = GroupShard::next_deadline(&machine.soft).ok_or_else(|| bad("the group never forms"))?;
        machine.now = machine.now.max(due);
        joined = machine.call(GroupShard::on_deadline);
    }
    let mut members = Vec::new();
    for (_, reply) in joined {
        let Reply::Join(joined) = reply else { return Err(bad("not the answer to JoinGroup")) };
        members.push(joined);
    }
    let first = members.first().ok_or_else(|| bad("nobody joined"))?;
    let (generation, leader) = (first.generation, first.leader.clone());
    let assigned = members.iter().map(|m| (m.member.clone(), Bytes::from_static(b"partitions"))).collect();
    let sync = Sync {
        group: group.clone(),
        generation,
        member: leader.clone(),
        instance_id: None,
        protocol_type: None,
        protocol: None,
        assignments: assigned,
    };
    machine.ask(100, Ask::Sync(sync));
    for time in 0..times {
        machine.now += 1;
        let beat = Heartbeat { group: group.clone(), generation, member: leader.clone(), instance_id: None };
        match machine.ask(1000 + time, Ask::Heartbeat(beat)).pop() {
            Some((_, Reply::Heartbeat(ErrorCode::None))) => {}
            other => return Err(bad(format!("a heartbeat was answered by {other:?}"))),
        }
    }
    Ok(())
}

/// Does a part so often: what is counted. -> whether it went well
pub(crate) fn work(name: &str, times: u64) -> bool {
    let Some(part) = PARTS.iter().find(|part| part.name == name) else { return false };
    match (part.work)(times) {
        Ok(()) => true,
        Err(error) => {
            println!("{name}: {error}");
            false
        }
    }
}

/// Instructions of this program when it does a part so often.
fn count(part: &Part, times: u64) -> io::Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    command.args(["bench", "parts", part.name, "--work", &times.to_string()]);
    command.env("LC_ALL", "C").stderr(std::process::Stdio::piped());
    let done = command.output()?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if !done.status.success() {
        let out = String::from_utf8_lossy(&done.stdout).into_owned();
        return Err(bad(format!("{}: {out}{said}", part.name)));
    }
    // `==123== Collected : 4567`
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| bad(format!("valgrind gave no count: {said}")))
}

fn file() -> PathBuf {
    root().join("benches/instructions.tsv")
}

/// The compiler's name and version, without its date and commit.
fn compiler() -> io::Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("--version");
    let version = quietly(rustc).map_err(bad)?;
    Ok(version.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The compiler that made the committed counts.
fn committed_compiler(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(COMPILER)).unwrap_or_default().to_owned()
}

/// Why counts cannot be compared here; `None` if they can.
pub(crate) fn cannot_compare() -> Option<&'static str> {
    if !found("valgrind") {
        return Some("valgrind, which does the counting, is not installed");
    }
    (!cfg!(target_arch = "x86_64")).then_some("the committed counts are those of x86-64")
}

/// `name<TAB>instructions`; lines with `#` are comments.
fn read(path: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.starts_with('#')) {
        let (name, count) = line.split_once('\t').ok_or_else(|| bad(format!("{line}: no tab")))?;
        counts.insert(name.to_owned(), count.parse().map_err(bad)?);
    }
    Ok(counts)
}

fn written(counts: &BTreeMap<String, u64>, compiler: &str) -> String {
    let mut out = format!(
        "# Instructions of hot parts, counted by `cargo dev bench parts --update` (callgrind, x86-64).\n\
         {COMPILER}{compiler}\n"
    );
    for (name, count) in counts {
        out += &format!("{name}\t{count}\n");
    }
    out
}

/// Counts all parts. -> with `compare`, whether none grew past its tolerance
pub(crate) fn run(compare: bool, update: bool) -> io::Result<bool> {
    if !found("valgrind") {
        return Err(bad("install valgrind: it does the counting"));
    }
    let mut version = Command::new("valgrind");
    version.arg("--version");
    println!("{}", quietly(version).map_err(bad)?.trim());
    let committed = read(&file()).unwrap_or_default();
    let (ours, theirs) = (compiler()?, committed_compiler(&file()));
    let tolerance = if ours == theirs { TOLERANCE } else { TOLERANCE_OTHER_COMPILER };
    if ours != theirs {
        println!("{ours} counts here and {theirs} made the committed counts: only great differences matter");
    }
    let (mut counts, mut good) = (BTreeMap::new(), true);
    println!("{:16}{:>14}{:>14}{:>9}", "", "instructions", "committed", "ratio");
    for part in PARTS {
        let (once, twice) = (count(part, part.times)?, count(part, 2 * part.times)?);
        let each = twice.saturating_sub(once) / part.times;
        counts.insert(part.name.to_owned(), each);
        let before = committed.get(part.name).copied();
        let ratio = before.map(|before| each as f64 / before as f64);
        let grew = ratio.is_none_or(|ratio| ratio > 1.0 + tolerance);
        good &= !(compare && grew);
        println!(
            "{:16}{each:>14}{:>14}{:>9}  {}{}",
            part.name,
            before.map_or("-".to_owned(), |before| before.to_string()),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
            part.about,
            if compare && grew { "  TOO MANY" } else { "" }
        );
    }
    if update {
        std::fs::write(file(), written(&counts, &ours))?;
        println!("written: benches/instructions.tsv");
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_does_its_work() {
        for part in PARTS {
            assert!(work(part.name, 3), "{}", part.name);
        }
        assert!(!work("no such part", 1));
    }

    #[test]
    fn the_committed_counts_are_of_these_parts() {
        let committed = read(&file()).unwrap();
        let mut names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        names.sort_unstable();
        assert_eq!(committed.keys().map(String::as_str).collect::<Vec<_>>(), names);
        let compiler = committed_compiler(&file());
        assert!(compiler.starts_with("rustc "), "{compiler}");
        assert_eq!(std::fs::read_to_string(file()).unwrap(), written(&committed, &compiler));
    }
}
