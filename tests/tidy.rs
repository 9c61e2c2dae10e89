//! What breaks silently: layers that turn round, impure decisions, files nobody compiles, words that cost a replay.
//!
//! Every rule is a function from text to findings, so that each has tests of its own on made-up text; one test per
//! rule then runs it over the tree. A finding names file, line, what is wrong and what to write instead.
//!
//! The import table below is the architecture. Changing it is a decision: write it down in `docs/` first.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom: a module imports what stands in an earlier row. Within a row imports go one way only.
const LAYERS: &[&[&str]] = &[
    &["types"],
    &["env", "config", "wire", "schema", "telemetry"],
    &["storage", "metadata"],
    &["security", "tiered"],
    &["client"],
    &["quorum"],
    &["replica", "controller"],
    &["coordinator", "share_partition"],
    &["api"],
    &["server"],
    &["node"],
    &["sim", "cli"],
];

/// What decides without touching the world. Time and the generator come in as arguments.
const PURE: &[&str] = &[
    "types",
    "wire",
    "schema",
    "metadata",
    "controller/decide",
    "controller/placement",
    "coordinator/shard",
    "coordinator/group",
    "coordinator/txn",
    "coordinator/share",
    "coordinator/remote_log",
    "replica/leader",
    "replica/follower",
    "replica/fetch_session",
    "replica/read_plan",
    "storage/validate",
    "storage/retention",
    "security/acl",
    "security/quota/resolve",
    "share_partition/state",
    "tiered/view",
];

/// What a pure folder may not name.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "crate::env",
    "std::fs",
    "std::net",
    "SystemTime",
    "Instant::now",
    "Mutex",
    "RwLock",
    "mpsc",
    "oneshot",
    "std::thread",
];

/// A word that may not stand in production code, what to write instead, and the folders that may use it.
struct Ban {
    word: &'static str,
    instead: &'static str,
    except: &'static [&'static str],
}

const fn ban(word: &'static str, instead: &'static str, except: &'static [&'static str]) -> Ban {
    Ban { word, instead, except }
}

/// The outside world is `env/`; the developer's commands are no part of the product.
const OUTSIDE: &[&str] = &["src/env", "src/bin", "src/dev"];

/// Where a person at a terminal is spoken to.
const SPEAKING: &[&str] =
    &["src/main.rs", "src/node", "src/cli", "src/bin", "src/dev", "src/sim", "src/env", "src/telemetry"];

const BANS: &[Ban] = &[
    ban(
        "HashMap",
        "types::FastMap, or BTreeMap on control paths: iteration must not differ between runs",
        OUTSIDE,
    ),
    ban("HashSet", "types::FastSet, or BTreeSet on control paths", OUTSIDE),
    ban("SystemTime", "env.clock", OUTSIDE),
    ban("std::time::Instant", "tokio::time::Instant, virtual in the simulator", OUTSIDE),
    ban("std::fs", "env.disk", OUTSIDE),
    ban("std::net::TcpStream", "env.net", OUTSIDE),
    ban("std::net::TcpListener", "env.net", OUTSIDE),
    ban("tokio::net", "env.net", OUTSIDE),
    ban("tokio::fs", "env.disk", &[]),
    ban("tokio::spawn", "env.tasks.spawn: a task has a name and dies with its node", OUTSIDE),
    ban("tokio::task::spawn", "env.tasks.spawn", OUTSIDE),
    ban("spawn_blocking", "env.tasks", OUTSIDE),
    ban("spawn_local", "env.tasks.spawn", OUTSIDE),
    ban("thread::spawn", "env.tasks", OUTSIDE),
    ban("thread::sleep", "tokio::time::sleep", OUTSIDE),
    ban("unbounded_channel", "a bounded channel: everything has a limit", &[]),
    ban("UnboundedSender", "a bounded channel", &[]),
    ban("mpsc::channel()", "a bounded channel", &["src/bin", "src/dev"]),
    ban("futures::select!", "tokio::select! with biased;", &[]),
    ban("thread_rng", "the seeded generator, types::Rng", OUTSIDE),
    ban("RandomState", "a fixed seed: types::FastMap", &[]),
    ban("static mut", "a value handed to the constructor", &[]),
    ban("println!", "a tracing event, or print in cli/ and node", SPEAKING),
    ban("eprintln!", "a tracing event", SPEAKING),
    ban("openraft", "a word of quorum/: no other module knows the consensus library", &["src/quorum"]),
    ban("rustls", "security/tls", &["src/security"]),
];

