"""Kafka's own command-line tools, as operators call them; all in one JVM (rig/java.py)."""
import csv
import io
import json
import re
import threading
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from rig.streams import StreamsApp
from rig.wait import until

pytestmark = pytest.mark.java


def fill(broker, topic, values, partition=0, timestamps=None):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for n, value in enumerate(values):
        producer.produce(topic, value, partition=partition, **({"timestamp": timestamps[n]} if timestamps else {}))
    assert producer.flush(30) == 0


def commit(broker, group, topic, offsets):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, p, o) for p, o in offsets.items()], asynchronous=False)
    consumer.close()


def committed(broker, group):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30)
    return {p.partition: p.offset for p in found.topic_partitions}


def at(broker):
    return "--bootstrap-server", broker.bootstrap


def test_console_producer_to_console_consumer(broker, topic, tools):
    t = topic()
    tools.ok("kafka-console-producer", *at(broker), "--topic", t, "--reader-property", "parse.key=true", "--reader-property", "key.separator=:",
             stdin=b"".join(b"k%d:value %d\n" % (n, n) for n in range(500)))
    out = tools.ok("kafka-console-consumer", *at(broker), "--topic", t, "--from-beginning", "--max-messages", "500", "--timeout-ms", "20000",
                   "--formatter-property", "print.key=true", "--formatter-property", "print.offset=true")
    assert out.splitlines()[:500] == [f"Offset:{n}\tk{n}\tvalue {n}" for n in range(500)]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_console_codecs(broker, topic, tools, codec):
    t = topic()
    tools.ok("kafka-console-producer", *at(broker), "--topic", t, f"--compression-codec={codec}", stdin=b"same words again\n" * 300)
    out = tools.ok("kafka-console-consumer", *at(broker), "--topic", t, "--from-beginning", "--max-messages", "300", "--timeout-ms", "20000",
                   "--group", t + "-g")
    assert out.splitlines()[:300] == ["same words again"] * 300
    until("the offset is committed", lambda: committed(broker, t + "-g") == {0: 300})


def test_perf_tools(broker, topic, tools):
    t = topic(partitions=3)
    out = tools.ok("kafka-producer-perf-test", "--topic", t, "--num-records", "100000", "--record-size", "100", "--throughput", "-1",
                   "--bootstrap-server", broker.bootstrap, "--command-property", "acks=all", seconds=120)
    assert "100000 records sent" in out
    out = tools.ok("kafka-consumer-perf-test", *at(broker), "--topic", t, "--num-records", "100000", "--timeout", "30000", seconds=120)
    assert int(out.strip().splitlines()[-1].split(", ")[4]) >= 100000


def test_topics(broker, name, tools):
    topics = lambda *args: tools.ok("kafka-topics", *at(broker), *args)
    topics("--create", "--topic", name, "--partitions", "2", "--replication-factor", "1", "--config", "retention.ms=86400000")
    try:
        until("the topic is listed", lambda: name in topics("--list").split())
        out = topics("--describe", "--topic", name)
        assert re.search(rf"Topic: {name}\s+TopicId: \S{{22}}\s+PartitionCount: 2\s+ReplicationFactor: 1", out) and "retention.ms=86400000" in out
        assert re.search(r"Partition: 1\s+Leader: 1\s+Replicas: 1\s+Isr: 1", out)
        again = tools.run("kafka-topics", *at(broker), "--create", "--topic", name)
        assert again.code == 1 and "already exists" in again.out + again.err
        topics("--create", "--topic", name, "--if-not-exists")
        topics("--alter", "--topic", name, "--partitions", "4")
        assert "PartitionCount: 4" in topics("--describe", "--topic", name)
        fewer = tools.run("kafka-topics", *at(broker), "--alter", "--topic", name, "--partitions", "1")
        assert fewer.code == 1 and "InvalidPartitionsException" in fewer.out + fewer.err
        assert topics("--describe", "--under-replicated-partitions").strip() == ""
        assert topics("--describe", "--unavailable-partitions").strip() == ""
    finally:
        topics("--delete", "--topic", name)
    until("the topic is gone", lambda: name not in topics("--list").split())


