use super::*;

fn config(pairs: &[(&str, &str)]) -> Result<BrokerConfig, String> {
    let mut file: BTreeMap<String, String> = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    for (key, value) in pairs {
        match *value {
            "-" => file.remove(*key),
            value => file.insert((*key).to_owned(), value.to_owned()),
        };
    }
    BrokerConfig::new(&Layers::new(file)).map_err(|e| e.to_string())
}

/// The messages name what real Kafka names; see the texts of `KafkaConfig.validateValues`.
#[test]
fn what_does_not_go_together_is_refused() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("listeners", "PLAINTEXT://:9092,FOO://:9093")], "No security protocol defined for listener FOO"),
        (
            &[("listeners", "PLAINTEXT://localhost:9092")],
            "must contain at least one value appearing in the 'listeners'",
        ),
        (
            &[("listeners", "PLAINTEXT://:9092,CONTROLLER://:9092")],
            "Each listener must have a different port",
        ),
        (
            &[("listeners", "PLAINTEXT://:9092,PLAINTEXT://:9095,CONTROLLER://:9093")],
            "Each listener must have a different name",
        ),
        (&[("listeners", "PLAINTEXT//:9092")], "NAME://host:port"),
        (&[("listeners", "PLAINTEXT://:99999,CONTROLLER://:9093")], "from 0 to 65535"),
        (&[("listeners", "")], "must not be empty"),
        (&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")], "nonroutable meta-address 0.0.0.0"),
        (&[("advertised.listeners", "EXT://h:9092")], "No security protocol defined for listener EXT"),
        (
            &[("controller.quorum.voters", "2@localhost:9093")],
            "the node id 1 must be included in the set of voters",
        ),
        (&[("controller.quorum.voters", "-")], "either controller.quorum.bootstrap.servers"),
        (&[("controller.quorum.voters", "1@localhost")], "{id}@{host}:{port}"),
        (&[("process.roles", "-")], "Missing required configuration \"process.roles\""),
        (&[("process.roles", "foo")], "String must be one of: broker, controller"),
        (&[("process.roles", "broker")], "the node id 1 must not be included in the set of voters"),
        (&[("process.roles", "controller")], "must only contain KRaft controller listeners"),
        (
            &[("controller.listener.names", "-")],
            "Missing required configuration \"controller.listener.names\"",
        ),
        (&[("node.id", "-1")], "Value must be at least 0"),
        (&[("node.id", "-")], "Missing required configuration \"node.id\""),
        (&[("broker.id", "2")], "You must set `node.id` to the same value as `broker.id`"),
        (&[("inter.broker.listener.name", "X")], "not found in listener.security.protocol.map"),
        (
            &[("inter.broker.listener.name", "PLAINTEXT"), ("security.inter.broker.protocol", "PLAINTEXT")],
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set",
        ),
        (
            &[("security.inter.broker.protocol", "SSL")],
            "must be a listener name defined in advertised.listeners",
        ),
        (&[("listener.security.protocol.map", "A:PLAINTEXT")], "Controller listener with name CONTROLLER"),
        (&[("listener.security.protocol.map", "PLAINTEXT:FOO")], "Invalid security protocol"),
        (&[("log.dirs", "")], "must not be empty"),
        (&[("log.retention.ms", "0")], "must be unlimited (-1) or, greater than or equal to 1"),
        (&[("log.roll.ms", "0")], "must be greater than or equal to 1"),
        (&[("replica.fetch.wait.max.ms", "40000")], "replica.socket.timeout.ms"),
        (&[("queued.max.request.bytes", "5")], "larger or equal to socket.request.max.bytes"),
        (&[("max.connections.per.ip", "0")], "can be set to zero only if"),
        (&[("max.connections.per.ip.overrides", "127.0.0.1:5,x")], "each entry is host:number"),
        (&[("group.coordinator.rebalance.protocols", "consumer")], "Disabling the 'classic' protocol"),
        (&[("group.consumer.session.timeout.ms", "1")], "group.consumer.min.session.timeout.ms"),
        (&[("offsets.topic.replication.factor", "0")], "Value must be at least 1"),
        (&[("num.io.threads", "")], "Not a number of type INT"),
        (&[("log.cleaner.threads", "200")], "1MB per cleaner thread"),
        (&[("conformance.listener.principals", "A:User")], "LISTENER:User:name"),
    ];
    for (pairs, expected) in cases {
        let error = config(pairs).expect_err(expected);
        assert!(error.contains(expected), "{pairs:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn listeners_are_read_as_kafka_reads_them() {
    let plain = config(&[]).expect("valid");
    assert_eq!(plain.broker_listeners[0].to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(plain.controller_listeners[0].to_string(), "CONTROLLER://localhost:9093");
    assert_eq!(plain.advertised_listeners, plain.broker_listeners);
    assert_eq!(plain.inter_broker_listener_name, "PLAINTEXT");
    assert!(plain.is_alone() && plain.is_broker && plain.is_controller);

    let both = config(&[
        ("listeners", "PLAINTEXT://127.0.0.1:9092,p6://[::1]:9092, CONTROLLER://:9093"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,P6:plaintext,CONTROLLER:PLAINTEXT,TC-0:PLAINTEXT",
        ),
        ("conformance.listener.principals", "P6:User:alice"),
    ])
    .expect("valid");
    assert_eq!(both.listeners[1].to_string(), "P6://[::1]:9092");
    assert_eq!(both.controller_listeners[0].host, None);
    assert_eq!(both.listener_principals["P6"].name, "alice");

    let advertised = config(&[("advertised.listeners", "PLAINTEXT://h:1,CONTROLLER://c:2")]).expect("valid");
    assert_eq!(advertised.advertised_listeners[0].to_string(), "PLAINTEXT://h:1");
    assert_eq!(advertised.advertised_controller_listeners[0].to_string(), "CONTROLLER://c:2");
    assert!(config(&[("listeners", "PLAINTEXT://localhost:0,CONTROLLER://localhost:0")]).is_ok());
}

#[test]
fn either_id_will_do() {
    assert_eq!(config(&[("node.id", "-"), ("broker.id", "1")]).expect("valid").node_id, 1);
    assert_eq!(config(&[("broker.id", "1")]).expect("valid").node_id, 1);
}

#[test]
fn directories_have_their_fallbacks() {
    let dirs = |pairs: &[(&str, &str)]| {
        let config = config(pairs).expect("valid");
        (config.log_dirs, config.metadata_log_dir)
    };
    assert_eq!(dirs(&[]), (vec!["/tmp/kafka-logs".into()], "/tmp/kafka-logs".into()));
    let (logs, metadata) = dirs(&[("log.dirs", "/a, /b"), ("metadata.log.dir", "/c"), ("log.dir", "/d")]);
    assert_eq!((logs, metadata), (vec!["/a".into(), "/b".into()], "/c".into()));
}