/// What a static may not hold: nodes that share a process, as in the simulator, would decide by what others did.
const CHANGING: &[&str] = &["Atomic", "Mutex", "RwLock", "Cell<", "OnceLock", "OnceCell"];

/// Files that may keep something for the process or a thread, and why it decides nothing.
const KEEPING: &[(&str, &str)] = &[
    ("src/replica/purgatory.rs", "a number that only grows: the order of two waiters of one node is theirs"),
    ("src/server/read_buffer.rs", "room to read into, of one size"),
    ("src/telemetry/log_level.rs", "the log is the process's"),
    ("src/types/planted.rs", "the simulator's, by thread, set anew for each run"),
    ("src/wire/compress.rs", "room and tables of codecs; what comes out does not depend on them"),
];

/// Words that may stand nowhere in code, tests included.
const NEVER: &[(&str, &str)] = &[
    ("dbg!", "remove it, or a tracing event"),
    ("todo!", "leave the function out until it works"),
    ("unimplemented!", "answer with an error, or leave the function out"),
];

/// Bytes a file may have outside `fixtures/`.
const FILE_BYTES_MAX: u64 = 256 * 1024;

// ---------------------------------------------------------------------------------------------------------------
// Reading

/// What a rule found, ready to print.
type Findings = Vec<String>;

/// A Rust file: as written, and with comments and literals blanked out, lines and columns unmoved.
struct Source {
    /// Relative to the package, with `/`.
    path: String,
    text: String,
    code: String,
    /// `code` without what is compiled for tests only.
    product: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let code = blank_literals(text);
        let product = if is_test_file(path) { blank_all(&code) } else { blank_tests(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, 1 + self.text[..offset].matches('\n').count())
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("_test.rs")
        || path.ends_with("/tests.rs")
        || path.contains("/tests/")
        || path.starts_with("tests/")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the project but what builds leave behind.
fn files() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, base: &Path, out: &mut Vec<(String, PathBuf)>) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let left_behind =
                    ["target", ".git", "node_modules", "__pycache__", ".pytest_cache", "corpus", "artifacts"];
                if !left_behind.contains(&name.as_str()) {
                    walk(&path, base, out);
                }
            } else if kind.is_file() && name != ".git" {
                let short = path.strip_prefix(base).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                out.push((short, path));
            }
        }
    }
    let mut out = Vec::new();
    walk(&root(), &root(), &mut out);
    out.sort();
    out
}

fn sources() -> Vec<Source> {
    files()
        .into_iter()
        .filter(|(short, _)| short.ends_with(".rs") && !short.contains("fixtures/"))
        .map(|(short, path)| {
            Source::new(&short, &std::fs::read_to_string(path).expect("a source file is UTF-8"))
        })
        .collect()
}

/// Blanks comments, strings and character literals, so that a rule sees code only.
fn blank_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    let blank = |out: &mut [u8], from: usize, to: usize| {
        for byte in &mut out[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if rest.starts_with(b"//") {
            let end = rest.iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n);
            blank(&mut out, at, end);
            at = end;
        } else if rest.starts_with(b"/*") {
            let (mut depth, mut end) = (0usize, at);
            while end < bytes.len() {
                if bytes[end..].starts_with(b"/*") {
                    (depth, end) = (depth + 1, end + 2);
                } else if bytes[end..].starts_with(b"*/") {
                    (depth, end) = (depth - 1, end + 2);
                    if depth == 0 {
                        break;
                    }
                } else {
                    end += 1;
                }
            }
            let end = end.min(bytes.len());
            blank(&mut out, at, end);
            at = end;
        } else if let Some((open, hashes)) = raw_string(rest).filter(|_| !word_before) {
            let close = [b"\"".to_vec(), vec![b'#'; hashes]].concat();
            let body = at + open;
            let end = find(&bytes[body..], &close).map_or(bytes.len(), |n| body + n);
            blank(&mut out, body, end);
            at = (end + close.len()).min(bytes.len());
        } else if bytes[at] == b'"' {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let end = end.min(bytes.len());
            blank(&mut out, at + 1, end);
            at = end + 1;
        } else if bytes[at] == b'\'' {
            // A character literal closes after one character; otherwise it is a lifetime.
            let length = match rest.get(1) {
                Some(b'\\') => rest[2..].iter().skip(1).position(|b| *b == b'\'').map(|n| n + 4),
                Some(_) => text
                    .get(at + 1..)
                    .and_then(|t| t.chars().next())
                    .and_then(|c| (rest.get(1 + c.len_utf8()) == Some(&b'\'')).then_some(2 + c.len_utf8())),
                None => None,
            };
            let end = (at + length.unwrap_or(1)).min(bytes.len());
            if length.is_some() {
                blank(&mut out, at + 1, end - 1);
            }
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).expect("only whole characters were blanked")
}

