//! `docs/configuration.md`, made of the tables.

use std::fmt::Write as _;

use super::broker::{self, AREAS};
use super::client_metrics::CLIENT_METRICS_PROPERTIES;
use super::group::GROUP_PROPERTIES;
use super::property::{Property, Unset};
use super::topic::{TOPIC_PROPERTIES, broker_synonyms};

/// The whole page.
pub fn page() -> String {
    let ignored: Vec<&Property> =
        broker::properties().iter().copied().filter(|p| p.ignored.is_some()).collect();
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Made from the tables in src/config; `UPDATE_EXPECT=1 cargo test configuration_page` writes it. -->\n\n\
         ottla takes Kafka's `server.properties`: names, defaults, bounds and precedence are those of Apache Kafka 4.4. A \
         value comes from the strongest of: the topic's (or group's) own setting, the broker's dynamic setting, the \
         dynamic setting for all brokers, the command line, the file, the default. A key that nobody knows is warned of \
         and otherwise ignored, as is a known one that has no effect.\n\n\
         Keys that Kafka does not have: `acks.all.durability` (broker and topic), `broker.lease.ms` and \
         `conformance.listener.principals`.\n\n",
    );
    let all = broker::properties().len();
    let _ = writeln!(out, "Of {all} broker keys, {} have no effect yet or by design:\n", ignored.len());
    out.push_str("## Broker keys without effect\n\n| Key | Why |\n|---|---|\n");
    for p in &ignored {
        let _ = writeln!(out, "| `{}` | {} |", p.name, p.ignored.unwrap_or_default());
    }
    for (key, why) in broker::PLUGIN_KEYS {
        let _ = writeln!(out, "| `{key}` | {why} |");
    }
    out.push_str("\nKeys of older versions that are warned of:\n\n| Key | Why |\n|---|---|\n");
    for (key, why) in broker::REMOVED {
        let _ = writeln!(out, "| `{key}` | {why} |");
    }
    for (title, table) in AREAS {
        section(&mut out, &format!("Broker: {title}"), table.iter(), "Update", |p| {
            p.update.name().to_owned()
        });
    }
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    section(&mut out, "Topics", TOPIC_PROPERTIES.iter(), "Broker's keys behind it", |p| {
        code(broker_synonyms(p.name))
    });
    section(&mut out, "Groups", GROUP_PROPERTIES.iter(), "Broker's key behind it", |p| {
        super::group::broker_synonym(p.name).map(|name| format!("`{name}`")).unwrap_or_default()
    });
    section(&mut out, "Client metrics", CLIENT_METRICS_PROPERTIES.iter(), "", |_| String::new());
    out
}

fn section<'a>(
    out: &mut String,
    title: &str,
    table: impl Iterator<Item = &'a Property>,
    last: &str,
    column: impl Fn(&Property) -> String,
) {
    let _ = writeln!(
        out,
        "\n## {title}\n\n| Key | Type | Default | Allowed | {last} | What it does |\n|---|---|---|---|---|---|"
    );
    for p in table.filter(|p| !p.internal) {
        let default = match p.default {
            Unset::Required => "required".to_owned(),
            Unset::Null => "null".to_owned(),
            Unset::Is("") => "empty".to_owned(),
            Unset::Is(text) => format!("`{text}`"),
        };
        let effect = p.ignored.map(|why| format!(" *No effect: {why}.*")).unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} | {} | {}{effect} |",
            p.name,
            p.kind.name().to_lowercase(),
            p.allowed(),
            column(p),
            p.doc()
        );
    }
}

#[cfg(test)]
#[path = "docs_test.rs"]
mod tests;
