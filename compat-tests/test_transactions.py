"""Transactions with the clients that have them: commit, abort, fencing, consume-transform-produce; brokers that die in between."""
import asyncio
import re
import subprocess
import threading
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from rig import places, wire
from rig.admin import create_topics
from rig.cluster import Cluster
from rig.wait import until

# The bit of a batch's attributes.
TRANSACTIONAL = 1 << 4


def producer_of(broker, txn, **more):
    return Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": txn, "transaction.timeout.ms": 60000, "linger.ms": 1,
                     "log_level": 0, **{k.replace("_", "."): v for k, v in more.items()}})


def begun(broker, txn, **more):
    producer = producer_of(broker, txn, **more)
    producer.init_transactions(60)
    return producer


def read(broker, topic, isolation="read_committed", seconds=30):
    """All values up to the end that a reader of this kind has. The end of committed records moves when markers are written."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic + "-reader", "enable.auto.commit": False,
                         "isolation.level": isolation, "enable.partition.eof": True, "fetch.wait.max.ms": 50, "log_level": 0})
    parts = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in parts])
    values, ended, end = [], set(), time.monotonic() + seconds
    while len(ended) < len(parts):
        assert time.monotonic() < end, f"no end of {topic} within {seconds} s"
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())
        else:
            values.append(message.value())
    consumer.close()
    return values


def opens(producer, topic, value):
    """Begins a transaction; the broker has its first record."""
    producer.begin_transaction()
    producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


def commits(producer, topic, values, partition=0):
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=partition)
    producer.commit_transaction(60)


def test_what_is_committed_is_read_and_what_is_aborted_is_not(broker, topic, name):
    t = topic(partitions=3)
    producer = begun(broker, name)
    wanted = []
    for n in range(30):
        producer.begin_transaction()
        values = [b"%d-%d" % (n, p) for p in range(3)]
        for p, value in enumerate(values):
            producer.produce(t, value, partition=p)
        if n % 3 == 2:
            producer.flush(30)
            producer.abort_transaction(60)
        else:
            producer.commit_transaction(60)
            wanted += values
    until("all that is committed is read", lambda: sorted(read(broker, t)) == sorted(wanted), 20)
    assert len(read(broker, t, "read_uncommitted")) == 90


def test_what_is_open_is_not_read(broker, topic, name):
    t = topic()
    producer = begun(broker, name)
    commits(producer, t, [b"first"])
    opens(producer, t, b"open")
    other = Producer({"bootstrap.servers": broker.bootstrap})
    other.produce(t, b"behind", partition=0)
    assert other.flush(30) == 0
    until("the first is committed", lambda: read(broker, t) == [b"first"], 20)
    assert read(broker, t, "read_uncommitted") == [b"first", b"open", b"behind"]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def end(isolation):
        return admin.list_offsets({TopicPartition(t, 0): OffsetSpec.latest()}, isolation_level=isolation)[TopicPartition(t, 0)].result(10).offset

    # A marker takes an offset.
    assert (end(IsolationLevel.READ_COMMITTED), end(IsolationLevel.READ_UNCOMMITTED)) == (2, 4)
    producer.commit_transaction(60)
    until("the open one is committed", lambda: read(broker, t) == [b"first", b"open", b"behind"], 20)


def test_a_second_producer_fences_the_first(broker, topic, name):
    t = topic()
    first = begun(broker, name)
    commits(first, t, [b"kept"])
    opens(first, t, b"lost")
    second = begun(broker, name)
    with pytest.raises(KafkaException) as refused:
        first.produce(t, b"zombie", partition=0)
        first.flush(30)
        first.commit_transaction(60)
    assert refused.value.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH), refused.value
    commits(second, t, [b"of the second"])
    until("only what was committed is read", lambda: read(broker, t) == [b"kept", b"of the second"], 20)


def test_a_transaction_that_takes_too_long_is_aborted(new_broker, name):
    broker = new_broker("txn-timeout", {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 200})
    create_topics(broker, name)
    producer = begun(broker, name, transaction_timeout_ms=1000)
    opens(producer, name, b"too late")
    other = Producer({"bootstrap.servers": broker.bootstrap})
    other.produce(name, b"behind", partition=0)
    other.flush(30)
    until("it is out of the way", lambda: read(broker, name) == [b"behind"], 20)
    with pytest.raises(KafkaException):
        producer.commit_transaction(60)


def transform(broker, source, target, group, txn, count):
    """Reads `count` records in a group, writes them on with the offsets, in transactions of which some are aborted."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "fetch.wait.max.ms": 50, "session.timeout.ms": 10000, "log_level": 0})
    consumer.subscribe([source])
    producer = begun(broker, txn)
    done, rounds, end = 0, 0, time.monotonic() + 60
    while done < count:
        assert time.monotonic() < end, f"{done} of {count}"
        messages = consumer.consume(20, 0.5)
        if not messages:
            continue
        assert all(m.error() is None for m in messages)
        producer.begin_transaction()
        for message in messages:
            producer.produce(target, message.value(), partition=0)
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 60)
        rounds += 1
        if rounds % 3 == 0:
            producer.abort_transaction(60)
            for at in consumer.committed(consumer.assignment(), 30):
                consumer.seek(TopicPartition(at.topic, at.partition, max(at.offset, 0)))
        else:
            producer.commit_transaction(60)
            done += len(messages)
    consumer.close()