/// The length of a raw string's opening (`r#"`, `br"`) and how many hashes close it.
fn raw_string(rest: &[u8]) -> Option<(usize, usize)> {
    let skip = if rest.starts_with(b"br") || rest.starts_with(b"cr") {
        2
    } else {
        usize::from(rest.first() == Some(&b'r'))
    };
    if skip == 0 {
        return None;
    }
    let hashes = rest[skip..].iter().take_while(|b| **b == b'#').count();
    (rest.get(skip + hashes) == Some(&b'"')).then_some((skip + hashes + 1, hashes))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn blank_all(code: &str) -> String {
    code.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// Blanks every item under `#[cfg(test)]`, and everything when the whole file is for tests.
fn blank_tests(code: &str) -> String {
    if code.contains("#![cfg(test)]") {
        return blank_all(code);
    }
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(start) = ["#[cfg(test)]", "#[test]", "#[cfg(all(test"]
        .iter()
        .filter_map(|mark| code[from..].find(mark))
        .min()
        .map(|n| from + n)
    {
        let end = item_end(code, start);
        for byte in &mut out[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the item ends whose attributes start at `start`: at its `;`, or at the brace that closes it.
fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut others) = (0i32, 0i32);
    for (n, byte) in code.as_bytes().iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others -= 1,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces <= 0 && others == 0 {
                    return n + 1;
                }
            }
            b';' | b',' if braces == 0 && others == 0 => return n + 1,
            _ => {}
        }
    }
    code.len()
}

/// Offsets of `word` in `code` where it is not a part of a longer word.
fn words(code: &str, word: &str) -> Vec<usize> {
    let is_word = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !is_word(at.checked_sub(1).map(|n| bytes[n])))
        .filter(|at| {
            !word.ends_with(|c: char| c.is_alphanumeric()) || !is_word(bytes.get(at + word.len()).copied())
        })
        .collect()
}

// ---------------------------------------------------------------------------------------------------------------
// The rules

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The top module of a file of the library; none for its root, for bins and for tests.
fn module_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    let top = rest.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main", "bin", "dev"].contains(&top)).then_some(top)
}

/// Top modules that a file names, with where: `crate::x`, `crate::{x, y::z}`, and `super` paths that reach the root.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut out = Vec::new();
    let ident = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for at in words(code, "crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.trim_start().strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (n, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && depth == 0 && (c.is_alphabetic() || c == '_') => {
                        out.push((at, ident(&group[n..])));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            out.push((at, ident(rest)));
        }
    }
    let depth = source
        .path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .count();
    let climb = "super::".repeat(depth);
    for at in words(code, &climb) {
        out.push((at, ident(&code[at + climb.len()..])));
    }
    out.retain(|(_, name)| rank(name).is_some());
    out
}

/// Layers point one way.
fn check_layers(sources: &[Source]) -> Findings {
    let mut out = Findings::new();
    let mut beside: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for source in sources {
        let Some(from) = module_of(&source.path) else { continue };
        let Some(own) = rank(from) else {
            out.push(format!("{}: module `{from}` has no row in LAYERS", source.path));
            continue;
        };
        for (at, to) in imports(source) {
            let theirs = rank(&to).expect("imports returns known modules");
            // Tests of any layer may run on the simulator's disk, net and clock.
            let in_test = source.product.as_bytes().get(at).is_none_or(|b| *b == b' ');
            if to == "sim" && in_test {
                continue;
            }
            if theirs > own {
                out.push(format!("{}: {from} may not import {to}: layers point one way", source.at(at)));
            } else if theirs == own && to != from {
                beside.entry(from).or_default().entry(to).or_insert_with(|| source.at(at));
            }
        }
    }
    for (from, targets) in &beside {
        for (to, place) in targets {
            // Rows are short, so a walk from each edge finds every circle.
            let (mut seen, mut open) = (BTreeSet::new(), vec![to.as_str()]);
            while let Some(next) = open.pop() {
                if next == *from {
                    out.push(format!("{place}: {from} and {to} import each other"));
                    break;
                }
                if seen.insert(next) {
                    open.extend(beside.get(next).into_iter().flat_map(|m| m.keys().map(String::as_str)));
                }
            }
        }
    }
    out
}

