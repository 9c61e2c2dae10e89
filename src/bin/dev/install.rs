//! What the compatibility tests run with, installed under target/compat: Python packages, Java tools, a Go and a Node
//! client; kcat and missing language tools from the system's packages where we may.
//!
//! Each step is skipped when what it was made from has not changed, and none is fatal: what could not be installed is
//! named, and the tests that need it are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{found, quietly, root, target};

/// Something that could not be installed, and why.
pub(crate) struct Missing {
    /// What tests are skipped for it.
    pub(crate) what: &'static str,
    /// In one line.
    pub(crate) why: String,
}

/// Where everything goes.
pub(crate) fn compat() -> PathBuf {
    target().join("compat")
}

/// The interpreter that has the packages.
pub(crate) fn python() -> PathBuf {
    compat().join("venv/bin/python")
}

/// Installs one thing, or says why not.
type Step = fn() -> Result<(), String>;

/// Installs everything. -> what is missing
pub(crate) fn all() -> Vec<Missing> {
    let steps: [(&'static str, Step); 6] = [
        ("Python clients", venv),
        ("kcat", kcat),
        ("Java clients and tools", java),
        ("Go clients", go),
        ("Node client", node),
        ("networks and disks", networks_and_disks),
    ];
    let mut missing = Vec::new();
    let _ = std::fs::create_dir_all(compat());
    for (what, step) in steps {
        match step() {
            Ok(()) => println!("{what}: installed"),
            Err(why) => {
                println!("{what}: missing: {why}");
                missing.push(Missing { what, why });
            }
        }
    }
    missing
}

/// Runs `make` unless the stamp says it was made from the same inputs.
fn once(
    name: &str,
    inputs: &[PathBuf],
    result: &Path,
    make: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let mut made_from = String::new();
    for input in inputs {
        made_from +=
            &std::fs::read_to_string(root().join(input)).map_err(|e| format!("{}: {e}", input.display()))?;
    }
    let stamp = compat().join(format!("{name}.stamp"));
    if result.exists() && std::fs::read_to_string(&stamp).is_ok_and(|s| s == made_from) {
        return Ok(());
    }
    let _ = std::fs::remove_file(&stamp);
    make()?;
    std::fs::write(&stamp, made_from).map_err(|e| format!("{}: {e}", stamp.display()))
}

fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Installs packages of the system, which only root may.
fn system_packages(packages: &[&str]) -> Result<(), String> {
    let root = quietly(command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    if !root || !found("apt-get") {
        return Err(format!("install {} (only root can do it here, with apt-get)", packages.join(" ")));
    }
    let apt = |args: &[&str]| {
        let mut apt = command("apt-get", args);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        quietly(apt)
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat()).map(|_| ())
}

fn need(programs: &[&str], packages: &[&str]) -> Result<(), String> {
    if programs.iter().all(|p| found(p)) { Ok(()) } else { system_packages(packages) }
}

fn venv() -> Result<(), String> {
    need(&["python3"], &["python3", "python3-venv"])?;
    once("venv", &["compat-tests/requirements.txt".into()], &python(), || {
        let dir = compat().join("venv");
        let make = || quietly(command("python3", &["-m", "venv", "--clear", &dir.to_string_lossy()]));
        if make().is_err() {
            system_packages(&["python3-venv"])?; // Debian keeps a part of the standard library apart.
            make()?;
        }
        let pip = [
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-r",
            "compat-tests/requirements.txt",
        ];
        quietly(command(python(), &pip)).map(|_| ())
    })
}

/// What makes namespaces and file systems, where we are root and such tests run.
fn networks_and_disks() -> Result<(), String> {
    need(&["ip", "nsenter", "mount", "mkfs.ext4"], &["iproute2", "util-linux", "mount", "e2fsprogs"])
}

fn kcat() -> Result<(), String> {
    need(&["kcat"], &["kcat"])
}

/// Apache Kafka, through Maven. -> its class path
pub(crate) fn kafka_class_path() -> Result<String, String> {
    need(&["java", "javac", "mvn"], &["default-jdk-headless", "maven"])?;
    std::fs::create_dir_all(compat()).map_err(|e| e.to_string())?;
    let classpath = compat().join("java.classpath");
    once("java-classpath", &["compat-tests/java/pom.xml".into()], &classpath, || {
        let out = format!("-Dmdep.outputFile={}", classpath.display());
        quietly(command(
            "mvn",
            &["-q", "-B", "-f", "compat-tests/java/pom.xml", "dependency:build-classpath", &out],
        ))
        .map(|_| ())
    })?;
    let jars = std::fs::read_to_string(&classpath).map_err(|e| e.to_string())?;
    Ok(jars.trim().to_owned())
}

fn java() -> Result<(), String> {
    let (jars, classes) = (kafka_class_path()?, compat().join("java-classes"));
    build_java_messages()?;
    let programs =
        ["Tools", "ShareClient", "StreamsApp"].map(|name| format!("compat-tests/java/{name}.java"));
    let made_from: Vec<PathBuf> =
        programs.iter().map(PathBuf::from).chain([PathBuf::from("compat-tests/java/pom.xml")]).collect();
    once("java-classes", &made_from, &classes, || {
        std::fs::create_dir_all(&classes).map_err(|e| e.to_string())?;
        let mut compile = command("javac", &["-nowarn", "-d", &classes.to_string_lossy(), "-cp", &jars]);
        compile.args(&programs);
        quietly(compile).map(|_| ())
    })
}

/// The class path of the program that reads messages with Kafka's own classes, once it is built.
pub(crate) fn java_messages() -> Option<String> {
    let jars = std::fs::read_to_string(compat().join("java-messages.classpath")).ok()?;
    let classes = root().join("compat-tests/java-messages/target/classes");
    classes.exists().then(|| format!("{}:{}", classes.display(), jars.trim()))
}

fn build_java_messages() -> Result<(), String> {
    let dir = PathBuf::from("compat-tests/java-messages");
    let mut inputs = vec![dir.join("pom.xml")];
    let mut open = vec![dir.join("src")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(root().join(&dir)).into_iter().flatten().flatten() {
            let path = dir.join(entry.file_name());
            if entry.path().is_dir() { open.push(path) } else { inputs.push(path) }
        }
    }
    inputs.sort();
    let classpath = compat().join("java-messages.classpath");
    once("java-messages", &inputs, &classpath, || {
        let out = format!("-Dmdep.outputFile={}", classpath.display());
        let args =
            ["-q", "-B", "-f", "compat-tests/java-messages", "package", "dependency:build-classpath", &out];
        quietly(command("mvn", &args)).map(|_| ())
    })
}

/// The Go that is fetched where there is none, or one that is too old for the clients.
const GO_VERSION: &str = "1.26.8";
/// From this release on, Go fetches by itself what a module asks for: 1 and this.
const GO_SWITCHES_FROM: u32 = 21;

fn go() -> Result<(), String> {
    let client = compat().join("go-client");
    let inputs = ["go.mod", "go.sum", "main.go"].map(|f| PathBuf::from("compat-tests/go").join(f));
    once("go", &inputs, &client, || {
        let build = ["build", "-C", "compat-tests/go", "-o", &client.to_string_lossy(), "."];
        quietly(command(go_program()?, &build)).map(|_| ())
    })
}

/// A Go that can build the client.
fn go_program() -> Result<PathBuf, String> {
    need(&["go"], &["golang-go"])?;
    let version = quietly(command("go", &["version"]))?;
    let minor = version.split("go1.").nth(1).and_then(|rest| rest.split(['.', ' ']).next()?.parse().ok());
    if minor.is_some_and(|minor: u32| minor >= GO_SWITCHES_FROM) {
        return Ok("go".into());
    }
    // Debian's is older. Newer ones are modules as well, and any Go fetches modules, with their checksums.
    let cache = compat().join("go-modules");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let module = format!("golang.org/toolchain@v0.0.1-go{GO_VERSION}.linux-{arch}");
    let mut fetch = command("go", &["mod", "download", "-modcacherw", &module]);
    fetch.env("GOMODCACHE", &cache);
    quietly(fetch)?;
    let home = cache.join(&module);
    // Modules hold no programs, as Go sees it, so it left them without the permission to run.
    quietly(command(
        "chmod",
        &["-R", "a+x", &home.join("bin").to_string_lossy(), &home.join("pkg/tool").to_string_lossy()],
    ))?;
    Ok(home.join("bin/go"))
}

fn node() -> Result<(), String> {
    need(&["node", "npm"], &["nodejs", "npm"])?;
    let dir = compat().join("node");
    once("node", &["compat-tests/node/package.json".into()], &dir.join("node_modules/kafkajs"), || {
        std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        std::fs::copy(root().join("compat-tests/node/package.json"), dir.join("package.json"))
            .map_err(|e| e.to_string())?;
        let args = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--prefix",
            &dir.to_string_lossy(),
        ];
        quietly(command("npm", &args)).map(|_| ())
    })
}
