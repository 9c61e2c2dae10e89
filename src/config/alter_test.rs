use super::*;
use crate::config::layers::Layers;

fn props(pairs: &[(&str, &str)]) -> Props {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn node() -> Layers {
    Layers::new(props(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
    ]))
}

fn refused(resource: Resource, pairs: &[(&str, &str)]) -> (ErrorCode, String) {
    let error = validate(&node(), resource, &Props::new(), &props(pairs)).expect_err("must be refused");
    (error.code(), error.to_string())
}

#[test]
fn topics_are_refused_with_invalid_config() {
    let (code, message) = refused(Resource::Topic, &[("nope", "1")]);
    assert_eq!((code, message.as_str()), (ErrorCode::InvalidConfig, "Unknown topic config name: nope"));
    assert_eq!(refused(Resource::Topic, &[("segment.bytes", "1")]).0, ErrorCode::InvalidConfig);
    let lag = [("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")];
    assert!(
        refused(Resource::Topic, &lag).1.contains("min.compaction.lag.ms (5) > max.compaction.lag.ms (4)")
    );
    assert!(
        refused(Resource::Topic, &[("remote.storage.enable", "true")]).1.contains("disabled in the broker")
    );
    assert!(
        validate(&node(), Resource::Topic, &Props::new(), &props(&[("cleanup.policy", "compact")])).is_ok()
    );
}

#[test]
fn brokers_are_refused_with_invalid_request() {
    let (code, message) = refused(Resource::Broker, &[("num.partitions", "3")]);
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert_eq!(message, "Cannot update these configs dynamically: [num.partitions]");
    assert_eq!(refused(Resource::Broker, &[("log.segment.bytes", "x")]).0, ErrorCode::InvalidRequest);
    assert!(
        refused(Resource::AllBrokers, &[("ssl.keystore.location", "x")])
            .1
            .ends_with("using the listener prefix: [ssl.keystore.location]")
    );
    assert!(
        refused(Resource::AllBrokers, &[("listener.name.a.ssl.keystore.location", "x")])
            .1
            .contains("broker id must be specified")
    );
    assert_eq!(
        refused(Resource::Broker, &[("leader.replication.throttled.rate", "-1")]).0,
        ErrorCode::InvalidRequest
    );
    // The combination counts too.
    assert!(
        refused(Resource::Broker, &[("log.cleaner.threads", "500")]).1.contains("1MB per cleaner thread")
    );
    let fine = props(&[("log.retention.ms", "1000"), ("some.plugin.key", "x")]);
    assert!(validate(&node(), Resource::AllBrokers, &Props::new(), &fine).is_ok());
    // What was there before and does not change is not refused again.
    let old = props(&[("num.partitions", "3")]);
    assert!(validate(&node(), Resource::Broker, &old, &old).is_ok());
}

#[test]
fn groups_keep_to_their_brokers_bounds() {
    let (code, message) = refused(Resource::Group, &[("consumer.session.timeout.ms", "1")]);
    assert_eq!(code, ErrorCode::InvalidConfig);
    assert!(message.contains("greater than or equal to group.consumer.min.session.timeout.ms"), "{message}");
    assert!(
        refused(Resource::Group, &[("consumer.session.timeout.ms", "60001")])
            .1
            .contains("less than or equal")
    );
    assert!(refused(Resource::Group, &[("nope", "1")]).1.starts_with("Unknown group config name"));
    let (code, message) = refused(Resource::ClientMetrics, &[("interval.ms", "99")]);
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(message.contains("between 100 and 3600000"), "{message}");
    assert_eq!(refused(Resource::ClientMetrics, &[("nope", "1")]).0, ErrorCode::InvalidRequest);
    let (_, message) = refused(Resource::ClientMetrics, &[("match", "nope=x")]);
    assert_eq!(message, "Illegal client matching pattern: nope=x");
    let fine = props(&[("match", "client_id=a.*,client_source_port=9.*")]);
    assert!(validate(&node(), Resource::ClientMetrics, &Props::new(), &fine).is_ok());
}

#[test]
fn lists_grow_and_shrink() {
    let ops = |op: Op| vec![("cleanup.policy".to_owned(), op)];
    let apply = |current: &Props, op: Op| apply(&node(), Resource::Topic, current, &ops(op));
    let appended = apply(&Props::new(), Op::Append("compact".into())).expect("a list");
    assert_eq!(appended, props(&[("cleanup.policy", "delete,compact")]));
    let again = apply(&appended, Op::Append("compact".into())).expect("a list");
    assert_eq!(again, appended);
    let fewer = apply(&appended, Op::Subtract("delete".into())).expect("a list");
    assert_eq!(fewer, props(&[("cleanup.policy", "compact")]));
    assert_eq!(apply(&fewer, Op::Delete), Ok(Props::new()));
}

#[test]
fn operations_that_make_no_sense_are_refused() {
    let op = ("segment.bytes".to_owned(), Op::Append("1".into()));
    let error =
        apply(&node(), Resource::Topic, &Props::new(), std::slice::from_ref(&op)).expect_err("no list");
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
    assert_eq!(error.to_string(), "Can't APPEND to key segment.bytes because its type is not LIST.");
    let twice = [("retention.ms".to_owned(), Op::Delete), ("retention.ms".to_owned(), Op::Set("1".into()))];
    let error = apply(&node(), Resource::Topic, &Props::new(), &twice).expect_err("twice");
    assert_eq!(error.code(), ErrorCode::InvalidRequest);
}
