//! Files of properties, as Java reads and writes them, and values that stand elsewhere.
//!
//! Syntax is that of `java.util.Properties`: a key ends at the first `=`, `:` or blank that no backslash escapes; a
//! line that ends in an odd number of backslashes goes on in the next; `#` and `!` begin comments. Bytes that are not
//! UTF-8 are taken for ISO-8859-1. Values like `${file:/path:key}` are replaced through `config.providers` (KIP-297).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::layers::Props;
use super::property::{ConfigError, one_line, split_list};
use crate::env::Disk;
use crate::env::disk::read_file;

/// Bytes that a file of properties may have.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// References that one value may hold.
const REFERENCES_MAX: usize = 1000;

/// Why a file of properties cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("Cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An escape that is none.
    #[error("line {line}: malformed \\uxxxx encoding")]
    Escape {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A value that stands elsewhere cannot be had.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads a file of properties from disk.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Props, FileError> {
    let content = read_file(disk, path, FILE_BYTES_MAX)
        .map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    parse(&content)
}

/// Parses properties. A key that is there twice has its last value.
pub fn parse(content: &[u8]) -> Result<Props, FileError> {
    let text = match std::str::from_utf8(content) {
        Ok(text) => text.to_owned(),
        Err(_) => content.iter().map(|&b| char::from(b)).collect(),
    };
    let mut props = Props::new();
    let natural = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = natural.split('\n').enumerate();
    while let Some((at, first)) = lines.next() {
        let first = first.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while ends_in_escape(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, more)) => logical.push_str(more.trim_start_matches(BLANKS)),
                None => break,
            }
        }
        let (key, value) = split(&logical);
        let line = at + 1;
        props.insert(unescape(key, line)?, unescape(value, line)?);
    }
    Ok(props)
}

const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

fn ends_in_escape(line: &str) -> bool {
    line.bytes().rev().take_while(|&b| b == b'\\').count() % 2 == 1
}

/// Key and value of a logical line, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|&(_, c)| {
        let ends = !escaped && (c == '=' || c == ':' || BLANKS.contains(&c));
        escaped = !escaped && c == '\\';
        ends
    });
    let Some((end, _)) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(BLANKS))
}

fn unescape(text: &str, line: usize) -> Result<String, FileError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    // Java's characters are UTF-16 units; a pair of them may be two escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    let mut unit = 0u16;
                    for _ in 0..4 {
                        let digit =
                            chars.next().and_then(|c| c.to_digit(16)).ok_or(FileError::Escape { line })?;
                        unit = unit << 4 | digit as u16;
                    }
                    units.push(unit);
                    continue;
                }
                Some(other) => other,
                None => break,
            }
        } else {
            c
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

/// Writes properties as Java does, ordered by key, under two comment lines: `comment`, and the date.
pub fn write(props: &Props, comment: &str, date: &str) -> String {
    let mut out = format!("#{comment}\n#{date}\n");
    for (key, value) in props {
        escape(key, true, &mut out);
        out.push('=');
        escape(value, false, &mut out);
        out.push('\n');
    }
    out
}

fn escape(text: &str, is_key: bool, out: &mut String) {
    for (at, c) in text.chars().enumerate() {
        match c {
            ' ' if is_key || at == 0 => out.push_str("\\ "),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '\\' | '=' | ':' | '#' | '!' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
}

/// The outside that values may refer to.
pub struct Outside<'a> {
    /// Where files are.
    pub disk: &'a dyn Disk,
    /// The process's environment.
    pub environment: &'a BTreeMap<String, String>,
}

/// Replaces `${provider:path:key}` in every value, by the providers that `config.providers` names. A reference to
/// another provider, and one whose key is not there, stays as it is, as in Kafka.
pub fn resolve(props: &mut Props, outside: &Outside<'_>) -> Result<(), FileError> {
    let mut providers: BTreeMap<String, Provider> = BTreeMap::new();
    for name in props.get("config.providers").map(|list| split_list(list)).unwrap_or_default() {
        let class_key = format!("config.providers.{name}.class");
        let class = props.get(&class_key).map(|class| class.trim()).unwrap_or_default();
        let Some(provider) = Provider::of_class(class) else {
            return Err(ConfigError::Value {
                key: class_key,
                value: one_line(class),
                why: format!("must be one of {}", Provider::CLASSES.map(|(class, _)| class).join(", ")),
            }
            .into());
        };
        providers.insert(name, provider);
    }
    if providers.is_empty() {
        return Ok(());
    }
    for (key, value) in props.iter_mut().filter(|(key, _)| !key.starts_with("config.providers")) {
        *value = resolve_value(key, value, &providers, outside)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Provider {
    Env,
    File,
    Directory,
}

impl Provider {
    const CLASSES: [(&'static str, Provider); 3] = [
        ("org.apache.kafka.common.config.provider.EnvVarConfigProvider", Provider::Env),
        ("org.apache.kafka.common.config.provider.FileConfigProvider", Provider::File),
        ("org.apache.kafka.common.config.provider.DirectoryConfigProvider", Provider::Directory),
    ];

    fn of_class(class: &str) -> Option<Provider> {
        Provider::CLASSES.iter().find(|(name, _)| *name == class).map(|(_, provider)| *provider)
    }

    fn get(self, path: &str, key: &str, outside: &Outside<'_>) -> Result<Option<String>, FileError> {
        match self {
            Provider::Env => Ok(outside.environment.get(key).cloned()),
            Provider::File => Ok(read(outside.disk, Path::new(path))?.remove(key)),
            // Keys are names in the directory, and must not lead out of it.
            Provider::Directory if key.contains('/') => Ok(None),
            Provider::Directory => {
                let file = Path::new(path).join(key);
                match read_file(outside.disk, &file, FILE_BYTES_MAX) {
                    Ok(content) => Ok(Some(String::from_utf8_lossy(&content).into_owned())),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(FileError::Io { path: file, source }),
                }
            }
        }
    }
}

fn resolve_value(
    key: &str,
    value: &str,
    providers: &BTreeMap<String, Provider>,
    outside: &Outside<'_>,
) -> Result<String, FileError> {
    let mut out = String::new();
    let (mut rest, mut count) = (value, 0);
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let reference = &rest[start..=start + length];
        out.push_str(&rest[..start]);
        rest = &rest[start + length + 1..];
        count += 1;
        if count > REFERENCES_MAX {
            let why = format!("at most {REFERENCES_MAX} references may stand in a value");
            return Err(ConfigError::Value { key: key.to_owned(), value: one_line(value), why }.into());
        }
        let inner = &reference[2..reference.len() - 1];
        let found = inner.split_once(':').and_then(|(name, rest)| {
            let (path, key) = rest.rsplit_once(':').unwrap_or(("", rest));
            Some((providers.get(name)?, path, key))
        });
        match found {
            Some((provider, path, name)) => match provider.get(path, name, outside)? {
                Some(secret) => out.push_str(&secret),
                None => out.push_str(reference),
            },
            None => out.push_str(reference),
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
#[path = "file_test.rs"]
mod tests;
