"""One server stops, the other goes on with its directory: Apache Kafka with ottla's files, and ottla with Apache Kafka's.

ottla's directory begins with the feature levels of Kafka 4.3, as an operator would have it who may want to go back.
"""
import pytest
from confluent_kafka import Consumer, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from rig.broker import Broker
from rig.wait import until

pytestmark = pytest.mark.java

PARTITIONS, RECORDS = 3, 3000
CODECS = {"none": None, "gzip": "gzip", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd"}


class Handed:
    """A directory that passes from one server to another, each with the same configuration."""

    def __init__(self, first):
        self.one = Broker(f"takeover-from-{first}", {"log.segment.bytes": 1 << 20, "group.initial.rebalance.delay.ms": 0}, kind=first)
        self.one.format(release="4.3")
        self.one.start()

    @property
    def admin(self):
        return AdminClient({"bootstrap.servers": self.one.bootstrap})

    def pass_to(self, kind):
        code, _ = self.one.stop()
        assert code == (143 if self.one.kind == "kafka" else 0)
        self.one.kind = kind
        self.one.start()

    def produce(self, topic, numbers, **more):
        producer = Producer({"bootstrap.servers": self.one.bootstrap, "enable.idempotence": True, "linger.ms": 5, **more})
        failed = []
        for n in numbers:
            producer.produce(topic, b"%d-" % n + b"v" * 300, key=f"key-{n}", partition=n % PARTITIONS, headers=[("n", str(n))],
                             timestamp=1_700_000_000_000 + n, on_delivery=lambda e, m: failed.append(e) if e else None)
            producer.poll(0)
        assert producer.flush(60) == 0 and not failed

    def values(self, topic, count):
        """-> the numbers that were produced, by partition, read from the start with their keys, headers and timestamps"""
        consumer = Consumer({"bootstrap.servers": self.one.bootstrap, "group.id": "reader", "enable.auto.commit": False, "check.crcs": True})
        consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        got = {p: [] for p in range(PARTITIONS)}

        def all_there():
            for m in consumer.consume(1000, 0.2):
                assert not m.error()
                n = int(m.value().split(b"-")[0])
                assert (m.key(), m.headers(), m.timestamp()[1]) == (b"key-%d" % n, [("n", b"%d" % n)], 1_700_000_000_000 + n)
                assert m.offset() == len(got[m.partition()])
                got[m.partition()].append(n)
            return sum(map(len, got.values())) >= count

        until(f"{count} records of {topic}", all_there, 60)
        consumer.close()
        return got

    def committed(self, group):
        consumer = Consumer({"bootstrap.servers": self.one.bootstrap, "group.id": group})
        try:
            return [(p.offset, p.metadata) for p in consumer.committed([TopicPartition("none", p) for p in range(PARTITIONS)], 30)]
        finally:
            consumer.close()

    def described(self):
        """Everything that must not change: cluster, topics with their ids and configurations, the broker's dynamic one."""
        admin, names = self.admin, [*CODECS, "cut"]
        topics = admin.describe_topics(TopicCollection(names))
        ids = {name: (str(t.topic_id), [(p.id, p.leader.id, [r.id for r in p.replicas]) for p in t.partitions])
               for name, t in ((name, topics[name].result(30)) for name in names)}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names] + [ConfigResource(ResourceType.BROKER, "1")]
        configs = {r.name: {c.name: c.value for c in done.result(30).values() if c.source in (1, 2, 3)}
                   for r, done in admin.describe_configs(resources).items()}
        return admin.describe_cluster().result(30).cluster_id, ids, configs

    def groups(self):
        """Those that are loaded by now."""
        admin = self.admin
        return sorted(g.group_id for g in admin.list_consumer_groups().result(30).valid)


@pytest.mark.parametrize("first,second", [("ottla", "kafka"), ("kafka", "ottla")])
def test_goes_on_with_the_others_directory(first, second, request):
    handed = Handed(first)
    try:
        passed_on(handed, first, second)
    finally:
        handed.one.end(keep=getattr(request.node, "failed_here", False))


def passed_on(handed, first, second):
    admin = handed.admin
    made = admin.create_topics([NewTopic(t, PARTITIONS, 1, config={"retention.ms": "-1"}) for t in CODECS] + [NewTopic("cut", PARTITIONS, 1), NewTopic("gone", 1, 1)])
    for done in made.values():
        done.result(30)
    admin.delete_topics(["gone"])["gone"].result(30)
    entry = ConfigEntry("log.cleaner.threads", "2", incremental_operation=AlterConfigOpType.SET)
    broker = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    admin.incremental_alter_configs([broker])[broker].result(30)
    for topic, codec in CODECS.items():
        handed.produce(topic, range(RECORDS), **({"compression.type": codec} if codec else {}))
    handed.produce("cut", range(30))
    assert admin.delete_records([TopicPartition("cut", 0, 4)])[TopicPartition("cut", 0)].result(30).low_watermark == 4
    expected = {p: list(range(p, RECORDS, PARTITIONS)) for p in range(PARTITIONS)}
    commit(handed, "by-hand", [(11, "m0"), (22, ""), (33, "m2")])
    read_by_members(handed, "members", 500)
    commits = {group: handed.committed(group) for group in ("by-hand", "members")}
    before, groups = handed.described(), handed.groups()
    assert groups == ["by-hand", "members"]

    handed.pass_to(second)
    until("all groups are loaded", lambda: handed.groups() == groups)
    assert handed.described() == before
    assert {group: handed.committed(group) for group in commits} == commits
    for topic in CODECS:
        assert handed.values(topic, RECORDS) == expected
    consumer = Consumer({"bootstrap.servers": handed.one.bootstrap, "group.id": "marks"})
    assert consumer.get_watermark_offsets(TopicPartition("cut", 0), 30) == (4, 10)
    consumer.close()
    # The group goes on where it was, the producer's next records come after the last, and new topics can be made.
    assert any(offset > 0 for offset, _ in commits["members"])
    read_by_members(handed, "members", RECORDS - sum(offset for offset, _ in commits["members"] if offset > 0))
    assert [offset for offset, _ in handed.committed("members")] == [RECORDS // PARTITIONS] * PARTITIONS
    handed.produce("none", range(RECORDS, RECORDS + 300))
    longer = {p: list(range(p, RECORDS + 300, PARTITIONS)) for p in range(PARTITIONS)}
    assert handed.values("none", RECORDS + 300) == longer
    admin = handed.admin
    admin.create_topics([NewTopic("new", 1, 1)])["new"].result(30)

    handed.pass_to(first)
    assert handed.values("none", RECORDS + 300) == longer
    assert [offset for offset, _ in handed.committed("members")] == [RECORDS // PARTITIONS] * PARTITIONS
    admin = handed.admin
    assert "new" in admin.list_topics(timeout=30).topics


def commit(handed, group, offsets):
    consumer = Consumer({"bootstrap.servers": handed.one.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition("none", p, offset, metadata) for p, (offset, metadata) in enumerate(offsets)], asynchronous=False)
    consumer.close()


def read_by_members(handed, group, count):
    """One member of a group reads at least so many records of a topic and commits what it has read."""
    member = Consumer({"bootstrap.servers": handed.one.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    member.subscribe(["none"])
    read = []
    until(f"{count} records for {group}", lambda: read.extend(m for m in member.consume(500, 0.2) if not m.error()) or len(read) >= count, 60)
    member.commit(asynchronous=False)
    member.close()
