"""The files ottla leaves, read by Kafka's kafka-dump-log: its bytes are Kafka's bytes."""
import json
import re

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from rig.wait import until

pytestmark = pytest.mark.java


# By group, what is committed for plain-0: (offset, metadata), the last of which counts.
COMMITTED = {"dumped": [(1, ""), (1234, "")], "with-metadata": [(77, "a note: \u00e4\u20ac")], "third": [(0, "x" * 1000)]}
FILLERS = 40


@pytest.fixture(scope="module")
def stopped(request):
    """A broker that took all kinds of records, rolled its segments, and was stopped."""
    from rig.broker import Broker

    made = Broker("dump", {"log.segment.bytes": 1 << 20, "log.index.interval.bytes": 4096, "log.initial.task.delay.ms": 86_400_000,
                           "metadata.log.max.record.bytes.between.snapshots": 2000})
    if made.kind == "ottla":
        made.format(release="4.3")  # Kafka's tool knows no later records
    made.start()
    admin = AdminClient({"bootstrap.servers": made.bootstrap})
    for done in admin.create_topics([NewTopic("plain", 1, 1), NewTopic("idempotent", 1, 1)]
                                    + [NewTopic(c, 1, 1) for c in ("gzip", "snappy", "lz4", "zstd")]).values():
        done.result(30)
    for topic, more in {"plain": {}, "idempotent": {"enable.idempotence": True}, **{c: {"compression.type": c} for c in ("gzip", "snappy", "lz4", "zstd")}}.items():
        producer = Producer({"bootstrap.servers": made.bootstrap, "linger.ms": 5, "batch.num.messages": 100, "max.in.flight": 1, **more})
        for n in range(6000):
            producer.produce(topic, f"value-{n}-".encode() + b"v" * 500, key=f"key-{n}", headers=[("h", str(n))], timestamp=1_700_000_000_000 + n)
            producer.poll(0)
        assert producer.flush(60) == 0
    for group, offsets in COMMITTED.items():
        consumer = Consumer({"bootstrap.servers": made.bootstrap, "group.id": group})
        for offset, metadata in offsets:
            consumer.commit(offsets=[TopicPartition("plain", 0, offset, metadata)], asynchronous=False)
        consumer.close()
    member = Consumer({"bootstrap.servers": made.bootstrap, "group.id": "members", "auto.offset.reset": "earliest", "client.id": "dumper"})
    member.subscribe(["plain"])
    until("a record arrives", lambda: member.poll(0.2))
    member.close()
    for n in range(FILLERS):
        admin.create_topics([NewTopic(f"filler-{n}", 2, 1, config={"retention.ms": str(10**9 + n)})])[f"filler-{n}"].result(30)
    for n in range(0, FILLERS, 2):
        admin.delete_topics([f"filler-{n}"])[f"filler-{n}"].result(30)
    entry = ConfigEntry("log.cleaner.threads", "2", incremental_operation=AlterConfigOpType.SET)
    broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    admin.incremental_alter_configs([broker])[broker].result(30)
    until("a snapshot that has most of that", lambda: snapshot_ends(made)[-1:] > [100], 30)
    code, _ = made.stop()
    assert code in (0, 143 if made.kind == "kafka" else 0)
    yield made
    made.end(keep=getattr(request.session, "some_failed", False))


def snapshot_ends(broker):
    """The offsets after the last record of each snapshot of the metadata."""
    return sorted(int(path.name.split("-")[0]) for path in (broker.data / "__cluster_metadata-0").glob("*.checkpoint"))


def files(broker, folder, kind):
    found = sorted((broker.data / folder).glob(f"*.{kind}"))
    assert found, f"no .{kind} in {folder}"
    return found


def dump(tools, paths, *more):
    return tools.ok("kafka-dump-log", "--files", ",".join(map(str, paths)), *more, seconds=120)


@pytest.mark.parametrize("name", ["plain", "idempotent", "gzip", "snappy", "lz4", "zstd"])
def test_every_record_is_there(stopped, tools, name):
    segments = files(stopped, f"{name}-0", "log")
    assert len(segments) > 1 if name in ("plain", "idempotent") else segments
    out = dump(tools, segments, "--deep-iteration", "--print-data-log")
    offsets = [int(o) for o in re.findall(r"^\|? ?offset: (\d+) CreateTime", out, re.M)]
    assert offsets == list(range(6000))
    assert re.findall(r"payload: value-(\d+)-", out) == [str(n) for n in range(6000)]
    assert "isvalid: false" not in out and out.count("isvalid: true") == out.count("baseOffset:")
    codecs = set(re.findall(r"compresscodec: (\w+)", out))
    assert codecs == {name if name in ("gzip", "snappy", "lz4", "zstd") else "none"}
    if name == "idempotent":
        assert all(int(p) >= 0 for p in re.findall(r"producerId: (-?\d+)", out))