fn is_pure(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("src/") else { return false };
    PURE.iter().any(|p| rest == format!("{p}.rs") || rest.starts_with(&format!("{p}/")))
}

/// Pure folders do not touch the world.
fn check_pure(source: &Source) -> Findings {
    if !is_pure(&source.path) {
        return Findings::new();
    }
    IMPURE
        .iter()
        .flat_map(|word| words(&source.product, word).into_iter().map(move |at| (word, at)))
        .map(|(word, at)| format!("{}: `{word}` in a pure folder: take it as an argument", source.at(at)))
        .collect()
}

/// Banned words, each with its replacement.
fn check_words(source: &Source) -> Findings {
    let mut out = Findings::new();
    if source.path.starts_with("src/") {
        for ban in BANS {
            if ban.except.iter().any(|p| source.path.starts_with(p)) {
                continue;
            }
            for at in words(&source.product, ban.word) {
                out.push(format!("{}: `{}`: use {}", source.at(at), ban.word, ban.instead));
            }
        }
    }
    for (word, instead) in NEVER {
        for at in words(&source.code, word) {
            out.push(format!("{}: `{word}`: {instead}", source.at(at)));
        }
    }
    for (at, _) in source.text.match_indices(concat!("FIX", "ME")) {
        out.push(format!("{}: a note to fix something: fix it, or write down why not", source.at(at)));
    }
    out
}

/// State belongs to a node, not to the process or a thread.
fn check_statics(source: &Source) -> Findings {
    let kept = KEEPING.iter().any(|(path, _)| source.path == *path);
    if kept || !source.path.starts_with("src/") || OUTSIDE.iter().any(|p| source.path.starts_with(p)) {
        return Findings::new();
    }
    let code = &source.product;
    let changing = words(code, "static").into_iter().filter(|&at| {
        let declared = code[at..].split(['=', ';', '{', '(']).next().unwrap_or_default();
        !code[..at].ends_with('\'') && CHANGING.iter().any(|kind| declared.contains(kind))
    });
    changing
        .chain(words(code, "thread_local!"))
        .map(|at| format!("{}: state outside of a node: a value handed to the constructor", source.at(at)))
        .collect()
}

/// A module says what it is before anything else.
fn check_opening(source: &Source) -> Findings {
    // `foo_test.rs` is the end of `foo.rs`, kept apart: its name says what it is.
    if source.text.starts_with("//!") || source.path.ends_with("_test.rs") {
        return Findings::new();
    }
    vec![format!("{}: open with `//!`: what this module is, and its invariants", source.path)]
}

/// `select!` polls in the order written, or two runs of one seed differ.
fn check_select(source: &Source) -> Findings {
    words(&source.code, "select!")
        .into_iter()
        .filter(|at| {
            let body = source.code[at + "select!".len()..].trim_start();
            let body = body.strip_prefix(['{', '(']).unwrap_or(body).trim_start();
            !body.starts_with("biased;")
        })
        .map(|at| format!("{}: `select!` without `biased;`", source.at(at)))
        .collect()
}