def test_configs(broker, topic, tools):
    t = topic()
    configs = lambda *args: tools.ok("kafka-configs", *at(broker), *args)
    configs("--alter", "--entity-type", "topics", "--entity-name", t, "--add-config", "max.message.bytes=2000000,cleanup.policy=[compact,delete]")
    out = configs("--describe", "--entity-type", "topics", "--entity-name", t)
    assert "max.message.bytes=2000000" in out and "cleanup.policy=compact,delete" in out and "DYNAMIC_TOPIC_CONFIG:max.message.bytes" in out
    configs("--alter", "--entity-type", "topics", "--entity-name", t, "--delete-config", "max.message.bytes")
    assert "max.message.bytes" not in configs("--describe", "--entity-type", "topics", "--entity-name", t)
    everything = configs("--describe", "--all", "--entity-type", "topics", "--entity-name", t)
    assert "max.message.bytes=1048588" in everything and "DEFAULT_CONFIG:message.max.bytes=1048588" in everything
    bad = tools.run("kafka-configs", *at(broker), "--alter", "--entity-type", "topics", "--entity-name", t, "--add-config", "retention.ms=x")
    assert bad.code == 1 and "InvalidConfigurationException" in bad.out + bad.err
    configs("--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config", "log.cleaner.threads=2")
    try:
        assert "log.cleaner.threads=2" in configs("--describe", "--entity-type", "brokers", "--entity-name", "1")
    finally:
        configs("--alter", "--entity-type", "brokers", "--entity-name", "1", "--delete-config", "log.cleaner.threads")
    fixed = tools.run("kafka-configs", *at(broker), "--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config", "log.dirs=/elsewhere")
    assert fixed.code == 1 and "log.dirs" in fixed.out + fixed.err
    configs("--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.retention.ms=999999999")
    try:
        until("the topic inherits the cluster's default", lambda: "retention.ms=999999999" in configs("--describe", "--all", "--entity-type", "topics", "--entity-name", t))
    finally:
        configs("--alter", "--entity-type", "brokers", "--entity-default", "--delete-config", "log.retention.ms")


def test_consumer_groups_describe(broker, topic, tools):
    t = topic(partitions=2)
    group = t + "-g"
    fill(broker, t, [b"x"] * 30)
    commit(broker, group, t, {0: 10, 1: 0})
    out = tools.ok("kafka-consumer-groups", *at(broker), "--describe", "--group", group)
    assert re.search(rf"{group}\s+{t}\s+0\s+(-\s+)?10\s+30\s+20", out), out
    assert group in tools.ok("kafka-consumer-groups", *at(broker), "--list").split()
    stop = threading.Event()

    def consume():
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "client.id": "watched"})
        consumer.subscribe([t])
        while not stop.is_set():
            consumer.poll(0.05)
        consumer.close()

    thread = threading.Thread(target=consume)
    thread.start()
    try:
        until("the member shows with its partitions", lambda: re.search(rf"watched.*\s2\s", tools.ok("kafka-consumer-groups", *at(broker), "--describe", "--group", group, "--members")))
        state = tools.ok("kafka-consumer-groups", *at(broker), "--describe", "--group", group, "--state")
        assert "Stable" in state and "range" in state
        assert "Stable" in tools.ok("kafka-consumer-groups", *at(broker), "--list", "--state", "stable")
        refused = tools.run("kafka-consumer-groups", *at(broker), "--delete", "--group", group)
        assert "GroupNotEmptyException" in refused.out + refused.err
    finally:
        stop.set()
        thread.join(30)


