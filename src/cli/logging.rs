//! Log lines on stdout, in the form of Kafka's: `[2026-11-20 15:29:32,123] INFO message (module)`.
//!
//! The level comes from `--log`, else `OTTLA_LOG`, else what Kafka's images take (`KAFKA_LOG4J_ROOT_LOGLEVEL`), else it
//! is `info`. A filter names modules as in `info,ottla::storage=debug`. Times are UTC.

use std::fmt;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Environment;
use crate::env::Clock;
use crate::telemetry::log_level;
use crate::types::Ms;

/// A date and time of day, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) millisecond: i64,
}

/// The date and time of day of a time since the Unix epoch, in the Gregorian calendar.
pub(crate) fn civil(ms: Ms) -> Civil {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Years begin in March here, so that the leap day is their last; eras have 400 years, or 146097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Civil {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        hour: of_day / 3_600_000,
        minute: of_day / 60_000 % 60,
        second: of_day / 1000 % 60,
        millisecond: of_day % 1000,
    }
}

struct KafkaLines {
    clock: Arc<dyn Clock>,
}

impl<S, N> FormatEvent<S, N> for KafkaLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut w: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let t = civil(self.clock.now());
        write!(
            w,
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}] {} ",
            t.year,
            t.month,
            t.day,
            t.hour,
            t.minute,
            t.second,
            t.millisecond,
            event.metadata().level()
        )?;
        cx.field_format().format_fields(w.by_ref(), event)?;
        writeln!(w, " ({})", event.metadata().target())
    }
}

/// The filter that flag and environment ask for.
fn filter_text(flag: Option<&str>, environment: &Environment) -> String {
    let kafka = environment.get("KAFKA_LOG4J_ROOT_LOGLEVEL").map(|level| kafka_level(level).to_owned());
    let own = flag.map(str::to_owned).or_else(|| environment.get("OTTLA_LOG").cloned());
    own.or(kafka).unwrap_or_else(|| "info".to_owned())
}

/// log4j's levels, in ours.
fn kafka_level(level: &str) -> &'static str {
    match level.to_ascii_uppercase().as_str() {
        "OFF" => "off",
        "FATAL" | "ERROR" => "error",
        "WARN" => "warn",
        "DEBUG" => "debug",
        "TRACE" | "ALL" => "trace",
        _ => "info",
    }
}

/// The Raft engine's own account of itself is for those who ask for it.
fn with_quiet_raft(text: &str) -> String {
    if text.contains("openraft") { text.to_owned() } else { format!("openraft=warn,{text}") }
}

/// Begins to write log lines to stdout, at a level that can change later. Does nothing if somebody did before.
///
/// # Errors
///
/// One line, if the filter is none.
pub fn init(flag: Option<&str>, environment: &Environment, clock: Arc<dyn Clock>) -> Result<(), String> {
    let text = with_quiet_raft(&filter_text(flag, environment));
    let filter = EnvFilter::try_new(&text).map_err(|error| format!("Invalid log filter {text}: {error}"))?;
    let lines = tracing_subscriber::fmt().event_format(KafkaLines { clock });
    let lines = lines.with_env_filter(filter).with_filter_reloading();
    let handle = lines.reload_handle();
    if lines.try_init().is_ok() {
        log_level::set_with(move |level| {
            let filter =
                EnvFilter::try_new(with_quiet_raft(&level.to_string())).map_err(|e| e.to_string())?;
            handle.reload(filter).map_err(|e| e.to_string())
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        let day = |ms| {
            let t = civil(ms);
            (t.year, t.month, t.day, t.hour, t.minute, t.second, t.millisecond)
        };
        assert_eq!(day(0), (1970, 1, 1, 0, 0, 0, 0));
        assert_eq!(day(1_795_188_572_123), (2026, 11, 20, 15, 29, 32, 123));
        assert_eq!(day(951_782_400_000), (2000, 2, 29, 0, 0, 0, 0));
        assert_eq!(day(-1), (1969, 12, 31, 23, 59, 59, 999));
    }

    #[test]
    fn levels_come_from_flag_environment_and_kafkas_variable() {
        let environment = |pairs: &[(&str, &str)]| -> Environment {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let kafka = ("KAFKA_LOG4J_ROOT_LOGLEVEL", "FATAL");
        assert_eq!(filter_text(None, &environment(&[])), "info");
        assert_eq!(filter_text(None, &environment(&[kafka])), "error");
        assert_eq!(filter_text(None, &environment(&[kafka, ("OTTLA_LOG", "debug")])), "debug");
        assert_eq!(filter_text(Some("trace"), &environment(&[kafka])), "trace");
    }
}
