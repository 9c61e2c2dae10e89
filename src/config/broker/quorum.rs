//! The metadata quorum and its log.

use crate::config::property::properties;

const CONTROLLERS: &str = "controllers speak Raft among themselves, which needs no such setting";
const SLOW_EVENTS: &str = "the controller's slow events are not logged yet";
const KAFKAS_TESTS: &str = "it serves Kafka's own tests";
const SNAPSHOTS: &str = "what a snapshot covers is deleted as soon as nobody needs it";

properties! {
    /// The metadata quorum and its log.
    pub(super) QUORUM;

    /// Names of the listeners that controllers use.
    "controller.listener.names", List, Required, Any, High, ReadOnly;
    /// Controller events that take longer are always logged.
    "controller.performance.always.log.threshold.ms", Long, Is("2000"), AtLeast(0), Medium, ReadOnly,
        internal, ignored: SLOW_EVENTS;
    /// How often the controller logs its slowest event.
    "controller.performance.sample.period.ms", Long, Is("60000"), AtLeast(100), Medium, ReadOnly, internal,
        ignored: SLOW_EVENTS;
    /// How long metadata records wait for company before they are written.
    "controller.quorum.append.linger.ms", Int, Is("25"), AtLeast(0), Medium, ReadOnly,
        ignored: "metadata is written at once; what arrives during a write shares the next one";
    /// Whether a controller joins the voters by itself.
    "controller.quorum.auto.join.enable", Boolean, Is("false"), Any, Low, ReadOnly;
    /// Addresses where the controllers can be found.
    "controller.quorum.bootstrap.servers", List, Is(""), Any, High, ReadOnly;
    /// Longest rest between elections.
    "controller.quorum.election.backoff.max.ms", Int, Is("1000"), AtLeast(0), High, ReadOnly,
        ignored: CONTROLLERS;
    /// How long a controller waits for votes.
    "controller.quorum.election.timeout.ms", Int, Is("1000"), AtLeast(0), High, ReadOnly;
    /// Most bytes of metadata in one message between controllers.
    "controller.quorum.fetch.max.bytes", Int, Is("1048576"), AtLeast(1), Low, ReadOnly, ignored: CONTROLLERS;
    /// Most bytes of a snapshot in one message between controllers.
    "controller.quorum.fetch.snapshot.max.bytes", Int, Is("1048576"), AtLeast(1), Low, ReadOnly,
        ignored: CONTROLLERS;
    /// How long a controller may hear nothing from the leader before it calls an election.
    "controller.quorum.fetch.timeout.ms", Int, Is("2000"), AtLeast(0), High, ReadOnly;
    /// How long a controller waits for another's answer.
    "controller.quorum.request.timeout.ms", Int, Is("2000"), AtLeast(0), Medium, ReadOnly,
        ignored: CONTROLLERS;
    /// How long a controller rests after a failed request.
    "controller.quorum.retry.backoff.ms", Int, Is("20"), AtLeast(0), Low, ReadOnly, ignored: CONTROLLERS;
    /// The controllers that vote, as `id@host:port` separated by commas.
    "controller.quorum.voters", List, Is(""), Any, High, ReadOnly;
    /// How long a broker waits for a controller's answer.
    "controller.socket.timeout.ms", Int, Is("30000"), Any, Medium, ReadOnly, ignored: CONTROLLERS;
    /// How long deleted metadata files stay on disk.
    "internal.metadata.delete.delay.millis", Long, Is("60000"), Any, Low, ReadOnly, internal,
        ignored: KAFKAS_TESTS;
    /// Segment size of the metadata log without the usual lower bound.
    "internal.metadata.log.segment.bytes", Int, Null, Any, Low, ReadOnly, internal, ignored: KAFKAS_TESTS;
    /// Largest batch of the metadata log.
    "internal.metadata.max.batch.size.in.bytes", Int, Is("8388608"), Any, Low, ReadOnly, internal,
        ignored: KAFKAS_TESTS;
    /// Bytes of metadata records after which a snapshot is made.
    "metadata.log.max.record.bytes.between.snapshots", Long, Is("20971520"), AtLeast(1), High, ReadOnly;
    /// How old the last snapshot may get while there are new records.
    "metadata.log.max.snapshot.interval.ms", Long, Is("3600000"), AtLeast(0), High, ReadOnly;
    /// Bytes of a segment of the metadata log.
    "metadata.log.segment.bytes", Int, Is("1073741824"), AtLeast(8_388_608), High, ReadOnly;
    /// Age of a metadata segment at which a new one begins.
    "metadata.log.segment.ms", Long, Is("604800000"), Any, High, ReadOnly,
        ignored: "the metadata log rolls by size";
    /// How often an idle controller writes a record that says nothing.
    "metadata.max.idle.interval.ms", Int, Is("500"), AtLeast(0), Low, ReadOnly,
        ignored: "the metadata log is written when there is something to write";
    /// Bytes of metadata log and snapshots that are kept.
    "metadata.max.retention.bytes", Long, Is("104857600"), Any, High, ReadOnly, ignored: SNAPSHOTS;
    /// How long metadata log and snapshots are kept.
    "metadata.max.retention.ms", Long, Is("604800000"), Any, High, ReadOnly, ignored: SNAPSHOTS;
}
