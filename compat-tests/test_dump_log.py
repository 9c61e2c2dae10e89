"""The files ottla leaves, read by Kafka's kafka-dump-log: its bytes are Kafka's bytes."""
import re

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

pytestmark = pytest.mark.java


@pytest.fixture(scope="module")
def stopped(request):
    """A broker that took all kinds of records, rolled its segments, and was stopped."""
    from rig.broker import Broker

    made = Broker("dump", {"log.segment.bytes": 1 << 20, "log.index.interval.bytes": 4096, "log.initial.task.delay.ms": 86_400_000})
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
    consumer = Consumer({"bootstrap.servers": made.bootstrap, "group.id": "dumped"})
    consumer.commit(offsets=[TopicPartition("plain", 0, 1234)], asynchronous=False)
    consumer.close()
    code, _ = made.stop()
    assert code in (0, 143 if made.kind == "kafka" else 0)
    yield made
    made.end(keep=getattr(request.session, "some_failed", False))


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


def test_offsets_topic(stopped, tools):
    found = ""
    for folder in sorted(stopped.data.glob("__consumer_offsets-*")):
        found += dump(tools, sorted(folder.glob("*.log")), "--offsets-decoder")
    assert re.search(r'"group":"dumped","topic":"plain","partition":0.*"offset":1234', found), found[-3000:]
