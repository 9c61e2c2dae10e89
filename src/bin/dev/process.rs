//! Running other programs: shown before they start, their output passed through and, where asked, read along.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The package's directory.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(dir)
}

/// The cargo that started us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(args);
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

/// Runs in the package's directory, output to the terminal. True when it ends well.
pub(crate) fn passes(mut command: Command) -> bool {
    println!("\n--- {}", shown(&command));
    match command.current_dir(root()).status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("could not run it: {error}");
            false
        }
    }
}

/// Like [`passes`], and hands each line of standard output to `read` as it is passed on.
pub(crate) fn passes_reading(mut command: Command, mut read: impl FnMut(&str)) -> bool {
    println!("\n--- {}", shown(&command));
    let mut child = match command.current_dir(root()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("could not run it: {error}");
            return false;
        }
    };
    if let Some(out) = child.stdout.take() {
        let mut lines = BufReader::new(out);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            print!("{text}");
            let _ = std::io::stdout().flush(); // A closed terminal must not end the tests.
            read(text.trim_end());
            line.clear();
        }
    }
    child.wait().is_ok_and(|status| status.success())
}

/// Builds the broker and these commands for release, at once: they share the library, whose build takes longest.
/// -> whether it ended well
pub(crate) fn build_release() -> bool {
    passes(cargo(&["build", "--release", "--features", "dev", "--bins"]))
}

/// Runs quietly; what it said comes back when it fails.
pub(crate) fn quietly(mut command: Command) -> Result<String, String> {
    let what = shown(&command);
    let done =
        command.current_dir(root()).stdin(Stdio::null()).output().map_err(|e| format!("{what}: {e}"))?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(out);
    }
    let said = format!("{out}{}", String::from_utf8_lossy(&done.stderr));
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(format!("{what}: {}", lines[lines.len().saturating_sub(8)..].join(" | ")))
}

/// Whether a program of this name can be found.
pub(crate) fn found(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}