def test_consume_transform_produce(broker, topic, name):
    source, target = topic(suffix="-in"), topic(suffix="-out")
    commits(begun(broker, name + "-fill"), source, [b"%d" % n for n in range(100)])
    transform(broker, source, target, name + "-g", name, 100)
    until("each once", lambda: read(broker, target) == [b"%d" % n for n in range(100)], 20)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    group = ConsumerGroupTopicPartitions(name + "-g")
    [at] = admin.list_consumer_group_offsets([group])[name + "-g"].result(30).topic_partitions
    assert at.offset >= 100


def test_kafka_python(broker, topic, name):
    from kafka import KafkaConsumer, KafkaProducer

    t = topic()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=name)
    producer.init_transactions()
    for n in range(6):
        producer.begin_transaction()
        producer.send(t, b"%d" % n)
        producer.abort_transaction() if n % 2 else producer.commit_transaction()
    producer.close()
    consumer = KafkaConsumer(t, bootstrap_servers=broker.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest",
                             group_id=None, consumer_timeout_ms=15000)
    assert [next(consumer).value for _ in range(3)] == [b"0", b"2", b"4"]
    consumer.close()


def test_aiokafka(broker, topic, name):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    t = topic()

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=name) as producer:
            for n in range(6):
                await producer.begin_transaction()
                await producer.send_and_wait(t, b"%d" % n)
                await (producer.abort_transaction() if n % 2 else producer.commit_transaction())
        async with AIOKafkaConsumer(t, bootstrap_servers=broker.bootstrap, isolation_level="read_committed",
                                    auto_offset_reset="earliest") as consumer:
            return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(3)]

    assert asyncio.run(run()) == [b"0", b"2", b"4"]