def test_reset_offsets_in_every_form(broker, topic, tools, tmp_path):
    t = topic(partitions=2)
    group = t + "-g"
    # A record every ten minutes over the last hours, so that durations and dates mean something
    now = int(time.time() * 1000)
    stamps = [now - (100 - n) * 600_000 for n in range(100)]
    for partition in (0, 1):
        fill(broker, t, [b"x"] * 100, partition, stamps)
    commit(broker, group, t, {0: 50, 1: 50})

    def reset(*form, scope=("--topic", t)):
        out = tools.ok("kafka-consumer-groups", *at(broker), "--group", group, "--reset-offsets", *scope, *form, "--execute")
        return {int(m[1]): int(m[2]) for m in re.finditer(rf"{group}\s+{t}\s+(\d+)\s+(\d+)", out)}

    def check(expected, *form, **more):
        printed = reset(*form, **more)
        assert printed == {p: o for p, o in expected.items() if p in printed} and printed
        assert committed(broker, group) == expected

    check({0: 0, 1: 0}, "--to-earliest")
    check({0: 100, 1: 100}, "--to-latest")
    check({0: 42, 1: 42}, "--to-offset", "42")
    check({0: 47, 1: 47}, "--shift-by", "5")
    check({0: 37, 1: 37}, "--shift-by", "-10")
    check({0: 37, 1: 37}, "--to-current")
    check({0: 0, 1: 0}, "--shift-by", "-1000")
    check({0: 100, 1: 100}, "--to-offset", "100000")
    assert set(reset("--by-duration", "PT1H5M").values()) <= {93, 94}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamps[30] / 1000 + 1)) + ".000+00:00"
    check({0: 31, 1: 31}, "--to-datetime", moment)
    check({0: 31, 1: 7}, "--to-offset", "7", scope=("--topic", f"{t}:1"))
    plan = tmp_path / "plan.csv"
    plan.write_text(f"{t},0,11\n{t},1,12\n")
    check({0: 11, 1: 12}, "--from-file", plan, scope=())
    dry = tools.ok("kafka-consumer-groups", *at(broker), "--group", group, "--reset-offsets", "--topic", t, "--to-earliest", "--dry-run")
    assert group in dry and committed(broker, group) == {0: 11, 1: 12}
    exported = tools.ok("kafka-consumer-groups", *at(broker), "--group", group, "--reset-offsets", "--all-topics", "--to-current", "--dry-run", "--export")
    rows = sorted(row for row in csv.reader(io.StringIO(exported)) if len(row) in (3, 4) and t in row)
    assert [int(row[-1]) for row in rows] == [11, 12]


def test_delete_offsets_and_groups(broker, topic, tools):
    t = topic(partitions=2)
    group = t + "-g"
    fill(broker, t, [b"x"])
    commit(broker, group, t, {0: 1, 1: 0})
    tools.ok("kafka-consumer-groups", *at(broker), "--delete-offsets", "--group", group, "--topic", f"{t}:1")
    assert committed(broker, group) == {0: 1}
    out = tools.ok("kafka-consumer-groups", *at(broker), "--delete", "--group", group)
    assert "successful" in out
    gone = tools.run("kafka-consumer-groups", *at(broker), "--describe", "--group", group)
    assert "GroupIdNotFoundException" in gone.out + gone.err


def test_get_offsets_and_delete_records(broker, topic, tools, tmp_path):
    t = topic(partitions=2)
    fill(broker, t, [b"x"] * 20)
    offsets = lambda *args: sorted(line for line in tools.ok("kafka-get-offsets", *at(broker), "--topic", t, *args).splitlines() if line.startswith(t))
    assert offsets() == [f"{t}:0:20", f"{t}:1:0"]
    assert offsets("--time", "earliest") == [f"{t}:0:0", f"{t}:1:0"]
    assert offsets("--time", "max-timestamp")[0].startswith(f"{t}:0:")
    plan = tmp_path / "delete.json"
    plan.write_text(f'{{"partitions": [{{"topic": "{t}", "partition": 0, "offset": 15}}], "version": 1}}')
    assert "low_watermark: 15" in tools.ok("kafka-delete-records", *at(broker), "--offset-json-file", plan)
    assert offsets("--time", "-2") == [f"{t}:0:15", f"{t}:1:0"]


def test_log_dirs(broker, topic, tools):
    t = topic()
    fill(broker, t, [b"x" * 1000] * 100)
    out = tools.ok("kafka-log-dirs", *at(broker), "--describe", "--topic-list", t)
    assert str(broker.data) in out and f'"{t}-0"' in out
    assert int(re.search(rf'"partition":"{t}-0","size":(\d+)', out)[1]) > 100_000
    assert re.search(r'"error":null', out)


