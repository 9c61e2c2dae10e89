//! What is printed and written: medians over runs, their spread, and ratios.

use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::broker::Kind;
use super::scenario::{Metrics, Scenario};

/// All runs of one kind of broker.
pub(crate) struct Runs {
    pub(crate) kind: Kind,
    pub(crate) runs: Vec<Metrics>,
}

/// Of one metric over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Runs {
    fn spread(&self, metric: &str) -> Option<Spread> {
        let mut values: Vec<f64> =
            self.runs.iter().filter_map(|run| run.get(metric)).filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, least, most })
    }

    fn noisy(&self) -> usize {
        self.runs.iter().filter(|run| run.get("noisy") == Some(1.0)).count()
    }
}

/// A number with three digits that count, and thousands apart.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() < 1000.0 {
        let digits = (2 - value.abs().max(1e-6).log10().floor() as i32).clamp(0, 4);
        return format!("{value:.*}", digits as usize);
    }
    let plain = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

/// `^` more is better, `v` less is.
fn sign(scenario: &Scenario, metric: &str) -> char {
    if scenario.more.contains(&metric) {
        '^'
    } else if scenario.less.contains(&metric) {
        'v'
    } else {
        ' '
    }
}

/// Names in the order they are shown: first what counts.
fn names(scenario: &Scenario, all: &[Runs]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = scenario.more.iter().chain(scenario.less).copied().collect();
    for (name, _) in all.iter().flat_map(|of| &of.runs).flat_map(|run| &run.0) {
        if !names.contains(name) && *name != "noisy" {
            names.push(name);
        }
    }
    names.retain(|name| all.iter().any(|of| of.spread(name).is_some()));
    names
}

/// One line about one run, as soon as it is over.
pub(crate) fn run_line(scenario: &Scenario, metrics: &Metrics) -> String {
    let shown: Vec<String> = scenario
        .more
        .iter()
        .chain(scenario.less)
        .filter_map(|name| metrics.get(name).map(|value| format!("{name} {}", number(value))))
        .collect();
    let noisy = if metrics.get("noisy") == Some(1.0) { "  (noisy)" } else { "" };
    format!("{}{noisy}", shown.join(", "))
}

/// The table of a scenario: a median for each broker, its spread where there are several runs, and the ratio
/// to the first.
pub(crate) fn table(scenario: &Scenario, all: &[Runs]) -> String {
    let mut out = format!("\n{}: {}\n\n{:28}", scenario.name, scenario.about, "");
    for of in all {
        out += &format!("{:>12}", of.kind.name());
        if of.runs.len() > 1 {
            out += &format!("{:>22}", "(least .. most)");
        }
    }
    for of in all.iter().skip(1) {
        out += &format!("{:>14}", format!("{}/{}", of.kind.name(), all[0].kind.name()));
    }
    out.push('\n');
    for name in names(scenario, all) {
        out += &format!("{} {name:26}", sign(scenario, name));
        let base = all[0].spread(name);
        for of in all {
            let spread = of.spread(name);
            out += &format!("{:>12}", spread.map_or("-".to_owned(), |s| number(s.median)));
            if of.runs.len() > 1 {
                let range = spread.map(|s| format!("({} .. {})", number(s.least), number(s.most)));
                out += &format!("{:>22}", range.unwrap_or_default());
            }
        }
        for of in all.iter().skip(1) {
            let ratio = base.zip(of.spread(name)).filter(|(base, _)| base.median != 0.0);
            let ratio =
                ratio.map_or("-".to_owned(), |(base, mine)| format!("{:.3}", mine.median / base.median));
            out += &format!("{ratio:>14}");
        }
        out.push('\n');
    }
    let runs: Vec<String> =
        all.iter().map(|of| format!("{} {} ({} noisy)", of.kind.name(), of.runs.len(), of.noisy())).collect();
    out + &format!("  runs: {}\n", runs.join(", "))
}

fn object(pairs: impl Iterator<Item = (&'static str, f64)>) -> Value {
    // A number that is none has no form in JSON: null.
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

/// The same for machines: medians and every run.
pub(crate) fn json(scenario: &Scenario, all: &[Runs]) -> Value {
    let mut kinds = Map::new();
    for of in all {
        let medians =
            names(scenario, all).into_iter().filter_map(|name| Some((name, of.spread(name)?.median)));
        let runs: Vec<Value> = of.runs.iter().map(|run| object(run.0.iter().copied())).collect();
        kinds.insert(of.kind.name().to_owned(), json!({ "median": object(medians), "runs": runs }));
    }
    Value::Object(kinds)
}

/// Writes what is known so far, so that a run cut short keeps it.
pub(crate) fn write(path: &Path, about: &Value, scenarios: &Map<String, Value>) -> io::Result<()> {
    let whole = json!({ "about": about, "scenarios": scenarios });
    std::fs::write(path, format!("{whole:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Runs {
        Runs { kind: Kind::Ottla, runs: values.iter().map(|v| Metrics(vec![("mb_s", *v)])).collect() }
    }

    #[test]
    fn medians_and_spreads() {
        let spread = |median, least, most| Some(Spread { median, least, most });
        assert_eq!(runs(&[3.0, 1.0, 2.0]).spread("mb_s"), spread(2.0, 1.0, 3.0));
        assert_eq!(runs(&[4.0, 1.0]).spread("mb_s"), spread(2.5, 1.0, 4.0));
        assert_eq!(runs(&[f64::NAN]).spread("mb_s"), None);
        assert_eq!(runs(&[1.0]).spread("other"), None);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.0, 0.0123, 0.256, 1.5, 42.0, 570.9, 5_190_000.0, -12345.0].map(number);
        assert_eq!(shown, ["0", "0.0123", "0.256", "1.50", "42.0", "571", "5,190,000", "-12,345"]);
    }

    #[test]
    fn a_table_has_ratios_to_the_first() {
        let scenario = &super::super::scenario::ALL[0];
        let of = |kind, value| Runs { kind, runs: vec![Metrics(vec![("mb_s", value)])] };
        let table = table(scenario, &[of(Kind::Kafka, 500.0), of(Kind::Ottla, 1250.0)]);
        assert!(table.contains("ottla/kafka"), "{table}");
        assert!(table.lines().any(|l| l.starts_with("^ mb_s") && l.trim_end().ends_with("2.500")), "{table}");
    }
}