@pytest.mark.go
def test_franz_go(broker, topic):
    done = subprocess.run([places.GO_CLIENT, broker.bootstrap, topic(partitions=3), "franz-txn"], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.java
def test_java_producers_and_tools(broker, topic, tools, name):
    t = topic()
    at = ("--bootstrap-server", broker.bootstrap)
    # The Java producer follows the newest version of transactions.
    out = tools.ok("kafka-producer-perf-test", "--topic", t, "--num-records", "200", "--record-size", "10", "--throughput", "-1",
                   "--transactional-id", name + "-java", "--transaction-duration-ms", "5", "--command-property", f"bootstrap.servers={broker.bootstrap}")
    assert "200 records sent" in out
    out = tools.ok("kafka-console-consumer", *at, "--topic", t, "--from-beginning", "--max-messages", "200", "--timeout-ms", "20000",
                   "--isolation-level", "read_committed")
    assert len(out.split()) == 200

    producer = begun(broker, name)
    opens(producer, t, b"open")
    listed = tools.ok("kafka-transactions", *at, "list")
    state = {line.split()[0]: line.split()[-1] for line in listed.splitlines()[1:] if line.strip()}
    assert state[name] == "Ongoing" and state[name + "-java"] in ("CompleteCommit", "PrepareCommit")
    described = tools.ok("kafka-transactions", *at, "describe", "--transactional-id", name)
    assert f"{t}-0" in described and "Ongoing" in described
    found = tools.ok("kafka-transactions", *at, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "0")
    assert t not in found
    producers = tools.ok("kafka-transactions", *at, "describe-producers", "--topic", t, "--partition", "0")
    [start] = [line.split()[-1] for line in producers.splitlines()[1:] if line.split() and line.split()[-1] not in ("None", "-1")]
    tools.ok("kafka-transactions", *at, "abort", "--topic", t, "--partition", "0", "--start-offset", start)
    until("the open one is aborted", lambda: len(read(broker, t)) == 200, 20)


def open_without_a_coordinator(broker, topic, producer_id):
    """Writes a record of a transaction that no coordinator has ever heard of, as a producer without verification might, an hour ago."""
    then = int(time.time() * 1000) - 3_600_000
    raw = wire.values_batch([b"hanging"], codec=TRANSACTIONAL, producer=(producer_id, 0, 0), timestamp=then)
    with wire.Wire(broker) as connection:
        error, _ = wire.produce_answer(connection.ask(wire.produce(7, topic, raw, transactional_id="nobody")))
    assert error == wire.NO_ERROR, error


@pytest.mark.java
@pytest.mark.parametrize("level", [0, 1])
def test_older_versions_of_transactions(new_broker, tools, name, level):
    broker = new_broker(f"txn-version-{level}", {"transaction.partition.verification.enable": "false"})
    at = ("--bootstrap-server", broker.bootstrap)
    tools.ok("kafka-features", *at, "downgrade", "--feature", f"transaction.version={level}")

    def finalized():
        described = tools.ok("kafka-features", *at, "describe")
        return re.search(r"Feature: transaction.version\s.*FinalizedVersionLevel: (\d+)", described)[1] == str(level)

    until("the level is lowered", finalized)
    source, target = name + "-in", name + "-out"
    create_topics(broker, source, target)
    # librdkafka adds partitions to its transactions itself, whatever the level; what it writes is of level 0.
    commits(begun(broker, name + "-fill"), source, [b"%d" % n for n in range(60)])
    transform(broker, source, target, name + "-g", name, 60)
    wanted = [b"%d" % n for n in range(60)]
    until("each once", lambda: read(broker, target) == wanted, 20)
    # A transaction that is open when the broker dies goes on, from what this level has written down of it.
    producer = begun(broker, name + "-restart")
    commits(producer, target, [b"before"])
    opens(producer, target, b"during")
    broker.kill()
    broker.start()
    producer.commit_transaction(60)
    until("both are read", lambda: read(broker, target) == wanted + [b"before", b"during"], 20)
    # A second one with its name fences it.
    opens(producer, target, b"of a zombie")
    begun(broker, name + "-restart")
    with pytest.raises(KafkaException):
        producer.commit_transaction(60)
    # The Java producer follows the level: it adds partitions itself below 2.
    out = tools.ok("kafka-producer-perf-test", "--topic", target, "--num-records", "50", "--record-size", "10", "--throughput", "-1",
                   "--transactional-id", name + "-java", "--transaction-duration-ms", "5", "--command-property", f"bootstrap.servers={broker.bootstrap}")
    assert "50 records sent" in out
    until("those as well", lambda: len(read(broker, target)) == 112, 20)

    # What no coordinator will ever end is found, and ended by hand.
    find = lambda: tools.ok("kafka-transactions", *at, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1")
    assert source not in find()
    open_without_a_coordinator(broker, source, 77_000)
    commits(begun(broker, name + "-behind"), source, [b"behind"])
    assert len(read(broker, source)) == 60
    [found] = [line.split() for line in find().splitlines() if line.startswith(source)]
    assert found[1:3] == ["0", "77000"], found
    tools.ok("kafka-transactions", *at, "abort", "--topic", source, "--partition", "0", "--start-offset", found[5])
    until("what is behind it is read", lambda: read(broker, source)[60:] == [b"behind"], 20)
    assert source not in find()

    # And back: what was written at this level is read at the newest.
    tools.ok("kafka-features", *at, "upgrade", "--feature", "transaction.version=2")
    commits(begun(broker, name + "-fill"), source, [b"at level 2"])
    until("it is read", lambda: read(broker, source)[61:] == [b"at level 2"], 20)


def test_a_broker_that_dies_in_a_transaction_goes_on_with_it(new_broker, name):
    broker = new_broker("txn-restart")
    create_topics(broker, name)
    producer = begun(broker, name)
    commits(producer, name, [b"before"])
    opens(producer, name, b"during")
    broker.kill()
    broker.start()
    assert b"during" not in read(broker, name)
    producer.produce(name, b"after", partition=0)
    producer.commit_transaction(60)
    until("all of it is read", lambda: read(broker, name) == [b"before", b"during", b"after"], 20)
    # A commit that is decided is carried out, however soon the broker dies.
    for n in range(3):
        commits(producer, name, [b"%d" % n])
        broker.kill()
        broker.start()
    wanted = [b"before", b"during", b"after", b"0", b"1", b"2"]
    until("all that was committed is read", lambda: read(broker, name) == wanted, 20)


def test_a_cluster_loses_coordinator_and_leaders_and_no_transaction(name):
    cluster = Cluster("txn", properties={"transaction.abort.timed.out.transaction.cleanup.interval.ms": 500})
    try:
        cluster.start()
        source, target = name + "-in", name + "-out"
        create_topics(cluster, source, target, partitions=1, replicas=3)
        commits(begun(cluster, name + "-fill"), source, [b"%d" % n for n in range(200)])
        failed = []

        def work():
            try:
                transform(cluster, source, target, name + "-g", name, 200)
            except BaseException as e:  # noqa: BLE001
                failed.append(e)

        worker = threading.Thread(target=work)
        worker.start()
        for topic in ("__transaction_state", target):
            time.sleep(1)
            node = cluster.leader(topic)
            if node and worker.is_alive():
                node.kill()
                node.start()
        worker.join(90)
        assert not worker.is_alive() and not failed, failed
        until("each once", lambda: read(cluster, target) == [b"%d" % n for n in range(200)], 40)
    finally:
        cluster.end(keep=False)
