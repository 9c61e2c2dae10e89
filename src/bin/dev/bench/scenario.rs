//! The scenarios: what is started, what load meets it, which numbers come out. One entry in [`ALL`] each.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise, fdatasync};

use super::broker::{Broker, Kind, Site};
use super::client::{Client, Topic, create, offsets_of, until, wait_for};
use super::frames::{Acknowledged, Shape, batch, produce};
use super::load::produce::{Produced, Until};
use super::load::{connect, fetch, latency, produce as produce_load, scatter};
use super::measure::{Histogram, Usage, cpu_seconds};

/// Named numbers of one run, in the order they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(pub(crate) Vec<(&'static str, f64)>);

impl Metrics {
    fn put(&mut self, name: &'static str, value: f64) -> &mut Metrics {
        self.0.push((name, value));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    /// Who used the machine, and whether that was too much of others.
    fn usage(&mut self, usage: &Usage) -> &mut Metrics {
        self.put("wall_s", usage.wall_s)
            .put("broker_cpu_s", usage.broker_s)
            .put("client_cpu_s", usage.client_s)
            .put("other_cpu_s", usage.other_s)
            .put("noisy", f64::from(u8::from(usage.is_noisy())))
    }

    fn memory(&mut self, broker: &Broker) -> io::Result<&mut Metrics> {
        let memory = broker.memory()?;
        Ok(self.put("rss_mib", memory.rss / 1024.0).put("peak_rss_mib", memory.peak / 1024.0))
    }

    fn acknowledged(&mut self, seen: &Histogram) -> &mut Metrics {
        self.put("ack_p50_ms", seen.quantile_ms(0.5))
            .put("ack_p99_ms", seen.quantile_ms(0.99))
            .put("ack_p999_ms", seen.quantile_ms(0.999))
            .put("ack_max_ms", seen.max_ms())
    }
}

/// What a run is given.
pub(crate) struct Cx<'a> {
    pub(crate) kind: Kind,
    pub(crate) site: &'a Site,
    pub(crate) warmup: Duration,
    /// Length of the measured window, where the command line says so.
    pub(crate) window: Option<Duration>,
    /// Gigabytes of data, where the command line says so.
    pub(crate) gigabytes: Option<f64>,
    /// Little of everything: to see that it works.
    pub(crate) quick: bool,
}

impl Cx<'_> {
    fn start(&self, properties: &[(&str, &str)]) -> io::Result<Broker> {
        Broker::start(self.kind, self.site, properties)
    }

    fn seconds(&self, usual: u64) -> Until {
        Until::Time { warmup: self.warmup, window: self.window(usual) }
    }

    fn window(&self, usual: u64) -> Duration {
        self.window.unwrap_or(Duration::from_secs(if self.quick { 2 } else { usual }))
    }

    fn bytes(&self, usual: f64) -> u64 {
        (self.gigabytes.unwrap_or(if self.quick { 0.2 } else { usual }) * 1e9) as u64
    }

    fn count(&self, usual: usize) -> usize {
        if self.quick { usual / 10 } else { usual }
    }

    /// To let what follows a load end before idling is measured.
    fn settle(&self) {
        std::thread::sleep(Duration::from_secs(if self.quick { 1 } else { 3 }));
    }
}

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Of these more is better …
    pub(crate) more: &'static [&'static str],
    /// … of these less. Others are shown for understanding.
    pub(crate) less: &'static [&'static str],
    pub(crate) run: fn(&Cx<'_>) -> io::Result<Metrics>,
}

const LATENCY_LESS: &[&str] = &[
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "ack_p50_ms",
    "ack_p99_ms",
    "ack_p999_ms",
    "broker_cpu_us_per_msg",
];

pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "produce-max",
        about: "100-byte records in 64 KiB batches to 12 partitions, acks=all, as fast as it goes",
        more: &["mb_s", "msg_s"],
        less: &["broker_cpu_s_per_gb", "ack_p50_ms", "ack_p99_ms", "ack_p999_ms", "peak_rss_mib"],
        run: produce_max,
    },
    Scenario {
        name: "produce-small",
        about: "one 100-byte record a request, 64 connections with one request each in flight",
        more: &["req_s"],
        less: &["broker_cpu_us_per_req", "ack_p50_ms", "ack_p99_ms", "ack_p999_ms"],
        run: produce_small,
    },
    Scenario {
        name: "latency-2k",
        about: "2,000 one-record requests a second, acks=all, open loop: from schedule to consumer",
        more: &[],
        less: LATENCY_LESS,
        run: |cx| latency_at(cx, 2_000.0, 1),
    },
    Scenario {
        name: "latency-20k",
        about: "20,000 records a second in 4,000 requests, acks=all, open loop: from schedule to consumer",
        more: &[],
        less: LATENCY_LESS,
        run: |cx| latency_at(cx, 20_000.0, 5),
    },
    Scenario {
        name: "fetch",
        about: "4 GB read in sequence: after the log left the page cache, then from it (the best of three)",
        more: &["hot_mb_s", "cold_mb_s"],
        less: &["hot_cpu_s_per_gb", "cold_cpu_s_per_gb", "peak_rss_mib"],
        run: fetch_all,
    },
    Scenario {
        name: "fanout",
        about: "one producing connection, 8 consumers at the ends of all 12 partitions, until all have all",
        more: &["in_mb_s", "out_mb_s"],
        less: &["broker_cpu_s_per_gb_out", "ack_p99_ms"],
        run: fanout,
    },
    Scenario {
        name: "startup",
        about: "from exec to the first answer and the first acknowledged record; what an idle broker costs",
        more: &[],
        less: &["api_ms", "produce_ms", "used_api_ms", "used_produce_ms", "idle_rss_mib", "idle_cpu_pct"],
        run: startup,
    },
    Scenario {
        name: "connections",
        about: "5,000 connections, each idle after one request: how fast they come, what they keep",
        more: &["conn_s"],
        less: &["setup_p99_ms", "cpu_us_per_conn", "anon_kib_per_conn", "rss_kib_per_conn", "rss_mib"],
        run: connections,
    },
    Scenario {
        name: "fsync",
        about: "flush.messages=1: on the disk before it is acknowledged; single records, then 64 KiB batches",
        more: &["req_s", "batch_mb_s"],
        less: &["ack_p50_ms", "ack_p99_ms", "ack_p999_ms", "batch_ack_p99_ms"],
        run: fsync,
    },
    Scenario {
        name: "recovery",
        about: "10 GB in 100 partitions, kill -9, start: until all partitions answer; then all is counted",
        more: &[],
        less: &["ready_s", "readable_s", "ready_cpu_s"],
        run: recovery,
    },
    Scenario {
        name: "partitions-5000",
        about: "5,000 partitions: made, written to by chance, stopped, started again",
        more: &[],
        less: &[
            "create_s",
            "anon_kib_per_partition",
            "rss_kib_per_partition",
            "idle_cpu_pct",
            "ack_p50_ms",
            "ack_p99_ms",
            "stop_s",
            "restart_s",
        ],
        run: partitions,
    },
];

const PARTITIONS: i32 = 12;
const VALUE_BYTES: usize = 100;
const BATCHES: Shape = Shape { batch_bytes: 65536, value_bytes: VALUE_BYTES, variants: 4 };
const SINGLE: Shape = Shape { batch_bytes: 0, value_bytes: VALUE_BYTES, variants: 1 };

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn load(
    broker: &Broker,
    topic: &Topic,
    shape: Shape,
    (connections, in_flight): (usize, usize),
    until: Until,
) -> io::Result<Produced> {
    let plan = produce_load::Plan { shape, connections, in_flight, until };
    produce_load::run(broker.address(), broker.pid(), topic, &plan)
}

fn produced(metrics: &mut Metrics, done: &Produced) {
    let seconds = done.usage.wall_s;
    metrics
        .put("mb_s", done.batch_bytes as f64 / 1e6 / seconds)
        .put("msg_s", done.records as f64 / seconds)
        .put("req_s", done.requests as f64 / seconds)
        .put("broker_cpu_s_per_gb", done.usage.broker_s / (done.batch_bytes as f64 / 1e9))
        .put("broker_cpu_us_per_req", done.usage.broker_s * 1e6 / done.requests as f64)
        .acknowledged(&done.acknowledged)
        .put("checked_records", done.total_records as f64);
}

fn produce_max(cx: &Cx<'_>) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    let topic = broker.topic("bench", PARTITIONS, &[])?;
    let done = load(&broker, &topic, BATCHES, (4, 2), cx.seconds(10))?;
    let mut metrics = Metrics::default();
    produced(&mut metrics, &done);
    metrics.usage(&done.usage).memory(&broker)?;
    Ok(metrics)
}

