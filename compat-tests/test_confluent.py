"""confluent-kafka, and so librdkafka: what most languages' clients are made of."""
import threading
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import OFFSET_BEGINNING, TopicCollection
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from rig.wait import until


def producer_of(broker, **more):
    return Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 2,
                     **{k.replace("_", "."): v for k, v in more.items()}})


def consumer_of(broker, group, **more):
    return Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "check.crcs": True,
                     "session.timeout.ms": 10000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50,
                     **{k.replace("_", "."): v for k, v in more.items()}})


def produce(broker, topic, values, **more):
    """Sends and waits for every delivery report. -> [(partition, offset)] in the order of values"""
    reports = {}
    producer = producer_of(broker, **more)
    for n, value in enumerate(values):
        while True:
            try:
                producer.produce(topic, value, on_delivery=lambda e, m, n=n: reports.__setitem__(n, e or (m.partition(), m.offset())))
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    return [reports[n] for n in range(len(values))]


def take(consumer, count, seconds=30):
    out, end = [], time.monotonic() + seconds
    while len(out) < count:
        assert time.monotonic() < end, f"{len(out)} of {count} records within {seconds} s"
        for message in consumer.consume(min(1000, count - len(out)), 0.2):
            assert message.error() is None, message.error()
            out.append(message)
    return out


@pytest.fixture
def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap})


def test_delivery_reports_of_an_idempotent_producer(broker, topic):
    t = topic()
    reports = produce(broker, t, [b"%d" % n for n in range(5000)])
    assert reports == [(0, n) for n in range(5000)]
    consumer = consumer_of(broker, t + "-g")
    consumer.subscribe([t])
    assert [m.value() for m in take(consumer, 5000)] == [b"%d" % n for n in range(5000)]
    consumer.close()


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(broker, topic, acks):
    t = topic()
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": acks})
    failed = []
    for n in range(100):
        producer.produce(t, b"%d" % n, on_delivery=lambda e, m: failed.append(e) if e else None)
    assert producer.flush(30) == 0 and not failed
    consumer = consumer_of(broker, t + "-g")
    consumer.subscribe([t])
    assert [m.value() for m in take(consumer, 100)] == [b"%d" % n for n in range(100)]
    consumer.close()


def test_a_record_too_large_is_refused(broker, topic):
    t = topic(config={"max.message.bytes": "10000"})
    errors = []
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for size in (20000, 5000):
        producer.produce(t, b"x" * size, on_delivery=lambda e, m: errors.append(e.code() if e else 0))
        assert producer.flush(30) == 0
    assert errors == [KafkaError.MSG_SIZE_TOO_LARGE, 0]


class Member:
    """A consumer in a thread of its own; what it holds and what it got can be looked at from outside."""

    def __init__(self, broker, group, topic, **more):
        self.consumer = consumer_of(broker, group, **more)
        self.got, self.revoked, self.lost, self.assigned = [], [], [], []
        self.stop = threading.Event()
        self.ready = threading.Event()
        incremental = more.get("partition_assignment_strategy") == "cooperative-sticky"
        self.held = set()

        def on_assign(_, partitions):
            self.assigned.append({p.partition for p in partitions})
            self.held = (self.held if incremental else set()) | {p.partition for p in partitions}

        def on_revoke(_, partitions):
            self.revoked.append({p.partition for p in partitions})
            self.held = self.held - {p.partition for p in partitions}

        self.consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            message = self.consumer.poll(0.05)
            if message is not None and message.error() is None:
                self.got.append((message.partition(), message.offset()))
        self.consumer.close()

    def end(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def all_held(members, partitions):
    return sorted(p for m in members for p in m.held) == list(range(partitions))


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_members_come_and_go(broker, topic, strategy):
    t = topic(partitions=4)
    more = {"partition_assignment_strategy": strategy}
    members = [Member(broker, t + "-g", t, **more)]
    try:
        until("one member holds all", lambda: all_held(members, 4), 30)
        members.append(Member(broker, t + "-g", t, **more))
        until("two members share", lambda: all_held(members, 4) and all(len(m.held) == 2 for m in members), 30)
        if strategy == "cooperative-sticky":
            assert sum(len(r) for r in members[0].revoked) == 2, "a cooperative member gives up only what it must"
        produce(broker, t, [b"x"] * 400)
        until("all is consumed", lambda: sum(len(set(m.got)) for m in members) >= 400, 30)
        members.pop().end()
        until("the one that stays takes all", lambda: all_held(members, 4), 30)
    finally:
        for member in members:
            member.end()


def test_static_members_keep_their_partitions(broker, topic, admin):
    t = topic(partitions=4)
    group = t + "-g"
    more = {"session_timeout_ms": 20000}
    members = [Member(broker, group, t, group_instance_id=f"i{n}", **more) for n in range(2)]
    try:
        until("two members share", lambda: all_held(members, 4) and all(len(m.held) == 2 for m in members), 30)
        held, seen = set(members[1].held), len(members[0].assigned)
        members[1].end()  # a static member leaves without telling
        members[1] = Member(broker, group, t, group_instance_id="i1", **more)
        until("it comes back to what it had", lambda: members[1].held == held, 30)
        assert len(members[0].assigned) == seen, "nobody else was disturbed"
        described = admin.describe_consumer_groups([group])[group].result(30)
        assert {m.group_instance_id for m in described.members} == {"i0", "i1"}
    finally:
        for member in members:
            member.end()


def test_a_second_static_member_fences_the_first(broker, topic):
    t = topic()
    group = t + "-g"
    first = consumer_of(broker, group, group_instance_id="same")
    first.subscribe([t])
    until("the first one has its partition", lambda: first.poll(0.05) is None and first.assignment(), 30)
    second = Member(broker, group, t, group_instance_id="same")
    fatal = []

    def fenced():
        try:
            message = first.poll(0.05)
        except KafkaException as e:
            fatal.append(e.args[0])
            return True
        if message is not None and message.error():
            fatal.append(message.error())
        return bool(fatal)

    try:
        until("the first one learns that it was replaced", fenced, 30)
        assert fatal[0].code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL)
    finally:
        second.end()
        try:
            first.close()
        except (KafkaException, RuntimeError):
            pass


