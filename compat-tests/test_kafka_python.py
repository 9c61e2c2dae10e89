"""kafka-python: the client ottla was begun for, used as its users do: JSON out of one program and into another."""
import json
import threading
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from rig.wait import until


def json_producer(broker, **more):
    # "localhost", as every tutorial has it, not an address
    return KafkaProducer(bootstrap_servers=f"localhost:{broker.port}",
                         value_serializer=lambda value: json.dumps(value).encode(),
                         key_serializer=lambda key: None if key is None else str(key).encode(), **more)


def json_consumer(broker, *topics, **more):
    more = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 15000, "group_id": None, **more}
    return KafkaConsumer(*topics, bootstrap_servers=f"localhost:{broker.port}",
                         value_deserializer=lambda raw: json.loads(raw) if raw is not None else None, **more)


def take(consumer, count, seconds=30):
    """`count` records, polled until a deadline."""
    out, end = [], time.monotonic() + seconds
    while len(out) < count:
        assert time.monotonic() < end, f"{len(out)} of {count} records within {seconds} s"
        for records in consumer.poll(timeout_ms=200).values():
            out += records
    return out


def test_json_values_and_keys(broker, topic):
    t = topic(partitions=3)
    with json_producer(broker) as producer:
        sent = [producer.send(t, {"n": n, "text": "zażółć"}, key=f"user-{n % 5}") for n in range(200)]
        where = [future.get(30) for future in sent]
    assert {w.partition for w in where} <= {0, 1, 2}
    with json_consumer(broker, t) as consumer:
        got = take(consumer, 200)
    assert sorted(r.value["n"] for r in got) == list(range(200))
    by_key = {}
    for record in got:
        assert by_key.setdefault(record.key, record.partition) == record.partition, "a key stays on its partition"
    for p in range(3):
        mine = [r for r in got if r.partition == p]
        assert [r.offset for r in mine] == list(range(len(mine)))
        assert [r.value["n"] for r in mine] == sorted(r.value["n"] for r in mine), "order within a partition"


def test_a_topic_appears_when_it_is_first_used(broker, name):
    with json_producer(broker) as producer:
        at = producer.send(name, {"first": True}).get(30)
    assert (at.partition, at.offset) == (0, 0)
    with json_consumer(broker, name) as consumer:
        assert take(consumer, 1)[0].value == {"first": True}


def test_replay_from_any_offset(broker, topic):
    t = topic()
    with json_producer(broker, linger_ms=5) as producer:
        for n in range(1000):
            producer.send(t, n)
        producer.flush(30)
    tp = TopicPartition(t, 0)
    with json_consumer(broker) as consumer:
        consumer.assign([tp])
        for start in (0, 1, 499, 998, 999):
            consumer.seek(tp, start)
            assert take(consumer, 1)[0].value == start
        assert consumer.beginning_offsets([tp]) == {tp: 0}
        assert consumer.end_offsets([tp]) == {tp: 1000}
        consumer.seek_to_end(tp)
        assert consumer.position(tp) == 1000
        consumer.seek_to_beginning(tp)
        assert [r.value for r in take(consumer, 1000)] == list(range(1000))


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_codecs(broker, topic, codec):
    t = topic()
    with json_producer(broker, compression_type=codec, linger_ms=20) as producer:
        for n in range(500):
            producer.send(t, {"n": n, "pad": "x" * 200})
        producer.flush(30)
    with json_consumer(broker, t, check_crcs=True) as consumer:
        assert [r.value["n"] for r in take(consumer, 500)] == list(range(500))


def test_headers_timestamps_and_tombstones(broker, topic):
    t = topic()
    with json_producer(broker) as producer:
        producer.send(t, {"a": 1}, key="k", headers=[("trace", b"\x00\xff"), ("trace", b"2")], timestamp_ms=1_600_000_000_123).get(30)
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(t, None, key=b"k").get(30)
    with json_consumer(broker, t) as consumer:
        first, second = take(consumer, 2)
    assert first.headers == [("trace", b"\x00\xff"), ("trace", b"2")] or list(first.headers) == [("trace", b"\x00\xff"), ("trace", b"2")]
    assert (first.timestamp, first.timestamp_type) == (1_600_000_000_123, 0)
    assert second.value is None and second.key == b"k"


def test_seek_by_timestamp(broker, topic):
    t = topic()
    base = 1_700_000_000_000
    with json_producer(broker) as producer:
        for n in range(100):
            producer.send(t, n, timestamp_ms=base + 1000 * n).get(30)
    tp = TopicPartition(t, 0)
    with json_consumer(broker) as consumer:
        consumer.assign([tp])
        assert consumer.offsets_for_times({tp: base + 41_500})[tp].offset == 42
        assert consumer.offsets_for_times({tp: base + 42_000})[tp].offset == 42
        assert consumer.offsets_for_times({tp: 0})[tp].offset == 0
        assert consumer.offsets_for_times({tp: base + 10**9})[tp] is None
        consumer.seek(tp, 42)
        assert take(consumer, 1)[0].timestamp == base + 42_000