fn produce_small(cx: &Cx<'_>) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    let topic = broker.topic("bench", PARTITIONS, &[])?;
    let done = load(&broker, &topic, SINGLE, (64, 1), cx.seconds(10))?;
    let mut metrics = Metrics::default();
    produced(&mut metrics, &done);
    metrics.usage(&done.usage).memory(&broker)?;
    Ok(metrics)
}

fn latency_at(cx: &Cx<'_>, rate: f64, group: u64) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    let topic = broker.topic("latency", PARTITIONS, &[])?;
    let plan = latency::Plan { rate, group, connections: 4, warmup: cx.warmup, window: cx.window(20) };
    let seen = latency::run(broker.address(), broker.pid(), &topic, &plan)?;
    let mut metrics = Metrics::default();
    metrics
        .put("p50_ms", seen.end_to_end.quantile_ms(0.5))
        .put("p90_ms", seen.end_to_end.quantile_ms(0.9))
        .put("p99_ms", seen.end_to_end.quantile_ms(0.99))
        .put("p999_ms", seen.end_to_end.quantile_ms(0.999))
        .put("max_ms", seen.end_to_end.max_ms())
        .acknowledged(&seen.acknowledged)
        .put("late_p99_ms", seen.late.quantile_ms(0.99))
        .put("kept_up", seen.consumed as f64 / seen.sent as f64)
        .put("counted", seen.end_to_end.count() as f64)
        .put("broker_cpu_us_per_msg", seen.usage.broker_s * 1e6 / seen.window_records)
        .usage(&seen.usage)
        .memory(&broker)?;
    Ok(metrics)
}

/// Writes the files out and drops them from the page cache.
fn evict(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
        } else if path.extension().is_some_and(|kind| kind == "log") {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path)?;
            fdatasync(&file)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Reads a topic whole and compares the count.
fn read_back(broker: &Broker, topic: &Topic, records: u64, verify: bool) -> io::Result<fetch::Fetched> {
    let plan = fetch::Plan { consumers: 1, connections: 2, tail_records: None, verify };
    let done = fetch::run(broker.address(), broker.pid(), topic, &plan)?;
    if done.records != records {
        return Err(wrong(format!("{} records read, {records} acknowledged", done.records)));
    }
    Ok(done)
}

fn fetch_all(cx: &Cx<'_>) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    let topic = broker.topic("bench", PARTITIONS, &[])?;
    let written = load(&broker, &topic, BATCHES, (4, 2), Until::Bytes(cx.bytes(4.0)))?.total_records;
    let mb_s = |done: &fetch::Fetched| done.batch_bytes as f64 / 1e6 / done.usage.wall_s;
    let cpu = |done: &fetch::Fetched| done.usage.broker_s / (done.batch_bytes as f64 / 1e9);
    evict(&broker.data())?;
    let cold = read_back(&broker, &topic, written, false)?;
    let mut hot = read_back(&broker, &topic, written, false)?;
    for _ in 0..2 {
        let again = read_back(&broker, &topic, written, false)?;
        if mb_s(&again) > mb_s(&hot) {
            hot = again;
        }
    }
    let verified = read_back(&broker, &topic, written, true)?;
    let mut metrics = Metrics::default();
    metrics
        .put("hot_mb_s", mb_s(&hot))
        .put("hot_cpu_s_per_gb", cpu(&hot))
        .put("cold_mb_s", mb_s(&cold))
        .put("cold_cpu_s_per_gb", cpu(&cold))
        .put("fetches", hot.fetches as f64)
        .put("checked_records", verified.records as f64)
        .usage(&hot.usage)
        .memory(&broker)?;
    Ok(metrics)
}

