//! Who the node is, where its data is, how it works.

use crate::config::property::properties;

const JAVA: &str = "Java classes cannot be loaded";
const THREADS: &str = "requests are served by one pool of threads, one per processor";

properties! {
    /// Who the node is, where its data is, how it works.
    pub(super) NODE;

    /// Class that may refuse changes of configuration.
    "alter.config.policy.class.name", Class, Null, Any, Low, ReadOnly, ignored: JAVA;
    /// Whether a topic is made when a client asks for it.
    "auto.create.topics.enable", Boolean, Is("true"), Any, High, ReadOnly;
    /// Threads for background work.
    "background.threads", Int, Is("10"), AtLeast(1), High, ClusterWide,
        ignored: "background work shares one pool of threads, one per processor";
    /// How often a broker reports to the active controller.
    "broker.heartbeat.interval.ms", Int, Is("2000"), Any, Medium, ReadOnly;
    /// Old name of `node.id`; where both are set they must agree.
    "broker.id", Int, Is("-1"), Any, High, ReadOnly;
    /// How long a broker may lead on the word of the last answered heartbeat, and how long the controller waits before it
    /// fences a silent broker, if that is less than `broker.session.timeout.ms`. Heartbeats go out four times as often.
    /// The same on all nodes. Not Kafka's.
    "broker.lease.ms", Int, Is("1500"), AtLeast(100), Medium, ReadOnly;
    /// Rack or zone of the broker, told to clients and used to spread replicas.
    "broker.rack", String, Null, Any, Medium, ReadOnly;
    /// How long a broker may be silent before the controller fences it.
    "broker.session.timeout.ms", Int, Is("9000"), Any, Medium, ReadOnly;
    /// Names of providers that replace `${name:path:key}` in values; `env`, `file` and `dir` are known.
    "config.providers", List, Is(""), Any, Low, ClusterWide;
    /// Whether a broker hands over its leaderships before it stops.
    "controlled.shutdown.enable", Boolean, Is("true"), Any, Medium, ReadOnly;
    /// Log directories that take no new partitions.
    "cordoned.log.dirs", List, Is(""), Any, Medium, PerBroker,
        ignored: "replica placement over directories is not there yet";
    /// Class that may refuse the making of topics.
    "create.topic.policy.class.name", Class, Null, Any, Low, ReadOnly, ignored: JAVA;
    /// Replicas of a topic that is made without a number.
    "default.replication.factor", Int, Is("1"), Any, Medium, ReadOnly;
    /// Whether topics can be deleted.
    "delete.topic.enable", Boolean, Is("true"), Any, High, ReadOnly;
    /// How long a starting broker waits to be registered.
    "initial.broker.registration.timeout.ms", Int, Is("60000"), Any, Medium, ReadOnly;
    /// The directory that holds partitions where `log.dirs` is not set.
    "log.dir", List, Is("/tmp/kafka-logs"), NonEmpty, High, ReadOnly;
    /// How long a broker with a failed directory waits for the controller before it stops.
    "log.dir.failure.timeout.ms", Long, Is("30000"), AtLeast(1), Low, ReadOnly,
        ignored: "a failed directory stops the node at once";
    /// Directories that hold partitions, separated by commas.
    "log.dirs", List, Null, NonEmpty, High, ReadOnly;
    /// Directory of the metadata log; the first of `log.dirs` where it is not set.
    "metadata.log.dir", String, Null, Any, High, ReadOnly;
    /// The node's number, unique in the cluster.
    "node.id", Int, Required, AtLeast(0), High, ReadOnly;
    /// Threads that serve requests.
    "num.io.threads", Int, Is("8"), AtLeast(1), High, ClusterWide, ignored: THREADS;
    /// Threads that read requests and write answers.
    "num.network.threads", Int, Is("3"), AtLeast(1), High, ClusterWide, ignored: THREADS;
    /// Partitions of a topic that is made without a number.
    "num.partitions", Int, Is("1"), AtLeast(1), Medium, ReadOnly;
    /// Logs of one directory that are opened or closed at the same time.
    "num.recovery.threads.per.data.dir", Int, Is("2"), AtLeast(1), High, ClusterWide;
    /// What this node is: `broker`, `controller`, or both.
    "process.roles", List, Required, MembersNonEmpty(&["broker", "controller"]), High, ReadOnly;
    /// How long a node waits for the answer to a request of its own.
    "request.timeout.ms", Int, Is("30000"), Any, High, ReadOnly,
        ignored: "each kind of call between nodes has a time of its own";
    /// Longest time that starting may take before the node gives up.
    "server.max.startup.time.ms", Long, Is("9223372036854775807"), AtLeast(0), Medium, ReadOnly, internal;
    /// Whether versions that are not final are offered.
    "unstable.api.versions.enable", Boolean, Is("false"), Any, High, ReadOnly, internal,
        ignored: "only stable versions of requests are served";
    /// Whether a directory may be formatted with feature levels that are not final.
    "unstable.feature.versions.enable", Boolean, Is("false"), Any, High, ReadOnly, internal;
}