/// Files that `mod x;` declarations of `source` name.
fn children(source: &Source) -> Vec<String> {
    let (dir, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let stem = file.trim_end_matches(".rs");
    let at_root = ["lib", "main", "mod"].contains(&stem) || is_crate_root(&source.path);
    let own = if at_root { dir.to_owned() } else { format!("{dir}/{stem}") };
    let mut out = Vec::new();
    let mut path = None;
    for (raw, code) in source.text.lines().zip(source.code.lines()) {
        let code = code.trim();
        if code.starts_with("#[path") {
            path = raw.split('"').nth(1).map(str::to_owned);
        }
        let code = code.rsplit(']').next().unwrap_or(code).trim();
        let tokens: Vec<&str> = code.split_whitespace().collect();
        let Some(n) = tokens.iter().position(|t| *t == "mod") else { continue };
        let Some(name) = tokens.get(n + 1).and_then(|t| t.strip_suffix(';')) else { continue };
        match path.take() {
            Some(path) => out.push(format!("{dir}/{path}")),
            None => out.extend([format!("{own}/{name}.rs"), format!("{own}/{name}/mod.rs")]),
        }
    }
    out
}

/// Where the compiler starts reading.
fn is_crate_root(path: &str) -> bool {
    if ["src/lib.rs", "src/main.rs"].contains(&path) {
        return true;
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["tests" | "benches" | "examples", _] | ["src", "bin", _] | ["fuzz", "fuzz_targets", _] => true,
        ["src", "bin", _, "main.rs"] | ["tests" | "benches", _, "main.rs"] => true,
        _ => path.ends_with("build.rs"),
    }
}

/// Every Rust file is compiled: an undeclared one silently is not.
fn check_reachable(sources: &[Source]) -> Findings {
    let by_path: BTreeMap<&str, &Source> = sources.iter().map(|s| (s.path.as_str(), s)).collect();
    let mut open: Vec<&str> = by_path.keys().copied().filter(|p| is_crate_root(p)).collect();
    let mut seen = BTreeSet::new();
    while let Some(path) = open.pop() {
        if seen.insert(path) {
            let named = children(by_path[path]);
            open.extend(by_path.keys().filter(|p| named.iter().any(|n| n == *p)));
        }
    }
    let own_package = |p: &str| ["src/", "tests/", "benches/", "fuzz/"].iter().any(|top| p.starts_with(top));
    by_path
        .keys()
        .filter(|p| own_package(p) && !seen.contains(*p))
        .map(|p| format!("{p}: no `mod` declares it, so nothing compiles it"))
        .collect()
}

/// Every fuzz target is in the list that runs them.
fn check_fuzz_listed(paths: &[&str], manifest: &str) -> Findings {
    paths
        .iter()
        .filter_map(|p| p.strip_prefix("fuzz/"))
        .filter(|p| p.starts_with("fuzz_targets/") && p.ends_with(".rs"))
        .filter(|p| !manifest.contains(&format!("\"{p}\"")))
        .map(|p| format!("fuzz/{p}: not listed in fuzz/Cargo.toml"))
        .collect()
}

/// No blob grows in unnoticed.
fn check_size(path: &str, bytes: u64) -> Option<String> {
    let free = path.contains("fixtures/") || path.ends_with("Cargo.lock");
    (!free && bytes > FILE_BYTES_MAX)
        .then(|| format!("{path}: {bytes} bytes: outside fixtures/ a file has at most 256 KiB"))
}

/// Nothing names the machine it was written on, nor where packages come from: both are the reader's own.
fn check_places(path: &str, text: &str) -> Findings {
    let paths = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let hosts = [
        concat!("crates", ".io"),
        concat!("py", "pi.org"),
        concat!("pythonhosted", ".org"),
        concat!("npm", "js.org"),
        concat!("npm", "js.com"),
        concat!("repo1.ma", "ven.org"),
        concat!("repo.ma", "ven.apache.org"),
        concat!("proxy.go", "lang.org"),
        concat!("deb.deb", "ian.org"),
    ];
    if path.ends_with("Cargo.lock") {
        return Findings::new();
    }
    let mut out = Findings::new();
    for (n, line) in text.lines().enumerate() {
        let at_start = |word: &str| {
            // A path starts where nothing that could be a part of one stands before it.
            line.match_indices(word)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_~/{}$".contains(c)))
        };
        if let Some(word) = paths.iter().find(|w| at_start(w)) {
            out.push(format!("{path}:{}: `{word}` is a place of one machine", n + 1));
        }
        if let Some(host) = hosts.iter().find(|h| line.contains(**h)) {
            out.push(format!("{path}:{}: `{host}`: a registry is the reader's choice", n + 1));
        }
    }
    out
}

// ---------------------------------------------------------------------------------------------------------------
// The rules, over the tree

fn clean(findings: Findings) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn layers_point_one_way() {
    clean(check_layers(&sources()));
}

#[test]
fn pure_folders_are_pure() {
    clean(sources().iter().flat_map(check_pure).collect());
}

#[test]
fn banned_words_are_absent() {
    clean(sources().iter().flat_map(check_words).collect());
}

#[test]
fn state_belongs_to_nodes() {
    clean(sources().iter().flat_map(check_statics).collect());
}

#[test]
fn modules_open_with_what_they_are() {
    clean(sources().iter().flat_map(check_opening).collect());
}

#[test]
fn every_select_is_biased() {
    clean(sources().iter().flat_map(check_select).collect());
}

#[test]
fn every_file_is_compiled() {
    clean(check_reachable(&sources()));
}

#[test]
fn fuzz_targets_are_listed() {
    let files = files();
    let paths: Vec<&str> = files.iter().map(|(short, _)| short.as_str()).collect();
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap_or_default();
    clean(check_fuzz_listed(&paths, &manifest));
}

#[test]
fn files_are_small_and_name_no_machine() {
    let mut out = Findings::new();
    for (short, path) in files() {
        let bytes = path.metadata().map_or(0, |m| m.len());
        out.extend(check_size(&short, bytes));
        if bytes <= FILE_BYTES_MAX && !short.contains("fixtures/") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            out.extend(check_places(&short, &text));
        }
    }
    clean(out);
}