fn fanout(cx: &Cx<'_>) -> io::Result<Metrics> {
    const CONSUMERS: usize = 8;
    let broker = cx.start(&[])?;
    let warm = broker.topic("warm", PARTITIONS, &[])?;
    let bytes = cx.bytes(2.0);
    let warmed = load(&broker, &warm, BATCHES, (1, 2), Until::Bytes(bytes / 2))?;
    read_back(&broker, &warm, warmed.total_records, false)?;
    let topic = broker.topic("bench", PARTITIONS, &[])?;
    // Batches are all alike, so how many records there will be is known before.
    let (one, records) = batch(&BATCHES, 1);
    let expected = bytes.div_ceil(one.len() as u64) * records;
    let plan =
        fetch::Plan { consumers: CONSUMERS, connections: 1, tail_records: Some(expected), verify: false };
    let consumers = fetch::begin(broker.address(), broker.pid(), &topic, &plan)?;
    std::thread::sleep(fetch::SETTLE);
    let done = load(&broker, &topic, BATCHES, (1, 2), Until::Bytes(bytes))?;
    let read = consumers.finish()?;
    if done.total_records != expected || read.records != CONSUMERS as u64 * expected {
        return Err(wrong(format!(
            "{} records read, {} written {CONSUMERS} times",
            read.records, done.total_records
        )));
    }
    let out_s = read.usage.wall_s - fetch::SETTLE.as_secs_f64();
    let mut metrics = Metrics::default();
    metrics
        .put("in_mb_s", done.total_bytes as f64 / 1e6 / done.total_s)
        .put("out_mb_s", read.batch_bytes as f64 / 1e6 / out_s)
        .put("broker_cpu_s_per_gb_out", read.usage.broker_s / (read.batch_bytes as f64 / 1e9))
        .put("fetches", read.fetches as f64)
        .acknowledged(&done.acknowledged)
        .put("checked_records", read.records as f64)
        .usage(&read.usage)
        .memory(&broker)?;
    Ok(metrics)
}

/// Makes the topic if there is none and produces one record; any error is to try again.
fn first_record(broker: &Broker) -> io::Result<()> {
    let topic = Topic { name: "first".to_owned(), partitions: 1 };
    create(broker.address(), std::slice::from_ref(&topic), &[], 1)?;
    let frame = produce(&topic.name, 0, 1, batch(&SINGLE, 1).0)?;
    until(Duration::from_secs(60), Duration::from_millis(1), || {
        let body = Client::connect(broker.address())?.exchange(&frame, 1)?;
        match Acknowledged::read(&body, &topic.name) {
            Some(Acknowledged { error: 0, .. }) => Ok(()),
            other => Err(wrong(format!("Produce: {other:?}"))),
        }
    })
}

fn startup(cx: &Cx<'_>) -> io::Result<Metrics> {
    // Formatted and made once, so that both are measured on a directory that is theirs.
    let mut broker = cx.start(&[])?;
    broker.stop()?;
    let mut metrics = Metrics::default();
    for (answer, record) in [("api_ms", "produce_ms"), ("used_api_ms", "used_produce_ms")] {
        let began = broker.launch()?;
        broker.wait_answers()?;
        metrics.put(answer, began.elapsed().as_secs_f64() * 1e3);
        first_record(&broker)?;
        metrics.put(record, began.elapsed().as_secs_f64() * 1e3);
        if answer == "api_ms" {
            metrics.put("stop_ms", broker.stop()?.as_secs_f64() * 1e3);
        }
    }
    cx.settle();
    let window = super::measure::Window::begin(broker.pid());
    std::thread::sleep(cx.window(10));
    let idle = window.end();
    metrics
        .put("idle_rss_mib", broker.memory()?.rss / 1024.0)
        .put("idle_anon_mib", broker.memory()?.anonymous / 1024.0)
        .put("idle_cpu_pct", idle.broker_s / idle.wall_s * 100.0)
        .usage(&idle);
    Ok(metrics)
}

fn connections(cx: &Cx<'_>) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    drop(connect::run(broker.address(), broker.pid(), 500)?);
    cx.settle();
    let (count, before) = (cx.count(5000), broker.memory()?);
    let connected = connect::run(broker.address(), broker.pid(), count)?;
    cx.settle();
    let after = broker.memory()?;
    let (each, usage) = (connected.streams.len() as f64, &connected.usage);
    let mut metrics = Metrics::default();
    metrics
        .put("conn_s", each / usage.wall_s)
        .put("setup_p50_ms", connected.setup.quantile_ms(0.5))
        .put("setup_p99_ms", connected.setup.quantile_ms(0.99))
        .put("cpu_us_per_conn", usage.broker_s * 1e6 / each)
        .put("anon_kib_per_conn", (after.anonymous - before.anonymous) / each)
        .put("rss_kib_per_conn", (after.rss - before.rss) / each)
        .usage(usage)
        .memory(&broker)?;
    Ok(metrics)
}

