"""The consumer group protocol of KIP-848: librdkafka's and Java's consumers, Kafka's tools for groups, migration."""
import threading

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from rig.admin import create_topics
from rig.wait import until

# Short, so that rebalances do not wait for heartbeats.
QUICK = {
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 200,
    "group.consumer.min.session.timeout.ms": 3000,
    "group.consumer.session.timeout.ms": 5000,
    "group.initial.rebalance.delay.ms": 0,
}


@pytest.fixture(scope="module")
def quick(request):
    from conftest import _ended, _made
    made = _made(request, "consumer-groups", QUICK, start=True)
    yield made
    _ended(made, getattr(request.session, "some_failed", False))


class Member:
    """A consumer on a thread of its own, with what it was given and what it has read."""

    def __init__(self, broker, group, topics, protocol="consumer", **more):
        config = {"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                  "group.protocol": protocol, "enable.auto.commit": False, "fetch.wait.max.ms": 50,
                  **{k.replace("_", "."): v for k, v in more.items()}}
        if protocol == "classic":
            config |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "partition.assignment.strategy": "range"}
        self.consumer, self.values, self.errors = Consumer(config), [], []
        self.owned, self.lost, self.gained = set(), 0, 0
        self.consumer.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lost)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _assign(self, consumer, partitions):
        self.gained += 1
        self.owned |= {(p.topic, p.partition) for p in partitions}

    def _revoke(self, consumer, partitions):
        self.owned -= {(p.topic, p.partition) for p in partitions}

    def _lost(self, consumer, partitions):
        self.lost += 1
        self._revoke(consumer, partitions)

    def _run(self):
        while not self.stop.is_set():
            message = self.consumer.poll(0.05)
            if message is None:
                continue
            if message.error():
                self.errors.append(message.error())
            else:
                self.values.append(message.value())

    def end(self):
        self.stop.set()
        self.thread.join(30)
        self.consumer.close()


def fill(broker, topic, values, partitions=1):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for n, value in enumerate(values):
        producer.produce(topic, value, partition=n % partitions)
    assert producer.flush(30) == 0


def read(consumer, count, seconds=40):
    """So many values; errors while the broker is away do not count."""
    values = []

    def enough():
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            values.append(message.value())
        return len(values) >= count

    until(f"{count} records", enough, seconds, every=0)
    return values


def described(broker, group):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    return admin.describe_consumer_groups([group])[group].result(30)


def settled(members, topic, partitions):
    """All partitions are owned, each by one, as evenly as can be."""
    owned = [m.owned for m in members]
    everything = sorted(p for own in owned for p in own)
    sizes = [len(own) for own in owned]
    return everything == [(topic, n) for n in range(partitions)] and max(sizes) - min(sizes) <= 1


def test_members_share_partitions(quick, name):
    topic = name
    create_topics(quick, topic, partitions=6)
    fill(quick, topic, [b"%d" % n for n in range(600)], 6)
    first = Member(quick, topic + "-g", [topic])
    until("one member has all", lambda: settled([first], topic, 6))
    others = [Member(quick, topic + "-g", [topic]) for _ in range(2)]
    members = [first, *others]
    until("three share", lambda: settled(members, topic, 6))
    group = described(quick, topic + "-g")
    until("the group is stable", lambda: described(quick, topic + "-g").state.name == "STABLE")
    assert group.type.name == "CONSUMER" and len(group.members) == 3
    assert sorted(p.partition for m in group.members for p in m.assignment.topic_partitions) == list(range(6))
    others[0].end()
    until("two share", lambda: settled([first, others[1]], topic, 6))
    first.end(), others[1].end()
    assert not any(m.errors or m.lost for m in members)
    until("the group is empty", lambda: described(quick, topic + "-g").state.name == "EMPTY")


def test_commits_outlast_a_restart(new_broker, name):
    broker = new_broker("consumer-groups-restart", QUICK)
    topic = name
    create_topics(broker, topic, partitions=2)
    fill(broker, topic, [b"%d" % n for n in range(200)], 2)
    lost = []
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "group.protocol": "consumer",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False, "fetch.wait.max.ms": 50})
    consumer.subscribe([topic], on_lost=lambda c, partitions: lost.append(partitions))
    values = read(consumer, 200)
    consumer.commit(asynchronous=False)
    broker.kill()
    broker.start()
    fill(broker, topic, [b"more %d" % n for n in range(100)], 2)
    values += read(consumer, 100)
    assert sorted(values) == sorted([b"%d" % n for n in range(200)] + [b"more %d" % n for n in range(100)])
    assert not lost, "it still is a member"
    consumer.commit(asynchronous=False)
    consumer.close()
    fill(broker, topic, [b"last"])
    again = Member(broker, "g", [topic])
    until("the rest is read", lambda: again.values)
    assert again.values == [b"last"]
    again.end()


