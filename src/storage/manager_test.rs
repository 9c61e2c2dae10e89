use super::*;

#[test]
fn names_of_directories() {
    let log = |topic: &str, partition| DirKind::Log(TopicPartition::new(topic, partition));
    assert_eq!(classify("a-b-12"), log("a-b", 12));
    assert_eq!(classify("__consumer_offsets-0"), log("__consumer_offsets", 0));
    assert_eq!(classify("__cluster_metadata-0"), DirKind::Metadata);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-delete"), DirKind::Delete);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-future"), DirKind::Future);
    assert_eq!(classify("a-0.0123456789abcdef0123456789abcdef-stray"), DirKind::Stray);
    for name in ["a", "a-", "-0", "a-+1", "a-01", "a b-0", "lost+found", "a-0.01-delete"] {
        assert_eq!(classify(name), DirKind::Unknown, "{name}");
    }
}

#[test]
fn recovery_points_are_written_every_second_where_logs_are_few() {
    assert_eq!([0, 1, 1000, 10_000, 60_000].map(points_interval_ms), [1000, 1000, 1000, 10_000, 60_000]);
}
