"""Three nodes, replication factor 3, min.insync.replicas 2: what clients see when nodes die, hang and are rolled."""
import os
import pathlib
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from rig.broker import against
from rig.cluster import Cluster
from rig.load import Load, check, consume, make, under_load
from rig.wait import until


@pytest.fixture(scope="module")
def shared():
    """The cluster that tests share; each leaves it whole."""
    cluster = Cluster("cluster")
    cluster.start()
    yield cluster
    cluster.end(keep=False)


@pytest.fixture
def whole(shared):
    yield shared
    for node in shared.nodes:
        if not node.alive():
            node.start()
    until("every node is in the metadata", lambda: len(shared.metadata().brokers) == 3, 30)


def produce(cluster, topic, values, **config):
    """Produces and returns the offsets that were acknowledged; fails if one was not."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True, "log_level": 0, **config})
    offsets, failed = [], []
    for value in values:
        producer.produce(topic, value, on_delivery=lambda e, m: failed.append(e) if e else offsets.append((m.partition(), m.offset())))
        producer.poll(0)
    assert producer.flush(60) == 0 and not failed, failed[:3]
    return offsets


def until_another_leads(cluster, topic, leader):
    """Asks the other nodes until one of them is told to lead. -> seconds that took; what a client adds by its own waits is not in it"""
    began = time.monotonic()
    others = [node for node in cluster.nodes if node is not leader]
    admin = AdminClient({"bootstrap.servers": ",".join(node.bootstrap for node in others), "socket.timeout.ms": 500, "log_level": 0})

    def another():
        try:
            leads = admin.list_topics(topic, 0.5).topics[topic].partitions[0].leader
        except KafkaException:
            return False
        return leads > 0 and cluster.node(leads) is not leader

    until("another leads", another, 20)
    return time.monotonic() - began


def test_a_topic_is_on_three_nodes_and_every_node_knows_it_at_once(whole, name):
    for number, node in enumerate(whole.nodes):
        topic = f"{name}-{number}"
        admin = AdminClient({"bootstrap.servers": node.bootstrap})
        admin.create_topics([NewTopic(topic, 3, 3)])[topic].result(20)
        found = admin.list_topics(topic, 10).topics[topic]
        assert found.error is None and all(sorted(p.replicas) == [1, 2, 3] for p in found.partitions.values())
        whole.until_in_sync(topic, seconds=20)
        sent = [f"v{i}" for i in range(300)]
        produce(whole, topic, sent)
        assert sorted(consume(whole, topic, 300)) == sorted(sent)


def test_a_killed_leader_is_replaced_and_nothing_is_lost(whole, name):
    topic, load = under_load(whole, name)
    leader = whole.leader(topic)
    leader.kill()
    print(f"another leads after {until_another_leads(whole, topic, leader):.2f} s")
    load.goes_on()
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    leader.start()
    whole.until_in_sync(topic)
    acked = load.end()
    check(whole, topic, acked)


def test_a_paused_leader_does_not_acknowledge_what_it_may_not(whole, name):
    import signal

    topic, load = under_load(whole, name)
    leader = whole.leader(topic)
    leader.signal(signal.SIGSTOP)
    try:
        print(f"another leads after {until_another_leads(whole, topic, leader):.2f} s")
        load.goes_on()
    finally:
        leader.signal(signal.SIGCONT)
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    whole.until_in_sync(topic)
    check(whole, topic, load.end())


def test_the_active_controller_is_killed_under_load(whole, name):
    topic = make(whole, name)
    load = Load(whole, topic)
    load.goes_on()
    controller = whole.active_controller()
    controller.kill()
    load.goes_on()
    second = make(whole, name + "-2")
    controller.start()
    whole.until_in_sync(topic, second)
    check(whole, topic, load.end())


def test_all_are_killed_at_once_and_come_back(whole, name):
    topic, load = under_load(whole, name)
    whole.kill()
    whole.start()
    load.goes_on()
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    whole.until_in_sync(topic)
    check(whole, topic, load.end())


def test_a_rolling_restart_fails_no_call(whole, name):
    topic = make(whole, name)
    whole.until_in_sync(topic, seconds=20)
    load = Load(whole, topic)
    for node in whole.nodes:
        load.goes_on()
        code, _ = node.stop()
        assert code == (0 if against() == "ottla" else 143), node.tail()
        node.start()
        whole.until_in_sync(topic)
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    check(whole, topic, load.end())


def test_too_few_in_sync_replicas_refuse_acks_all(whole, name):
    topic = make(whole, name)
    whole.until_in_sync(topic, seconds=20)
    produce(whole, topic, ["a"])
    leader = whole.leader(topic)
    # The quorum needs two of the three controllers, so one replica is lost and the topic asks for all three instead.
    admin = AdminClient({"bootstrap.servers": whole.bootstrap})
    others = [n for n in whole.nodes if n is not leader]
    others[0].kill()
    until("the dead replica is out of sync", lambda: whole.in_sync(topic, 2), 60)
    produce(whole, topic, ["b"])
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("min.insync.replicas", "3", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)
    producer = Producer({"bootstrap.servers": whole.bootstrap, "acks": "all", "retries": 0, "log_level": 0})
    errors = []
    producer.produce(topic, "c", on_delivery=lambda e, m: errors.append(e))
    producer.flush(30)
    assert errors and errors[0].code() in (KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND), errors
    others[0].start()
    whole.until_in_sync(topic)
    produce(whole, topic, ["d"])
    assert consume(whole, topic, 3) == ["a", "b", "d"]


def test_a_group_survives_its_coordinator(whole, name):
    topic = make(whole, name, partitions=3)
    produce(whole, topic, [str(n) for n in range(100)])
    config = {"bootstrap.servers": whole.bootstrap, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False,
              "session.timeout.ms": 10_000, "log_level": 0}
    consumer = Consumer(config)
    consumer.subscribe([topic])
    got = []

    def take(count):
        end = time.monotonic() + 60
        while len(got) < count and time.monotonic() < end:
            got.extend(m.value().decode() for m in consumer.consume(100, 0.5) if m.error() is None)
        assert len(got) == count, len(got)

    take(100)
    consumer.commit(asynchronous=False)
    admin = AdminClient({"bootstrap.servers": whole.bootstrap})
    described = admin.describe_consumer_groups([name])[name].result(20)
    coordinator = whole.node(described.coordinator.id)
    coordinator.kill()
    produce(whole, topic, [str(n) for n in range(100, 200)])
    take(200)

    def commits():
        try:
            return consumer.commit(asynchronous=False)
        except KafkaException:
            return None

    until("the group commits again", commits, 60)
    consumer.close()
    assert sorted(got, key=int) == [str(n) for n in range(200)]
    again = Consumer(config)
    offsets = again.committed([TopicPartition(topic, p) for p in range(3)], 30)
    again.close()
    # A partition that got no record has no offset.
    assert sum(max(0, p.offset) for p in offsets) == 200
    coordinator.start()


def test_a_minute_of_faults():
    """The soak of soak.py with three nodes, in short; `cargo dev soak --nodes 3` is the long one."""
    program = pathlib.Path(__file__).with_name("soak.py")
    minutes, kills = os.environ.get("OTTLA_COMPAT_CLUSTER_SOAK", "1,5").split(",")
    done = subprocess.run([sys.executable, program, "--minutes", minutes, "--kills", kills, "--seed", "1", "--nodes", "3"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
