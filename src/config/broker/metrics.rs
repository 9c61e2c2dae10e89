//! Metrics, telemetry, quota windows.

use crate::config::property::properties;

const QUOTAS: &str = "quotas are not there yet";
const METRICS: &str = "metrics are counted without windows and served as they are";

properties! {
    /// Metrics, telemetry, quota windows.
    pub(super) METRIC_KEYS;

    /// Windows over which the rate of moves between directories is measured.
    "alter.log.dirs.replication.quota.window.num", Int, Is("11"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Length of such a window.
    "alter.log.dirs.replication.quota.window.size.seconds", Int, Is("1"), AtLeast(1), Low, ReadOnly,
        ignored: QUOTAS;
    /// Class that decides which quota holds.
    "client.quota.callback.class", Class, Null, Any, Low, ReadOnly, ignored: "Java classes cannot be loaded";
    /// Windows over which the rate of metadata changes is measured.
    "controller.quota.window.num", Int, Is("11"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Length of such a window.
    "controller.quota.window.size.seconds", Int, Is("1"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// How often metrics reporters run.
    "kafka.metrics.polling.interval.secs", Int, Is("10"), AtLeast(1), Low, ReadOnly, ignored: METRICS;
    /// Classes that report the older metrics.
    "kafka.metrics.reporters", List, Is(""), Any, Low, ReadOnly, ignored: METRICS;
    /// Classes that report metrics.
    "metric.reporters", List, Is("org.apache.kafka.common.metrics.JmxReporter"), Any, Low, ClusterWide,
        ignored: "metrics are served over HTTP, not by Java classes";
    /// Windows that a rate is calculated over.
    "metrics.num.samples", Int, Is("2"), AtLeast(1), Low, ReadOnly, ignored: METRICS;
    /// Which metrics are recorded.
    "metrics.recording.level", String, Is("INFO"), Any, Low, ReadOnly, ignored: METRICS;
    /// Length of such a window.
    "metrics.sample.window.ms", Long, Is("30000"), AtLeast(1), Low, ReadOnly, ignored: METRICS;
    /// Windows over which clients' rates are measured.
    "quota.window.num", Int, Is("11"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Length of such a window.
    "quota.window.size.seconds", Int, Is("1"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Windows over which replication's rate is measured.
    "replication.quota.window.num", Int, Is("11"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Length of such a window.
    "replication.quota.window.size.seconds", Int, Is("1"), AtLeast(1), Low, ReadOnly, ignored: QUOTAS;
    /// Most bytes of one push of a client's metrics.
    "telemetry.max.bytes", Int, Is("1048576"), AtLeast(1), Low, ReadOnly,
        ignored: "client telemetry is not there yet";
}
