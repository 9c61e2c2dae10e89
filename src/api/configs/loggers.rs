//! Loggers of a broker as a configuration (KIP-412). There is one, `root`: the level of everything.
//!
//! Levels are not kept: a restart goes back to what the node was started with.

use crate::api::errors::invalid_request;
use crate::config::{Entry, Source};
use crate::controller::command::{ApiError, ConfigChange, ConfigOp};
use crate::telemetry::log_level::{self, Level};
use crate::types::ErrorCode;

/// The name of the logger above all others, as log4j 2 has it.
const ROOT: &str = "root";

/// DescribeConfigs of the loggers.
pub(super) fn entries() -> Vec<Entry> {
    vec![Entry {
        name: ROOT.to_owned(),
        value: Some(log_level::current().name().to_owned()),
        source: Source::DynamicBrokerLogger,
        read_only: false,
        sensitive: false,
        synonyms: Vec::new(),
        property: None,
    }]
}

/// Changes levels, all or none.
pub(super) fn alter(changes: &[ConfigChange], validate_only: bool) -> Result<(), ApiError> {
    // What no logger allows comes first: a client that knows Kafka's loggers is told what it would be told there.
    for op in changes.iter().map(|change| change.op) {
        if matches!(op, ConfigOp::Append | ConfigOp::Subtract) {
            let op = op.name();
            let why = format!("{op} operation is not allowed for the BROKER_LOGGER resource");
            return Err(invalid_request(why));
        }
    }
    let mut wanted = None;
    for ConfigChange { name, op, value } in changes {
        match op {
            ConfigOp::Append | ConfigOp::Subtract => {}
            ConfigOp::Set | ConfigOp::Delete if name != ROOT => {
                return Err(invalid_config(format!("Logger {name} does not exist!")));
            }
            ConfigOp::Set => {
                let value = value.as_deref().unwrap_or_default();
                let level = Level::from_name(value).ok_or_else(|| {
                    let levels = "[DEBUG, ERROR, FATAL, INFO, TRACE, WARN]";
                    invalid_config(format!(
                        "Cannot set the log level of {name} to {value} as it is not a supported log level. Valid log \
                         levels are {levels}"
                    ))
                })?;
                wanted = Some(level);
            }
            ConfigOp::Delete => {
                let why = format!("Removing the log level of the {ROOT} logger is not allowed");
                return Err(invalid_request(why));
            }
        }
    }
    match wanted {
        Some(level) if !validate_only => log_level::set(level)
            .map_err(|why| invalid_request(format!("The log level cannot be changed: {why}"))),
        _ => Ok(()),
    }
}

fn invalid_config(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, op: ConfigOp, value: &str) -> ConfigChange {
        ConfigChange { name: name.to_owned(), op, value: Some(value.to_owned()) }
    }

    #[test]
    fn what_is_wrong_is_said_in_kafkas_order() {
        let code = |changes: &[ConfigChange]| alter(changes, true).map_err(|error| error.code);
        let unknown = change("kafka.server.KafkaRequestHandler", ConfigOp::Set, "INFO");
        for op in [ConfigOp::Append, ConfigOp::Subtract] {
            let lists = change("kafka.network.SocketServer", op, "ERROR");
            assert_eq!(code(&[unknown.clone(), lists]), Err(ErrorCode::InvalidRequest));
        }
        assert_eq!(code(&[unknown]), Err(ErrorCode::InvalidConfig));
        assert_eq!(code(&[change(ROOT, ConfigOp::Set, "OFF")]), Err(ErrorCode::InvalidConfig));
        assert_eq!(code(&[change(ROOT, ConfigOp::Delete, "")]), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(&[change(ROOT, ConfigOp::Set, "DEBUG")]), Ok(()));
    }
}
