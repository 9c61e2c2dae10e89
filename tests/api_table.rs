//! The README's table of APIs is what the registry serves. `UPDATE_EXPECT=1` rewrites it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)] // Tests are outside of `Env`.

use std::fmt::Write as _;
use std::path::Path;

use ottla::api::registry::APIS;
use ottla::schema::layout::Versions;
use ottla::wire::versions;

const BEGIN: &str = "<!-- api-table -->\n";
const END: &str = "<!-- /api-table -->";

fn range(versions: Versions) -> String {
    let (min, max) = (versions.min, versions.max);
    if min == max { min.to_string() } else { format!("{min}-{max}") }
}

fn table() -> String {
    let mut table = "| Key | API | Versions | Kafka 4.4's |\n|---:|---|---|---|\n".to_owned();
    for entry in APIS {
        let kafka = versions::api(entry.key).expect("what is served is an API of Kafka's");
        let served = Versions::new(*entry.versions.start(), *entry.versions.end());
        let (served, valid) = (range(served), range(kafka.versions));
        writeln!(table, "| {} | {} | {served} | {valid} |", entry.key, kafka.name)
            .expect("a string takes it");
    }
    table
}

#[test]
fn the_readme_lists_what_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md is there");
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has the table's first marker");
    let (found, after) = rest.split_once(END).expect("README.md has the table's last marker");
    let table = table();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("README.md is written");
    } else {
        assert!(found == table, "README.md's table of APIs is stale: `cargo dev regen readme` rewrites it");
    }
}

#[test]
fn only_what_kafka_knows_is_served() {
    for entry in APIS {
        let kafka = versions::api(entry.key).expect("what is served is an API of Kafka's");
        let all = entry.versions.clone().all(|version| kafka.supports(version));
        assert!(all, "{} is served in versions that Kafka does not have: {:?}", kafka.name, entry.versions);
    }
}