def test_offsets_commit_seek_and_times(broker, topic):
    t = topic(partitions=2)
    base = 1_700_000_000_000
    producer = producer_of(broker)
    for n in range(100):
        producer.produce(t, b"%d" % n, partition=n % 2, timestamp=base + n)
    producer.flush(30)
    consumer = consumer_of(broker, t + "-g", enable_auto_commit=False)
    consumer.assign([TopicPartition(t, 0, OFFSET_BEGINNING)])
    assert [m.value() for m in take(consumer, 50)] == [b"%d" % n for n in range(0, 100, 2)]
    consumer.commit(offsets=[TopicPartition(t, 0, 17, metadata="mark")], asynchronous=False)
    committed = consumer.committed([TopicPartition(t, 0), TopicPartition(t, 1)], 30)
    assert [c.offset for c in committed] == [17, -1001]
    for time_ms, offsets in ((base + 41, [21, 20]), (base, [0, 0]), (base + 99, [-1, 49]), (base + 1000, [-1, -1])):
        times = consumer.offsets_for_times([TopicPartition(t, 0, time_ms), TopicPartition(t, 1, time_ms)], 30)
        assert [c.offset for c in times] == offsets, time_ms
    assert consumer.get_watermark_offsets(TopicPartition(t, 0), 30) == (0, 50)
    consumer.close()


def test_admin_topics(admin, name, broker):
    admin.create_topics([NewTopic(name, 3, 1, config={"cleanup.policy": "compact"})])[name].result(30)
    with pytest.raises(KafkaException) as e:
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(30)
    assert e.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    with pytest.raises(KafkaException) as e:
        admin.create_topics([NewTopic(name + "-rf", 1, 9)])[name + "-rf"].result(30)
    assert e.value.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR
    with pytest.raises(KafkaException) as e:
        admin.create_topics([NewTopic("no spaces", 1, 1)])["no spaces"].result(30)
    assert e.value.args[0].code() == KafkaError.TOPIC_EXCEPTION
    with pytest.raises(KafkaException) as e:
        admin.create_topics([NewTopic(name + "-c", 1, 1, config={"retention.ms": "soon"})])[name + "-c"].result(30)
    assert e.value.args[0].code() == KafkaError.INVALID_CONFIG
    admin.create_topics([NewTopic(name + "-dry", 1, 1)], validate_only=True)[name + "-dry"].result(30)
    assert name + "-dry" not in admin.list_topics(timeout=30).topics
    admin.create_partitions([NewPartitions(name, 5)])[name].result(30)
    until("five partitions", lambda: len(admin.list_topics(name, 30).topics[name].partitions) == 5)
    described = admin.describe_topics(TopicCollection([name]))[name].result(30)
    assert len(described.partitions) == 5 and not described.is_internal
    assert all([n.id for n in p.isr] == [p.leader.id] for p in described.partitions)
    admin.delete_topics([name])[name].result(30)
    until("the topic is gone", lambda: name not in admin.list_topics(timeout=30).topics)