@pytest.mark.parametrize("members", [2, 3])
def test_a_group_shares_the_partitions(broker, topic, members):
    t = topic(partitions=6)
    group, got, stop, lock = f"{t}-g", [], threading.Event(), threading.Lock()
    holding = [set() for _ in range(members)]

    def member(me):
        consumer = json_consumer(broker, t, group_id=group, session_timeout_ms=10_000, heartbeat_interval_ms=500,
                                 auto_commit_interval_ms=200, api_version=None)
        try:
            while not stop.is_set():
                records = consumer.poll(timeout_ms=100)
                holding[me] = {tp.partition for tp in consumer.assignment()}
                with lock:
                    got.extend((me, r.partition, r.offset, r.value) for batch in records.values() for r in batch)
        finally:
            consumer.close()

    threads = [threading.Thread(target=member, args=(n,)) for n in range(members)]
    for thread in threads:
        thread.start()
    try:
        until(f"{members} members hold 6 partitions, each once",
              lambda: sorted(p for held in holding for p in held) == list(range(6)) and all(holding), 60)
        with json_producer(broker) as producer:
            for n in range(300):
                producer.send(t, n, partition=n % 6)
            producer.flush(30)
        until("all 300 arrive", lambda: len({v for _, _, _, v in got}) == 300, 30)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert len({(p, o) for _, p, o, _ in got}) == 300
    assert {m for m, *_ in got} == set(range(members)), "everybody had work"
    # A new member goes on where the group stopped: everything was committed on close.
    with json_consumer(broker, t, group_id=group) as consumer:
        until("the offsets of all partitions are there",
              lambda: sum(consumer.committed(TopicPartition(t, p)) or 0 for p in range(6)) == 300, 20)


def test_commit_and_go_on(broker, topic):
    t = topic()
    with json_producer(broker) as producer:
        for n in range(50):
            producer.send(t, n)
        producer.flush(30)
    tp = TopicPartition(t, 0)
    with json_consumer(broker, t, group_id=f"{t}-g", enable_auto_commit=False, max_poll_records=20) as consumer:
        assert [r.value for r in take(consumer, 20)] == list(range(20))
        consumer.commit()
        assert consumer.committed(tp) == 20
    with json_consumer(broker, t, group_id=f"{t}-g", enable_auto_commit=False) as consumer:
        assert [r.value for r in take(consumer, 30)] == list(range(20, 50))


def test_admin_topics(broker, name):
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_topics([NewTopic(name, 2, 1, topic_configs={"retention.ms": "3600000"})])
        with pytest.raises(TopicAlreadyExistsError):
            admin.create_topics([NewTopic(name, 2, 1)])
        until("the topic is listed", lambda: name in admin.list_topics())
        until("the topic has two partitions", lambda: len(admin.describe_topics([name])[0]["partitions"]) == 2)
        admin.create_partitions({name: NewPartitions(total_count=5)})
        until("the topic has five partitions", lambda: len(admin.describe_topics([name])[0]["partitions"]) == 5)
        described = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)]))
        assert "retention.ms" in described and "3600000" in described
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs={"retention.ms": "7200000"})])
        until("the new value shows", lambda: "7200000" in str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])))
        admin.delete_topics([name])
        until("the topic is gone", lambda: name not in admin.list_topics())
        with pytest.raises(UnknownTopicOrPartitionError):
            admin.delete_topics([name])
    finally:
        admin.close()


def test_admin_groups(broker, topic):
    t = topic()
    group = f"{t}-g"
    with json_producer(broker) as producer:
        producer.send(t, 1).get(30)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        with json_consumer(broker, t, group_id=group) as consumer:
            take(consumer, 1)
            consumer.commit()
            until("the group is listed", lambda: group in str(admin.list_groups()))
            assert "stable" in str(admin.describe_groups([group])).lower()
        until("the group is empty", lambda: "empty" in str(admin.describe_groups([group])).lower())
        admin.delete_groups([group])
        until("the group is gone", lambda: group not in str(admin.list_groups()))
    finally:
        admin.close()


def test_idempotent_producer(broker, topic):
    t = topic()
    with json_producer(broker, enable_idempotence=True, acks="all", linger_ms=2) as producer:
        futures = [producer.send(t, n) for n in range(2000)]
        assert [f.get(30).offset for f in futures] == list(range(2000))
