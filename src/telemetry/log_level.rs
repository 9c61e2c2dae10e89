//! The level of this process's log, which may change while it runs (KIP-412).
//!
//! Whoever sets the log up says how to change it, with [`set_with`]; until then it cannot be.

use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;

/// How to make the log show a level and what is worse.
type Change = Box<dyn Fn(LevelFilter) -> Result<(), String> + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// A level under the name that Kafka's operators know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level(LevelFilter);

impl Level {
    /// The level of this name, in capitals. `FATAL` is not told from `ERROR`.
    pub fn from_name(name: &str) -> Option<Level> {
        let filter = match name {
            "TRACE" => LevelFilter::TRACE,
            "DEBUG" => LevelFilter::DEBUG,
            "INFO" => LevelFilter::INFO,
            "WARN" => LevelFilter::WARN,
            "ERROR" | "FATAL" => LevelFilter::ERROR,
            _ => return None,
        };
        Some(Level(filter))
    }

    /// Its name, in capitals.
    pub fn name(self) -> &'static str {
        match self.0 {
            LevelFilter::TRACE => "TRACE",
            LevelFilter::DEBUG => "DEBUG",
            LevelFilter::INFO => "INFO",
            LevelFilter::WARN => "WARN",
            LevelFilter::ERROR => "ERROR",
            LevelFilter::OFF => "OFF",
        }
    }
}

/// Says how the level is changed. Only the first to say so is heard: a process has one log.
pub fn set_with(change: impl Fn(LevelFilter) -> Result<(), String> + Send + Sync + 'static) {
    let _heard_before = CHANGE.set(Box::new(change));
}

/// The level that is in force.
pub fn current() -> Level {
    Level(LevelFilter::current())
}

/// Changes the level, until it is changed again or the process ends.
///
/// # Errors
///
/// In words for people, if the log was set up without a way to change it or that failed.
pub fn set(level: Level) -> Result<(), String> {
    match CHANGE.get() {
        Some(change) => change(level.0),
        None => Err("the log of this process has a fixed level".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_log4j() {
        for name in ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"] {
            assert_eq!(Level::from_name(name).map(Level::name), Some(name));
        }
        assert_eq!(Level::from_name("FATAL").map(Level::name), Some("ERROR"));
        assert_eq!(Level::from_name("info"), None);
    }
}