def test_admin_cluster(admin, broker):
    cluster = admin.describe_cluster().result(30)
    assert cluster.cluster_id and [n.port for n in cluster.nodes] == [broker.port]
    assert cluster.controller.id == cluster.nodes[0].id


def test_admin_configs(admin, topic):
    t = topic()
    resource = ConfigResource(ResourceType.TOPIC, t)

    def value(key):
        return admin.describe_configs([resource])[resource].result(30)[key]

    assert value("retention.ms").is_default
    change = ConfigResource(ResourceType.TOPIC, t)
    change.add_incremental_config(ConfigEntry("retention.ms", "12345", incremental_operation=AlterConfigOpType.SET))
    change.add_incremental_config(ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND))
    admin.incremental_alter_configs([change])[change].result(30)
    until("the value is set", lambda: value("retention.ms").value == "12345")
    assert value("cleanup.policy").value == "delete,compact" and not value("retention.ms").is_default
    back = ConfigResource(ResourceType.TOPIC, t)
    back.add_incremental_config(ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE))
    back.add_incremental_config(ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SUBTRACT))
    admin.incremental_alter_configs([back])[back].result(30)
    until("the default is back", lambda: value("retention.ms").is_default and value("cleanup.policy").value == "delete")
    wrong = ConfigResource(ResourceType.TOPIC, t)
    wrong.add_incremental_config(ConfigEntry("no.such.key", "1", incremental_operation=AlterConfigOpType.SET))
    with pytest.raises(KafkaException) as e:
        admin.incremental_alter_configs([wrong])[wrong].result(30)
    assert e.value.args[0].code() == KafkaError.INVALID_CONFIG
    broker_configs = admin.describe_configs([ConfigResource(ResourceType.BROKER, "1")])
    keys = next(iter(broker_configs.values())).result(30)
    assert keys["node.id"].value == "1" and keys["node.id"].is_read_only and len(keys) > 200


def test_admin_groups(admin, broker, topic):
    t = topic(partitions=2)
    group = t + "-g"
    produce(broker, t, [b"x"] * 100)
    member = Member(broker, group, t)
    until("it consumed all", lambda: len(member.got) == 100, 30)
    listed = admin.list_consumer_groups().result(30)
    assert group in {g.group_id for g in listed.valid} and not listed.errors
    described = admin.describe_consumer_groups([group])[group].result(30)
    assert described.state.name == "STABLE" and described.partition_assignor == "range" and len(described.members) == 1
    assert {p.partition for p in described.members[0].assignment.topic_partitions} == {0, 1}
    with pytest.raises(KafkaException) as e:
        admin.delete_consumer_groups([group])[group].result(30)
    assert e.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    member.end()

    def offsets():
        return {p.partition: p.offset for p in admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30).topic_partitions}

    assert sum(offsets().values()) == 100
    until("the group is empty", lambda: admin.describe_consumer_groups([group])[group].result(30).state.name == "EMPTY")
    moved = ConsumerGroupTopicPartitions(group, [TopicPartition(t, 0, 3)])
    admin.alter_consumer_group_offsets([moved])[group].result(30)
    assert offsets()[0] == 3
    admin.delete_consumer_groups([group])[group].result(30)
    assert group not in {g.group_id for g in admin.list_consumer_groups().result(30).valid}
    with pytest.raises(KafkaException) as e:
        admin.delete_consumer_groups([group])[group].result(30)
    assert e.value.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND


def test_admin_records_and_offsets(admin, broker, topic):
    t = topic()
    producer = producer_of(broker)
    for n in range(100):
        producer.produce(t, b"x", timestamp=1_700_000_000_000 + (n if n != 70 else 1000))
    assert producer.flush(30) == 0
    tp = TopicPartition(t, 0)
    assert admin.delete_records([TopicPartition(t, 0, 40)])[TopicPartition(t, 0, 40)].result(30).low_watermark == 40
    with pytest.raises(KafkaException) as e:
        admin.delete_records([TopicPartition(t, 0, 4000)])[TopicPartition(t, 0, 4000)].result(30)
    assert e.value.args[0].code() == KafkaError.OFFSET_OUT_OF_RANGE
    for spec, offset in ((OffsetSpec.earliest(), 40), (OffsetSpec.latest(), 100)):
        assert admin.list_offsets({tp: spec})[tp].result(30).offset == offset
    assert admin.list_offsets({tp: OffsetSpec.max_timestamp()})[tp].result(30).offset == 70
    consumer = consumer_of(broker, t + "-g")
    consumer.assign([TopicPartition(t, 0, 5)])  # gone: the reset policy takes the earliest
    assert take(consumer, 60)[0].offset() == 40
    consumer.close()
