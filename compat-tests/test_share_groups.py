"""Share groups (KIP-932) with Kafka's own share consumer, in one JVM, and Kafka's tools."""
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, AlterConfigOpType, ResourceType

from rig.admin import create_topics
from rig.cluster import Cluster
from rig.share import ShareClients
from rig.wait import until

pytestmark = pytest.mark.java


def fill(broker, topic, values, partition=0):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0


def configure(broker, kind, name, **settings):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in settings.items()]
    for done in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]).values():
        done.result(20)


@pytest.fixture(scope="module")
def configure_group(broker, tools):
    """confluent-kafka knows no groups as resources; Kafka's tool does."""
    def set_all(group, settings, of=None):
        pairs = ",".join(f"{key}={value}" for key, value in settings.items())
        tools.ok("kafka-configs", "--bootstrap-server", (of or broker).bootstrap, "--alter", "--entity-type", "groups", "--entity-name", group,
                 "--add-config", pairs)

    return set_all


@pytest.fixture(scope="module")
def shares(broker):
    clients = ShareClients(broker)
    yield clients
    clients.end()


def offsets(taken):
    return sorted((r.partition, r.offset) for r in taken)


def test_every_record_is_accepted_once_by_two_members(broker, topic, name, shares, configure_group):
    t = topic(partitions=3)
    configure_group(name, {"share.auto.offset.reset": "earliest"})
    for partition in range(3):
        fill(broker, t, [f"{partition}-{n}" for n in range(200)], partition)
    shares.open("one", name, t, max_poll_records=50)
    shares.open("two", name, t, max_poll_records=50)
    taken = []
    until_all = time.monotonic() + 40
    while len(taken) < 600 and time.monotonic() < until_all:
        for member in ("one", "two"):
            taken += shares.take(member, 1, 0.5)
            shares.say(member, "accept")
            assert set(shares.commit(member).values()) <= {"ok"}
    assert offsets(taken) == [(p, n) for p in range(3) for n in range(200)]
    assert {r.deliveries for r in taken} == {1}
    assert all(r.value == f"{r.partition}-{r.offset}" for r in taken)
    shares.close("one")
    shares.close("two")


def test_released_rejected_and_renewed(broker, topic, name, shares, configure_group):
    t = topic()
    configure_group(name, {"share.auto.offset.reset": "earliest", "share.delivery.count.limit": 3})
    fill(broker, t, [f"v{n}" for n in range(10)])
    shares.open("m", name, t)
    first = shares.take("m")
    assert [r.offset for r in first] == list(range(10))
    shares.say("m", "renew", first[:1])
    shares.say("m", "reject", first[1:3])
    shares.say("m", "release", first[3:5])
    shares.say("m", "accept", first[5:])
    assert shares.commit("m") == {f"{t}-0": "ok"}
    # The client gives out again what it has renewed; the broker, what was released.
    again = {}
    while len(again) < 3:
        for record in shares.take("m"):
            again[record.offset] = record.deliveries
            shares.say("m", "accept" if record.offset == 0 else "release", [record])
        shares.commit("m")
    assert again == {0: 1, 3: 2, 4: 2}
    # For the last time they come one by one, and then not any more.
    for offset in (3, 4):
        last = shares.take("m")
        assert [(r.offset, r.deliveries) for r in last] == [(offset, 3)]
        shares.say("m", "release")
    assert shares.take("m", 1, 2) == []
    fill(broker, t, ["more"])
    assert [r.value for r in shares.take_all("m", 1)] == ["more"]
    shares.close("m")


def test_what_a_member_holds_comes_back_when_it_is_gone(broker, topic, name, configure_group):
    t = topic()
    configure_group(name, {"share.auto.offset.reset": "earliest"})
    fill(broker, t, [f"v{n}" for n in range(5)])
    gone = ShareClients(broker)
    gone.open("m", name, t)
    assert len(gone.take("m")) == 5
    gone.end()  # kill -9, with the lock still for half a minute
    stays = ShareClients(broker)
    began = time.monotonic()
    stays.open("m", name, t)
    assert offsets(stays.take_all("m", 5)) == [(0, n) for n in range(5)]
    assert time.monotonic() - began < 20
    stays.end()


def test_tools_describe_reset_and_delete(broker, topic, name, tools, shares, configure_group):
    t = topic()
    at = ("--bootstrap-server", broker.bootstrap)
    configure_group(name, {"share.auto.offset.reset": "earliest"})
    fill(broker, t, [f"v{n}" for n in range(10)])
    shares.open("m", name, t)
    shares.take_all("m", 10)
    assert "Stable" in tools.ok("kafka-share-groups", *at, "--describe", "--group", name, "--state")
    members = tools.ok("kafka-share-groups", *at, "--describe", "--group", name, "--members")
    assert f"{t}:0" in members
    refused = tools.run("kafka-share-groups", *at, "--reset-offsets", "--group", name, "--topic", t, "--to-earliest", "--execute")
    assert "not empty" in refused.out + refused.err or "active" in refused.out + refused.err
    shares.close("m")
    assert name in tools.ok("kafka-share-groups", *at, "--list")

    def row():
        lines = [line.split() for line in tools.ok("kafka-share-groups", *at, "--describe", "--group", name, "--offsets").splitlines()]
        return next(line for line in lines if line[:3] == [name, t, "0"])

    assert row()[3:5] == ["10", "0"], "start offset and lag"
    tools.ok("kafka-share-groups", *at, "--reset-offsets", "--group", name, "--topic", t, "--to-earliest", "--execute")
    assert row()[3:5] == ["0", "10"]
    shares.open("m", name, t)
    assert offsets(shares.take_all("m", 10)) == [(0, n) for n in range(10)]
    shares.close("m")
    deleted = tools.ok("kafka-share-groups", *at, "--delete-offsets", "--group", name, "--topic", t)
    assert "Successful" in deleted or "success" in deleted.lower() or t in deleted
    tools.ok("kafka-share-groups", *at, "--delete", "--group", name)
    assert name not in tools.ok("kafka-share-groups", *at, "--list")