@pytest.mark.parametrize("kind", ["index", "timeindex"])
def test_indexes(stopped, tools, kind):
    paths = files(stopped, "plain-0", kind)
    assert len(paths) == len(files(stopped, "plain-0", "log"))
    out = dump(tools, paths, "--index-sanity-check")
    assert out.count("passed sanity check") == len(paths), out
    out = dump(tools, paths)
    wrong = ("Mismatches in", "non-consecutive", "not found", "Found timestamp mismatch", "out of order timestamp", "don't match")
    assert not [w for w in wrong if w in out], out
    if kind == "index":
        assert len(re.findall(r"offset: \d+ position: \d+", out)) > 10


def test_producer_snapshot(stopped, tools):
    out = dump(tools, files(stopped, "idempotent-0", "snapshot")[-1:])
    assert re.search(r"producerId: \d+ producerEpoch: 0 .*lastOffset: 5999", out), out


def payloads(out):
    """The records of a dump that a decoder made sense of, in order; each line that is a record must be one."""
    lines = [line for line in out.splitlines() if re.match(r"^\|? ?offset: \d+ ", line)]
    found = [(json.loads(key) if key else None, json.loads(value) if value != "null" else None)
             for key, value in (re.search(r"headerKeys: \[\] (?:key: (.*?) )?payload: (.*)$", line).groups() for line in lines if "payload: " in line)]
    assert "isvalid: false" not in out
    return found, [line for line in lines if "payload: " not in line]


def test_offsets_topic(stopped, tools):
    """What was committed, and what members a group had, is what Kafka decodes from the records."""
    commits, groups = {}, {}
    for folder in sorted(stopped.data.glob("__consumer_offsets-*")):
        found, others = payloads(dump(tools, sorted(folder.glob("*.log")), "--offsets-decoder"))
        assert not others
        for key, value in found:
            data = key["data"]
            if key["type"] in ("0", "1"):
                assert (data["topic"], data["partition"]) == ("plain", 0)
                commits.setdefault(data["group"], []).append((value["data"]["offset"], value["data"]["metadata"]))
                assert value["version"] == "4" and value["data"]["commitTimestamp"] > 1_700_000_000_000
            else:
                assert key["type"] == "2"
                groups.setdefault(data["group"], []).append(value["data"])
    # librdkafka 2.16 ends a commit's metadata in a null byte and counts it.
    plain = {group: [(offset, metadata.rstrip("\0")) for offset, metadata in of] for group, of in commits.items()}
    assert {group: plain[group] for group in COMMITTED} == COMMITTED
    stable = [group for group in groups["members"] if group["members"]][-1]
    assert (stable["protocolType"], stable["generation"], stable["protocol"]) == ("consumer", 1, "range")
    [member] = stable["members"]
    assert member["memberId"] == stable["leader"] and (member["clientId"], member["clientHost"]) == ("dumper", "/127.0.0.1")
    assert member["subscription"]["topics"] == ["plain"]
    assert member["assignment"]["assignedPartitions"] == [{"topic": "plain", "partitions": [0]}]
    assert groups["members"][-1]["members"] == [] and groups["members"][-1]["generation"] == 2


def test_metadata_log_and_snapshots(stopped, tools):
    """Kafka decodes every record of the metadata log, its snapshots and the records a node begins with; they name what was done."""
    folder = "__cluster_metadata-0"
    log, control = payloads(dump(tools, files(stopped, folder, "log"), "--cluster-metadata-decoder"))
    assert all(re.search(r"LeaderChange|KRaftVersion|KRaftVoters|SnapshotHeader|SnapshotFooter", line) for line in control), control
    assert log and all(value["type"].endswith("_RECORD") for _, value in log)
    snapshot = files(stopped, folder, "checkpoint")[-1]
    end = snapshot_ends(stopped)[-1]
    out = dump(tools, [snapshot], "--cluster-metadata-decoder")
    assert f"Snapshot end offset: {end}, epoch: 1" in out
    image, control = payloads(out)
    assert "SnapshotHeader" in control[0] and "SnapshotFooter" in control[-1]
    records = [value for _, value in image] + [value for _, value in log]
    of = lambda kind: [value["data"] for value in records if value["type"] == kind]
    removed = {topic["topicId"] for topic in of("REMOVE_TOPIC_RECORD")}
    names = {topic["name"] for topic in of("TOPIC_RECORD") if topic["topicId"] not in removed}
    assert {n for n in names if n.startswith("filler-")} == {f"filler-{n}" for n in range(1, FILLERS, 2)}
    configs = {(c["resourceType"], c["resourceName"], c["name"]): c["value"] for c in of("CONFIG_RECORD")}
    assert configs[4, "1", "log.cleaner.threads"] == "2"
    assert all(configs[2, f"filler-{n}", "retention.ms"] == str(10**9 + n) for n in range(1, FILLERS, 2))
    [broker] = {b["brokerEpoch"]: b for b in of("REGISTER_BROKER_RECORD")}.values()  # the log may reach back behind the snapshot
    assert broker["brokerId"] == 1 and broker["endPoints"][0]["port"] == stopped.port
    levels = {f["name"]: f["featureLevel"] for f in of("FEATURE_LEVEL_RECORD")}
    begun, _ = payloads(dump(tools, [stopped.data / "bootstrap.checkpoint"], "--cluster-metadata-decoder"))
    assert levels == {value["data"]["name"]: value["data"]["featureLevel"] for _, value in begun}
    assert levels["metadata.version"] > 0