def test_what_the_cluster_says_of_itself(broker, tools):
    out = tools.ok("kafka-broker-api-versions", *at(broker))
    assert out.startswith(broker.bootstrap)
    for api in ("Produce(0)", "Fetch(1)", "ListOffsets(2)", "Metadata(3)", "OffsetCommit(8)", "JoinGroup(11)", "ApiVersions(18)",
                "CreateTopics(19)", "InitProducerId(22)", "DescribeCluster(60)", "DescribeTopicPartitions(75)"):
        assert re.search(rf"{re.escape(api)}: \d+( to \d+)? \[usable: \d+\]", out), api
    cluster_id = re.search(r"Cluster ID: (\S+)", tools.ok("kafka-cluster", "cluster-id", *at(broker)))[1]
    assert len(cluster_id) == 22
    features = tools.ok("kafka-features", *at(broker), "describe")
    assert re.search(r"Feature: metadata.version\s+SupportedMinVersion: \S+\s+SupportedMaxVersion: \S.*\s+FinalizedVersionLevel: \S", features)
    quorum = tools.ok("kafka-metadata-quorum", *at(broker), "describe", "--status")
    assert re.search(r"ClusterId:\s+" + cluster_id, quorum) and re.search(r"LeaderId:\s+1", quorum)
    replication = tools.ok("kafka-metadata-quorum", *at(broker), "describe", "--replication")
    assert re.search(r"^1\s.*Leader", replication, re.M)


def test_leader_election(broker, topic, tools):
    t = topic()
    out = tools.run("kafka-leader-election", *at(broker), "--election-type", "preferred", "--topic", t, "--partition", "0")
    assert "not needed" in out.out or "Valid replica already elected" in out.out + out.err


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_verifiable_producer_and_consumer(broker, topic, tools, protocol):
    t = topic(partitions=2)
    told = lambda out: [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    out = told(tools.alone("kafka-verifiable-producer", *at(broker), "--topic", t, "--max-messages", "400", "--repeating-keys", "5", "--value-prefix", "7"))
    sent = {(line["partition"], line["offset"]): line["value"] for line in out if line["name"] == "producer_send_success"}
    assert sorted(sent.values(), key=lambda v: int(v[2:])) == [f"7.{n}" for n in range(400)]
    assert [line["acked"] for line in out if line["name"] == "tool_data"] == [400]
    out = told(tools.alone("kafka-verifiable-consumer", *at(broker), "--topic", t, "--group-id", t + "-g", "--group-protocol", protocol, "--max-messages", "400", "--verbose"))
    got = {(line["partition"], line["offset"]): line["value"] for line in out if line["name"] == "record_data"}
    assert got == sent
    assigned = [line for line in out if line["name"] == "partitions_assigned"]
    assert len(assigned[-1]["partitions"]) == 2
    commits = [line for line in out if line["name"] == "offsets_committed"]
    assert commits and all(line["success"] for line in commits)
    assert sum(committed(broker, t + "-g").values()) == 400


def test_streams_application_reset(broker, topic, tools, name):
    lines, counts = topic(partitions=2, suffix="-lines"), topic(suffix="-counts")
    fill(broker, lines, [b"one two", b"two"])
    app = StreamsApp(broker, name, [lines], counts)
    reset = lambda *args: tools.ok("kafka-streams-application-reset", *at(broker), "--application-id", name, "--input-topics", lines, *args)
    inside = lambda: {t[len(name) + 1:] for t in tools.ok("kafka-topics", *at(broker), "--list").split() if t.startswith(name + "-")} - {"lines", "counts"}

    def written():
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": name + "-reader", "enable.auto.commit": False, "isolation.level": "read_committed"})
        consumer.assign([TopicPartition(counts, 0, 0)])
        found = [(m.key(), m.value()) for m in consumer.consume(100, 1) if m.error() is None]
        consumer.close()
        return sorted(found)

    once = [(b"one", b"1"), (b"two", b"1"), (b"two", b"2")]
    try:
        app.start()
        until("all is counted", lambda: written() == once, 40)
        assert "closed" in app.stop()
        assert inside() == {"words-repartition", "counts-changelog"}
        planned = reset("--dry-run", "--force")
        assert f"Topic: {lines} Partition: 0 Offset: 0" in planned and f"{name}-counts-changelog" in planned
        assert len(inside()) == 2
        # Instances of an application do not say good-bye, so it is told that nobody is there.
        reset("--force")
        assert committed(broker, name).get(0) == 0
        until("what was inside is gone", lambda: inside() == set())
        app.start()
        until("all is counted again, from one", lambda: written() == sorted(once * 2), 40)
        app.stop()
    finally:
        app.kill()