def test_console_share_consumer(broker, topic, name, tools, configure_group):
    t = topic()
    configure_group(name, {"share.auto.offset.reset": "earliest"})
    fill(broker, t, [f"v{n}" for n in range(20)])
    out = tools.ok("kafka-console-share-consumer", "--bootstrap-server", broker.bootstrap, "--topic", t, "--group", name, "--max-messages", "20",
                   "--timeout-ms", "20000")
    assert sorted(out.split()[:20]) == sorted(f"v{n}" for n in range(20))


def test_counts_are_exact_over_a_restart(new_broker, name, configure_group):
    broker = new_broker("share-restart")
    # One partition: the member that was killed stays in the group for its session timeout, and others would be its own.
    create_topics(broker, name, partitions=1)
    configure_group(name, {"share.auto.offset.reset": "earliest"}, of=broker)
    fill(broker, name, [f"v{n}" for n in range(200)])
    shares = ShareClients(broker)
    # Whoever came first would otherwise hold the whole batch that the producer has made.
    shares.open("m", name, name, max_poll_records=30, share_acquire_mode="record_limit")
    shares.open("n", name, name, max_poll_records=30, share_acquire_mode="record_limit")
    before = shares.take_all("m", 60) + shares.take_all("n", 30)
    held = shares.take("m")
    assert held
    shares.end()
    broker.kill()
    broker.start()
    shares = ShareClients(broker)
    shares.open("m", name, name, max_poll_records=30)
    after = shares.take_all("m", 200 - len(before))
    assert offsets(before + after) == [(0, n) for n in range(200)], "each once, and those held at the kill again"
    assert shares.take("m", 1, 2) == []
    shares.end()


def test_dead_letters(broker, topic, name, shares, configure_group):
    t, queue = topic(), f"dlq.{name}"
    create_topics(broker, queue, partitions=1, config={"errors.deadletterqueue.group.enable": "true"})
    configure_group(name, {"share.auto.offset.reset": "earliest", "errors.deadletterqueue.topic.name": queue,
                           "errors.deadletterqueue.copy.record.enable": "true"})
    fill(broker, t, [f"v{n}" for n in range(3)])
    shares.open("m", name, t)
    taken = shares.take("m")
    shares.say("m", "accept", taken[:2])
    shares.say("m", "reject", taken[2:])
    shares.commit("m")
    shares.close("m")
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(queue, 0, 0)])
    letter = until("the letter is there", lambda: consumer.poll(0.5), 20)
    consumer.close()
    headers = dict(letter.headers())
    assert letter.value() == b"v2"
    assert headers == {"__dlq.errors.topic": t.encode(), "__dlq.errors.partition": b"0", "__dlq.errors.offset": b"2",
                       "__dlq.errors.group": name.encode(), "__dlq.errors.delivery.count": b"1",
                       "__dlq.errors.message": b"Offset rejected by client."}


def test_a_leader_is_killed_and_what_was_accepted_does_not_come_again(name, configure_group):
    cluster = Cluster("share-cluster", properties={"share.coordinator.state.topic.num.partitions": 6})
    cluster.start()
    shares = None
    try:
        create_topics(cluster, name, partitions=3, replicas=3)
        configure_group(name, {"share.auto.offset.reset": "earliest"}, of=cluster)
        for partition in range(3):
            fill(cluster, name, [f"{partition}-{n}" for n in range(100)], partition)
        shares = ShareClients(cluster)
        shares.open("m", name, name, max_poll_records=20, share_acquire_mode="record_limit")
        accepted, again, killed = set(), [], False
        end = time.monotonic() + 60
        while len(accepted) < 300 and time.monotonic() < end:
            taken = shares.take("m", 1, 2)
            again += [(r.partition, r.offset) for r in taken if (r.partition, r.offset) in accepted]
            shares.say("m", "accept")
            kept = shares.commit("m")
            accepted |= {(r.partition, r.offset) for r in taken if kept.get(f"{name}-{r.partition}") == "ok"}
            if len(accepted) >= 100 and not killed:
                killed = True
                cluster.leader(name, 0).kill()
        assert killed
        assert accepted == {(p, n) for p in range(3) for n in range(100)}
        assert again == []
    finally:
        if shares:
            shares.end()
        cluster.end(keep=False)
