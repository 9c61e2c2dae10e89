//! Listeners, connections, sockets.

use crate::config::property::properties;

const ONE_NODE: &str = "how long an attempt to reach another node takes is fixed";

properties! {
    /// Listeners, connections, sockets.
    pub(super) NETWORK;

    /// Addresses that clients are told, where they differ from `listeners`.
    "advertised.listeners", List, Null, NonEmpty, High, ReadOnly;
    /// How long a failed authentication waits for its answer.
    "connection.failed.authentication.delay.ms", Int, Is("100"), AtLeast(0), Low, ReadOnly,
        ignored: "connections are not authenticated yet";
    /// How long a connection may be idle before it is closed.
    "connections.max.idle.ms", Long, Is("600000"), Any, Medium, ReadOnly;
    /// Listeners that open before the authorizer is ready.
    "early.start.listeners", List, Null, Any, High, ReadOnly,
        ignored: "listeners open once the node can answer";
    /// Most bytes of one fetch's answer, whatever the client asks for.
    "fetch.max.bytes", Int, Is("57671680"), AtLeast(1024), Medium, ReadOnly;
    /// Name of the listener that brokers use among themselves.
    "inter.broker.listener.name", String, Null, Any, Medium, ReadOnly;
    /// Security protocol of every listener name; only PLAINTEXT is served yet.
    "listener.security.protocol.map", String,
        Is("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"), Any, Low,
        PerBroker;
    /// Addresses to listen on, as `NAME://host:port`.
    "listeners", List, Is("PLAINTEXT://:9092"), NonEmpty, High, PerBroker;
    /// Most new connections in a second.
    "max.connection.creation.rate", Int, Is("2147483647"), AtLeast(0), Medium, ClusterWide,
        ignored: "quotas are not there yet";
    /// Most connections of the broker at a time.
    "max.connections", Int, Is("2147483647"), AtLeast(0), Medium, ClusterWide;
    /// Most connections of one address at a time.
    "max.connections.per.ip", Int, Is("2147483647"), AtLeast(0), Medium, ClusterWide;
    /// Exceptions to `max.connections.per.ip`, as `host:number` separated by commas.
    "max.connections.per.ip.overrides", String, Is(""), Any, Medium, ClusterWide;
    /// Most fetch sessions that are kept.
    "max.incremental.fetch.session.cache.slots", Int, Is("1000"), AtLeast(0), Medium, ReadOnly;
    /// Most partitions that one DescribeTopicPartitions answer lists.
    "max.request.partition.size.limit", Int, Is("2000"), AtLeast(1), Medium, ReadOnly;
    /// Bytes of requests that may be in memory before connections are read no more; -1 for the built-in
    /// bound.
    "queued.max.request.bytes", Long, Is("-1"), Any, Medium, ReadOnly;
    /// Requests that may wait before connections are read no more.
    "queued.max.requests", Int, Is("500"), AtLeast(1), High, ReadOnly,
        ignored: "what waits is bounded by bytes and by one request per connection";
    /// Security protocol among brokers where no listener is named for it.
    "security.inter.broker.protocol", String, Is("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Medium, ReadOnly;
    /// How long an attempt to connect to another node may take after many failures.
    "socket.connection.setup.timeout.max.ms", Long, Is("30000"), Any, Medium, ReadOnly, ignored: ONE_NODE;
    /// How long the first attempt to connect to another node may take.
    "socket.connection.setup.timeout.ms", Long, Is("10000"), Any, Medium, ReadOnly, ignored: ONE_NODE;
    /// Connections the system keeps waiting to be accepted.
    "socket.listen.backlog.size", Int, Is("50"), AtLeast(1), Medium, ReadOnly;
    /// Size of a connection's receive buffer in the system; -1 leaves it to the system.
    "socket.receive.buffer.bytes", Int, Is("102400"), Any, High, ReadOnly;
    /// Largest request that is accepted.
    "socket.request.max.bytes", Int, Is("104857600"), AtLeast(1), High, ReadOnly;
    /// Size of a connection's send buffer in the system; -1 leaves it to the system.
    "socket.send.buffer.bytes", Int, Is("102400"), Any, High, ReadOnly;
}
