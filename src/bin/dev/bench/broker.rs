//! A broker as a process of its own, ottla or Apache Kafka, with the same properties and a directory of its
//! own.
//!
//! It is killed, and its directory removed, when it goes out of scope: a run that is cut short leaves nothing
//! behind.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{Client, Topic, create, until};
use super::measure::{Memory, cpu_seconds};
use crate::process::target;

/// How long a broker may take to answer, and to end when told to.
const START_WAIT: Duration = Duration::from_secs(120);
const STOP_WAIT: Duration = Duration::from_secs(180);
const CLUSTER_ID: &str = "b3R0bGEtYmVuY2gtMTIzNA";
/// Kafka's own start script gives these to the JVM.
const JVM: [&str; 8] = [
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Whose broker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Kafka,
    Ottla,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Kafka => "kafka",
            Kind::Ottla => "ottla",
        }
    }
}

/// Where brokers come from and where they live.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Data goes into directories under it.
    pub(crate) dir: PathBuf,
    /// The first port that may be used.
    pub(crate) port: u16,
    /// Properties from the command line, and for whom; `None` for both.
    pub(crate) set: Vec<(Option<Kind>, String, String)>,
    /// Kafka's class path.
    pub(crate) class_path: String,
}

/// ottla's binary.
pub(crate) fn ottla_binary() -> PathBuf {
    std::env::var_os("OTTLA_BIN").map_or_else(|| target().join("release/ottla"), PathBuf::from)
}

/// The JVM that runs Kafka.
pub(crate) fn java() -> PathBuf {
    std::env::var_os("JAVA_HOME").map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java"))
}

/// A port, at `from` or after it, that nobody listens on.
fn free_port(from: u16) -> io::Result<u16> {
    (from..from.saturating_add(400))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| io::Error::other(format!("no free port from {from} on")))
}

/// One broker with one node, broker and controller in one.
pub(crate) struct Broker {
    kind: Kind,
    dir: PathBuf,
    port: u16,
    class_path: String,
    process: Option<Child>,
}

impl Broker {
    /// An empty directory with its properties, formatted where that is a step of its own; nothing runs yet.
    pub(crate) fn prepare(kind: Kind, site: &Site, properties: &[(&str, &str)]) -> io::Result<Broker> {
        let dir = site.dir.join(format!("{}-{}", kind.name(), std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let port = free_port(site.port)?;
        let controller = free_port(port + 1)?;
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            dir.join("data").display()
        );
        for (key, value) in properties {
            text += &format!("{key}={value}\n");
        }
        for (whose, key, value) in &site.set {
            if whose.is_none_or(|whose| whose == kind) {
                text += &format!("{key}={value}\n");
            }
        }
        std::fs::write(dir.join("server.properties"), text)?;
        let broker = Broker { kind, dir, port, class_path: site.class_path.clone(), process: None };
        if kind == Kind::Kafka {
            broker.format()?;
        }
        Ok(broker)
    }

    /// Prepared, started, and answering.
    pub(crate) fn start(kind: Kind, site: &Site, properties: &[(&str, &str)]) -> io::Result<Broker> {
        let mut broker = Broker::prepare(kind, site, properties)?;
        broker.launch()?;
        broker.wait_answers()?;
        Ok(broker)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// Where its partitions are.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log(&self) -> io::Result<std::fs::File> {
        std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join("broker.log"))
    }

    fn jvm(&self, options: &[&str], main: &str) -> Command {
        let mut command = Command::new(java());
        command.args(options).arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command.args(["-cp", &self.class_path, main]);
        command
    }

    fn format(&self) -> io::Result<()> {
        let mut command = self.jvm(&["-Xmx256M", "-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool");
        command.args(["format", "-t", CLUSTER_ID, "-c"]).arg(self.config());
        let done = command.stdin(Stdio::null()).stdout(self.log()?).stderr(self.log()?).status()?;
        if done.success() { Ok(()) } else { Err(self.failure("formatting failed")) }
    }

    fn failure(&self, what: &str) -> io::Error {
        let log = std::fs::read_to_string(self.dir.join("broker.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(8)..].join("\n");
        io::Error::other(format!("{}: {what}\n{tail}", self.kind.name()))
    }

    /// Starts the process. -> the moment before that
    pub(crate) fn launch(&mut self) -> io::Result<Instant> {
        let mut command = match self.kind {
            Kind::Ottla => {
                let mut command = Command::new(ottla_binary());
                command.args(["start", "--config"]);
                command
            }
            Kind::Kafka => self.jvm(&JVM, "kafka.Kafka"),
        };
        command.arg(self.config()).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(self.log()?).stderr(self.log()?);
        let began = Instant::now();
        self.process = Some(command.spawn()?);
        Ok(began)
    }

    /// Waits for an answer to ApiVersions.
    pub(crate) fn wait_answers(&mut self) -> io::Result<()> {
        let address = self.address();
        let mut ended = None;
        let answers = until(START_WAIT, Duration::from_micros(500), || {
            if let Some(process) = &mut self.process
                && let Some(status) = process.try_wait()?
            {
                ended = Some(status);
                return Ok(()); // No use in asking again.
            }
            Client::connect(address)?.api_versions()
        });
        match (ended, answers) {
            (Some(status), _) => Err(self.failure(&format!("ended at its start: {status}"))),
            (None, Err(error)) => Err(self.failure(&format!("does not answer: {error}"))),
            (None, Ok(())) => Ok(()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The process's id; 0 if it does not run.
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.pid())
    }

    pub(crate) fn memory(&self) -> io::Result<Memory> {
        Memory::of(self.pid())
    }

    /// Makes a topic and waits until it can be used.
    pub(crate) fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> io::Result<Topic> {
        let topic = Topic { name: name.to_owned(), partitions };
        create(self.address(), std::slice::from_ref(&topic), configs, 1)?;
        Ok(topic)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end. -> how long that took
    pub(crate) fn stop(&mut self) -> io::Result<Duration> {
        let began = Instant::now();
        let Some(process) = &mut self.process else { return Ok(Duration::ZERO) };
        if let Some(pid) = Pid::from_raw(process.id() as i32) {
            kill_process(pid, Signal::TERM)?;
        }
        while process.try_wait()?.is_none() {
            if began.elapsed() > STOP_WAIT {
                return Err(self.failure("does not end"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.process = None;
        Ok(began.elapsed())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.kill(); // It is ours and may be gone already.
        if std::env::var_os("BENCH_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.dir); // What is left is found under target.
        }
    }
}