fn fsync(cx: &Cx<'_>) -> io::Result<Metrics> {
    let broker = cx.start(&[])?;
    let topic = broker.topic("bench", PARTITIONS, &[("flush.messages", "1")])?;
    let single = load(&broker, &topic, SINGLE, (64, 1), cx.seconds(8))?;
    let batches = load(&broker, &topic, BATCHES, (4, 2), cx.seconds(6))?;
    let mut metrics = Metrics::default();
    metrics
        .put("req_s", single.requests as f64 / single.usage.wall_s)
        .acknowledged(&single.acknowledged)
        .put("broker_cpu_us_per_req", single.usage.broker_s * 1e6 / single.requests as f64)
        .put("batch_mb_s", batches.batch_bytes as f64 / 1e6 / batches.usage.wall_s)
        .put("batch_ack_p99_ms", batches.acknowledged.quantile_ms(0.99))
        .put("checked_records", (single.total_records + batches.total_records) as f64)
        .usage(&single.usage)
        .memory(&broker)?;
    Ok(metrics)
}

fn recovery(cx: &Cx<'_>) -> io::Result<Metrics> {
    let mut broker = cx.start(&[])?;
    let topic = broker.topic("bench", 100, &[])?;
    let written = load(&broker, &topic, BATCHES, (4, 2), Until::Bytes(cx.bytes(10.0)))?;
    broker.kill()?;
    let began = broker.launch()?;
    broker.wait_answers()?;
    let answers = began.elapsed();
    wait_for(broker.address(), std::slice::from_ref(&topic))?;
    let (ready, cpu) = (began.elapsed(), broker.cpu_seconds());
    // A broker that answers for what is durable only may still be about to write the rest out.
    until(Duration::from_secs(120), Duration::from_millis(2), || {
        let ends: i64 = offsets_of(broker.address(), &topic, -1)?.into_iter().sum();
        if ends as u64 == written.total_records { Ok(()) } else { Err(wrong(format!("{ends} are readable"))) }
    })?;
    let readable = began.elapsed();
    let found = read_back(&broker, &topic, written.total_records, true)?;
    let mut metrics = Metrics::default();
    metrics
        .put("ready_s", ready.as_secs_f64())
        .put("readable_s", readable.as_secs_f64())
        .put("ready_cpu_s", cpu)
        .put("answers_s", answers.as_secs_f64())
        .put("write_mb_s", written.total_bytes as f64 / 1e6 / written.total_s)
        .put("checked_records", found.records as f64)
        .memory(&broker)?;
    Ok(metrics)
}

fn partitions(cx: &Cx<'_>) -> io::Result<Metrics> {
    const TOPICS: usize = 10;
    let each = cx.count(500) as i32;
    let mut broker = cx.start(&[])?;
    broker.topic("warm", 1, &[])?;
    cx.settle();
    let before = broker.memory()?;
    let topics: Vec<Topic> =
        (0..TOPICS).map(|i| Topic { name: format!("many-{i}"), partitions: each }).collect();
    let count = f64::from(each) * TOPICS as f64;
    let (began, cpu) = (Instant::now(), broker.cpu_seconds());
    create(broker.address(), &topics, &[], 4)?;
    let (created, create_cpu) = (began.elapsed().as_secs_f64(), broker.cpu_seconds() - cpu);
    cx.settle();
    let after = broker.memory()?;
    let plan = scatter::Plan { rate: 500.0, connections: 8, time: cx.window(15) };
    let seen = scatter::run(broker.address(), &topics, &plan)?;
    cx.settle();
    let (pid, idle_s) = (broker.pid(), cx.window(5));
    let idle = cpu_seconds(pid);
    std::thread::sleep(idle_s);
    let idle = cpu_seconds(pid) - idle;
    let stopped = broker.stop()?;
    let began = broker.launch()?;
    broker.wait_answers()?;
    wait_for(broker.address(), &topics)?;
    let restarted = began.elapsed();
    let mut metrics = Metrics::default();
    metrics
        .put("create_s", created)
        .put("create_us_per_partition", created * 1e6 / count)
        .put("create_cpu_s", create_cpu)
        .put("anon_kib_per_partition", (after.anonymous - before.anonymous) / count)
        .put("rss_kib_per_partition", (after.rss - before.rss) / count)
        .put("idle_cpu_pct", idle / idle_s.as_secs_f64() * 100.0)
        .acknowledged(&seen)
        .put("stop_s", stopped.as_secs_f64())
        .put("restart_s", restarted.as_secs_f64())
        .memory(&broker)?;
    Ok(metrics)
}