// ---------------------------------------------------------------------------------------------------------------
// The rules themselves

/// Rules fire on what they are for, and only there.
mod rules {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    fn fires(findings: Findings, words: &[&str]) {
        assert_eq!(findings.len(), words.len(), "{findings:#?}");
        for (finding, word) in findings.iter().zip(words) {
            assert!(finding.contains(word), "{finding} does not say {word}");
        }
    }

    #[test]
    fn literals_and_comments_are_blank() {
        let text = "let a = \"tokio\"; // tokio\n/* /* tokio */ */ let b = r#\"tokio\"#; let c = '\"'; tokio";
        let code = blank_literals(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(words(&code, "tokio").len(), 1);
        assert_eq!(blank_literals("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(blank_literals(r"let q = '\''; tokio"), "let q = '  '; tokio");
        assert_eq!(blank_literals("let e = 'é'; x"), "let e = '  '; x");
    }

    #[test]
    fn tests_are_not_product() {
        let s = file("src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { x } }\nfn c() {}");
        assert!(s.product.contains("fn a") && s.product.contains("fn c") && !s.product.contains("fn b"));
        let s = file("src/a.rs", "#[cfg(test)]\nuse b::{c, d};\nfn e() {}");
        assert!(!s.product.contains("use b") && s.product.contains("fn e"));
        assert!(file("src/a_test.rs", "fn x() {}").product.trim().is_empty());
    }

    #[test]
    fn layers() {
        let up = [file("src/storage/log.rs", "use crate::types::A;\nuse crate::replica::B;")];
        fires(check_layers(&up), &["src/storage/log.rs:2: storage may not import replica"]);
        let group = [file("src/wire/mod.rs", "use crate::{types::{A, B}, api::{C}, storage};")];
        fires(check_layers(&group), &["import api", "import storage"]);
        let climb = [file("src/wire/a/b.rs", "use super::super::super::node::X; use super::super::frame;")];
        fires(check_layers(&climb), &["import node"]);
        let circle =
            [file("src/env/a.rs", "use crate::wire::A;"), file("src/wire/b.rs", "use crate::env::B;")];
        fires(check_layers(&circle), &["import each other", "import each other"]);
        let one_way = [
            file("src/wire/b.rs", "use crate::schema::B; use crate::wire::C;"),
            file("src/main.rs", "use crate::cli;"),
        ];
        fires(check_layers(&one_way), &[]);
        fires(check_layers(&[file("src/misc.rs", "")]), &["no row in LAYERS"]);
    }

    #[test]
    fn purity() {
        let s = file(
            "src/storage/validate.rs",
            "async fn f(m: Mutex<u8>) {}\n// tokio\n#[cfg(test)]\nmod t { use tokio::x; }",
        );
        fires(check_pure(&s), &["`async`", "`Mutex`"]);
        fires(check_pure(&file("src/wire/x/y.rs", "use crate::env::Env;")), &["`crate::env`"]);
        fires(check_pure(&file("src/storage/log.rs", "async fn f() {}")), &[]);
        fires(check_pure(&file("src/types/ids.rs", "struct Asynchronous; fn tokio_free() {}")), &[]);
    }

    #[test]
    fn banned_words() {
        fires(check_words(&file("src/api/a.rs", "use std::collections::HashMap;")), &["types::FastMap"]);
        fires(check_words(&file("src/api/a.rs", "use rustc_hash::FxHashMap;")), &[]);
        fires(
            check_words(&file("src/api/a.rs", "tokio::spawn(x); std::fs::read(y)")),
            &["env.disk", "env.tasks.spawn"],
        );
        fires(check_words(&file("src/env/tasks.rs", "tokio::spawn(x)")), &[]);
        fires(check_words(&file("src/api/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }")), &[]);
        fires(check_words(&file("src/a_test.rs", "fn f() { todo!() }")), &["`todo!`"]);
        fires(check_words(&file("tests/x.rs", "dbg!(1); unimplemented!()")), &["`dbg!`", "`unimplemented!`"]);
        fires(check_words(&file("src/api/a.rs", concat!("// FIX", "ME later"))), &["a note to fix"]);
        fires(check_words(&file("src/replica/a.rs", "use openraft::Raft;")), &["quorum"]);
    }

    #[test]
    fn statics() {
        let fires_at = |code, wanted: &[&str]| fires(check_statics(&file("src/api/a.rs", code)), wanted);
        fires_at("fn f() { static N: AtomicUsize = AtomicUsize::new(0); }", &["src/api/a.rs:1"]);
        fires_at("pub static S: std::sync::OnceLock<u8> = x();", &["state outside"]);
        fires_at("thread_local! { static T: Vec<u8> = x(); }", &["state outside"]);
        fires_at("static ALL: &[u8] = &[1]; fn f(n: &'static AtomicUsize) {}", &[]);
        fires_at("#[cfg(test)]\nmod tests { static N: AtomicUsize = x(); }", &[]);
        fires(check_statics(&file("src/env/a.rs", "static N: AtomicUsize = x();")), &[]);
    }

    #[test]
    fn openings() {
        fires(check_opening(&file("src/a.rs", "//! A.\n")), &[]);
        fires(check_opening(&file("src/a.rs", "use x;\n//! A.\n")), &["open with"]);
    }

    #[test]
    fn selects() {
        fires(check_select(&file("src/a.rs", "tokio::select! {\n // why\n biased;\n a = b => {} }")), &[]);
        fires(check_select(&file("src/a.rs", "tokio::select! { a = b => {} }")), &["src/a.rs:1"]);
    }

    #[test]
    fn reachability() {
        let tree = [
            file("src/lib.rs", "pub mod a;\nmod inline { }\n"),
            file("src/a/mod.rs", "pub(crate) mod b;\n"),
            file("src/a/b.rs", "mod c;\n#[cfg(test)]\n#[path = \"b_test.rs\"]\nmod tests;\n"),
            file("src/a/b/c.rs", ""),
            file("src/a/b_test.rs", ""),
            file("src/a/lost.rs", ""),
            file("tests/main.rs", "mod api;"),
            file("tests/api/mod.rs", ""),
            file("src/bin/dev/main.rs", "mod verify;"),
            file("src/bin/dev/verify.rs", ""),
        ];
        fires(check_reachable(&tree), &["src/a/lost.rs"]);
    }

    #[test]
    fn fuzz_list() {
        let paths = ["fuzz/fuzz_targets/frame.rs", "fuzz/fuzz_targets/new.rs", "src/lib.rs"];
        fires(check_fuzz_listed(&paths, "path = \"fuzz_targets/frame.rs\""), &["new.rs"]);
    }

    #[test]
    fn sizes() {
        assert!(check_size("src/a.bin", FILE_BYTES_MAX + 1).is_some());
        assert!(check_size("src/a.bin", FILE_BYTES_MAX).is_none());
        assert!(check_size("tests/fixtures/a.bin", FILE_BYTES_MAX + 1).is_none());
    }

    #[test]
    fn places() {
        fires(check_places("a.md", concat!("see /wo", "rk/x\nand crates", ".io")), &["a.md:1", "a.md:2"]);
        fires(check_places("a.md", concat!("{dir}/wo", "rk/x and net/ho", "me/x")), &[]);
    }
}
