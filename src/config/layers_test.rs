use super::*;

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn find(entries: &[Entry], name: &str) -> Entry {
    entries.iter().find(|e| e.name == name).cloned().expect("an entry of that name")
}

fn shown(entry: &Entry) -> Vec<(String, Option<String>, i8)> {
    entry.synonyms.iter().map(|s| (s.name.clone(), s.value.clone(), s.source.code())).collect()
}

#[test]
fn the_strongest_layer_wins_and_the_others_are_listed() {
    let layers = Layers::new(props(&[("log.retention.hours", "1"), ("log.retention.ms", "5")]))
        .with_dynamic(props(&[("log.retention.ms", "7")]), props(&[("log.retention.ms", "9")]));
    let entry = find(&layers.topic_entries(&props(&[("retention.ms", "11")])), "retention.ms");
    assert_eq!(entry.value.as_deref(), Some("11"));
    assert_eq!(entry.source, Source::Topic);
    assert_eq!(
        shown(&entry),
        [
            ("retention.ms".to_owned(), Some("11".to_owned()), 1),
            ("log.retention.ms".to_owned(), Some("9".to_owned()), 2),
            ("log.retention.ms".to_owned(), Some("7".to_owned()), 3),
            ("log.retention.ms".to_owned(), Some("5".to_owned()), 4),
            ("log.retention.hours".to_owned(), Some("1".to_owned()), 4),
            ("log.retention.hours".to_owned(), Some("168".to_owned()), 5),
        ]
    );
    assert_eq!(layers.topic(&Props::new()).retention_ms, 9);
}

#[test]
fn coarser_units_stand_in_for_finer_ones() {
    let retention = |pairs: &[(&str, &str)]| Layers::new(props(pairs)).topic(&Props::new()).retention_ms;
    assert_eq!(retention(&[]), 604_800_000);
    assert_eq!(retention(&[("log.retention.hours", "2")]), 7_200_000);
    assert_eq!(retention(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]), 180_000);
    assert_eq!(retention(&[("log.retention.hours", "2"), ("log.retention.ms", "4")]), 4);
    assert_eq!(retention(&[("log.retention.hours", "-1")]), -1);
    assert_eq!(retention(&[("log.retention.ms", "-5")]), -1);
    let topic =
        Layers::new(props(&[("log.roll.hours", "1"), ("log.roll.jitter.hours", "2")])).topic(&Props::new());
    assert_eq!((topic.segment_ms, topic.segment_jitter_ms), (3_600_000, 7_200_000));
    assert_eq!(Layers::default().topic(&Props::new()), TopicConfig::default());
}

#[test]
fn a_stored_value_that_is_wrong_counts_as_not_set() {
    let layers = Layers::new(props(&[("log.segment.bytes", "2000000")]))
        .with_dynamic(props(&[("log.segment.bytes", "x"), ("num.partitions", "9")]), Props::new());
    assert_eq!(layers.topic(&props(&[("segment.bytes", "1")])).segment_bytes, 2_000_000);
    let partitions = find(&layers.broker_entries(), "num.partitions");
    assert_eq!((partitions.value.as_deref(), partitions.source), (Some("1"), Source::Default));
}

#[test]
fn brokers_are_described_with_who_set_what() {
    let layers =
        Layers::new(props(&[("num.partitions", "3"), ("my.plugin.secret", "x"), ("sasl.jaas.config", "y")]))
            .with_dynamic(props(&[("num.io.threads", "4")]), Props::new());
    let entries = layers.broker_entries();
    let partitions = find(&entries, "num.partitions");
    assert_eq!(
        (partitions.source, partitions.read_only, partitions.kind_code()),
        (Source::StaticBroker, true, 3)
    );
    let threads = find(&entries, "num.io.threads");
    assert_eq!((threads.source, threads.read_only), (Source::DynamicDefaultBroker, false));
    assert_eq!(threads.synonyms.len(), 2);
    for secret in ["my.plugin.secret", "sasl.jaas.config"] {
        let entry = find(&entries, secret);
        assert!(entry.sensitive && entry.value.is_none() && entry.synonyms.iter().all(|s| s.value.is_none()));
    }
    let hours = find(&entries, "log.retention.hours");
    assert_eq!(shown(&hours), [("log.retention.hours".to_owned(), Some("168".to_owned()), 5)]);
    assert!(find(&entries, "log.retention.ms").synonyms.is_empty() || hours.source == Source::Default);
    let rate = find(&entries, "log.cleaner.io.max.bytes.per.second");
    assert_eq!(rate.value.as_deref(), Some("1.7976931348623157E308"));
    let common = layers.cluster_entries();
    assert_eq!(common.len(), 1);
    assert_eq!(common[0].source, Source::DynamicDefaultBroker);
    assert!(entries.iter().all(|e| e.property.is_none_or(|p| !p.internal)));
}

#[test]
fn what_exists_dynamically_only_is_shown() {
    let own = props(&[("leader.replication.throttled.rate", "123"), ("my.plugin.secret", "x")]);
    let entries = Layers::new(Props::new()).with_dynamic(Props::new(), own).broker_entries();
    let rate = find(&entries, "leader.replication.throttled.rate");
    assert_eq!(
        (rate.value.as_deref(), rate.source, rate.sensitive),
        (Some("123"), Source::DynamicBroker, false)
    );
    assert_eq!(find(&entries, "my.plugin.secret").value, None);
}

#[test]
fn groups_take_their_brokers_values() {
    let layers = Layers::new(props(&[("group.consumer.session.timeout.ms", "50000")]));
    let entries = layers.group_entries(&props(&[("consumer.heartbeat.interval.ms", "6000")]));
    let session = find(&entries, "consumer.session.timeout.ms");
    assert_eq!((session.value.as_deref(), session.source), (Some("50000"), Source::StaticBroker));
    let heartbeat = find(&entries, "consumer.heartbeat.interval.ms");
    assert_eq!((heartbeat.value.as_deref(), heartbeat.source), (Some("6000"), Source::Group));
    let own = client_metrics_entries(&props(&[("interval.ms", "1000")]));
    assert_eq!(find(&own, "interval.ms").source, Source::ClientMetrics);
    assert_eq!(find(&own, "match").source, Source::Default);
}

#[test]
fn doubles_look_as_in_java() {
    let texts = [0.5, 1.0, 1e7, 123_456.0, 1e-4, f64::MAX, 0.9].map(java_double);
    assert_eq!(texts, ["0.5", "1.0", "1.0E7", "123456.0", "1.0E-4", "1.7976931348623157E308", "0.9"]);
}