def test_static_members_keep_what_they_had(quick, name):
    topic = name
    create_topics(quick, topic, partitions=4)
    members = [Member(quick, topic + "-g", [topic], group_instance_id=f"i{n}") for n in range(2)]
    until("two share", lambda: settled(members, topic, 4))
    had = members[1].owned.copy()
    gained = members[0].gained
    members[1].stop.set()
    members[1].thread.join(30)
    members[1].consumer.close()
    back = Member(quick, topic + "-g", [topic], group_instance_id="i1")
    until("it has the same again", lambda: back.owned == had)
    assert members[0].gained == gained
    back.end(), members[0].end()


def test_subscription_by_expression(quick, name):
    prefix = name
    for end in ("one", "two"):
        create_topics(quick, f"{prefix}.{end}", partitions=2)
    create_topics(quick, f"other-{prefix}", partitions=1)
    member = Member(quick, prefix + "-g", [f"^{prefix}\\.(one|two)$"])
    expected = {(f"{prefix}.{end}", n) for end in ("one", "two") for n in range(2)}
    until("what matches is assigned", lambda: member.owned == expected)
    member.end()


@pytest.mark.java
def test_java_consumer_and_tools(quick, name, tools):
    topic, at = name, ("--bootstrap-server", quick.bootstrap)
    group = topic + "-g"
    create_topics(quick, topic, partitions=3)
    fill(quick, topic, [b"%d" % n for n in range(30)], 3)
    out = tools.ok("kafka-console-consumer", *at, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "30",
                   "--timeout-ms", "20000", "--command-property", "group.protocol=consumer")
    assert sorted(out.split()) == sorted(str(n) for n in range(30))
    groups = lambda *args: tools.ok("kafka-consumer-groups", *at, *args)
    lag = groups("--describe", "--group", group)
    assert sum(line.split()[3:6] == ["10", "10", "0"] for line in lag.splitlines()) == 3, lag
    assert group in groups("--list", "--type", "consumer") and group not in groups("--list", "--type", "classic")
    member = Member(quick, group, [topic])
    until("the member has all", lambda: settled([member], topic, 3))
    state = groups("--describe", "--group", group, "--state", "--verbose")
    assert "Stable" in state and "uniform" in state, state
    verbose = groups("--describe", "--group", group, "--members", "--verbose")
    assert "rdkafka" in verbose and f"{topic}:0,1,2" in verbose, verbose
    refused = tools.run("kafka-consumer-groups", *at, "--delete", "--group", group)
    assert "GroupNotEmptyException" in refused.out + refused.err
    member.end()
    reset = groups("--reset-offsets", "--group", group, "--topic", topic, "--to-offset", "5", "--execute")
    assert sum(line.split()[-1] == "5" for line in reset.splitlines() if topic in line) == 3, reset
    configs = lambda *args: tools.ok("kafka-configs", *at, "--entity-type", "groups", "--entity-name", group, *args)
    configs("--alter", "--add-config", "consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=1000")
    assert "consumer.heartbeat.interval.ms=1000" in configs("--describe")
    bad = tools.run("kafka-configs", *at, "--entity-type", "groups", "--entity-name", group, "--alter", "--add-config", "consumer.session.timeout.ms=1")
    assert bad.code != 0 and "consumer.session.timeout.ms" in bad.out + bad.err, bad
    groups("--delete", "--group", group)
    assert group not in groups("--list")


def test_a_group_goes_to_the_new_protocol_and_back(quick, name):
    topic = name
    group = topic + "-g"
    create_topics(quick, topic, partitions=4)
    fill(quick, topic, [b"%d" % n for n in range(40)], 4)
    classic = [Member(quick, group, [topic], protocol="classic") for _ in range(2)]
    until("two classic members share", lambda: settled(classic, topic, 4))
    assert described(quick, group).type.name == "CLASSIC"
    new = [Member(quick, group, [topic])]
    until("three share", lambda: settled(classic + new, topic, 4), seconds=40)
    assert described(quick, group).type.name == "CONSUMER"
    classic.pop().end()
    new.append(Member(quick, group, [topic]))
    until("three share again", lambda: settled(classic + new, topic, 4), seconds=40)
    # The last member of the newer protocol goes: those of the classic one are by themselves again.
    for member in new:
        member.end()
    until("the classic member has all", lambda: settled(classic, topic, 4), seconds=40)
    until("the group is classic", lambda: described(quick, group).type.name == "CLASSIC")
    assert not any(m.errors for m in classic)
    classic[0].end()
