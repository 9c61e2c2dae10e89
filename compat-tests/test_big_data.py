"""A gigabyte through the broker, alone and in a group, and across kill -9: every byte looked at."""
import os
import random
import struct
import threading
import time
import zlib

from confluent_kafka import Consumer, Producer, TopicPartition

from rig.admin import create_topics
from rig.wait import until

MEGABYTES = int(os.environ.get("OTTLA_COMPAT_MEGABYTES", "1024"))
PARTITIONS = 4
VALUE = 4096
HEAD = struct.Struct(">QI")
NOISE = random.Random(7).randbytes(1 << 20)


def value(n):
    """The n-th value of a partition: its number, a checksum, and bytes that do not compress."""
    at = n * 37 % (len(NOISE) - VALUE)
    body = NOISE[at:at + VALUE - HEAD.size]
    return HEAD.pack(n, zlib.crc32(body)) + body


def number(raw):
    """The number a value carries, having checked every byte of it."""
    n, crc = HEAD.unpack_from(raw)
    assert len(raw) == VALUE and zlib.crc32(raw[HEAD.size:]) == crc, f"value {n} is damaged"
    return n


class Writing:
    """Produces `count` values per partition, acks=all and idempotent, and notes what was acknowledged."""

    def __init__(self, broker, topic, count):
        self.broker, self.topic, self.count = broker, topic, count
        self.acknowledged, self.failed = [0] * PARTITIONS, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def report(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.acknowledged[message.partition()] += 1

    def run(self):
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "enable.idempotence": True, "linger.ms": 5, "batch.size": 1 << 20,
                             "queue.buffering.max.kbytes": 131072, "message.timeout.ms": 240_000, "reconnect.backoff.max.ms": 500})
        for n in range(self.count):
            raw = value(n)
            for partition in range(PARTITIONS):
                while True:
                    try:
                        producer.produce(self.topic, raw, partition=partition, on_delivery=self.report)
                        break
                    except BufferError:
                        producer.poll(0.05)
            producer.poll(0)
        self.left = producer.flush(240)

    def share(self):
        return sum(self.acknowledged) / (self.count * PARTITIONS)

    def end(self):
        self.thread.join(600)
        assert not self.failed and self.left == 0, self.failed[:3]
        assert self.acknowledged == [self.count] * PARTITIONS


def read_all(broker, topic, count, seconds=300):
    """Reads every partition from its start: numbers must come in order, each once."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "reads-all", "enable.auto.commit": False, "check.crcs": True,
                         "fetch.max.bytes": 64 << 20, "max.partition.fetch.bytes": 8 << 20, "queued.max.messages.kbytes": 65536})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    expected, end = [0] * PARTITIONS, time.monotonic() + seconds
    while sum(expected) < count * PARTITIONS:
        assert time.monotonic() < end, f"{expected} of {count} each"
        for message in consumer.consume(5000, 0.5):
            assert message.error() is None, message.error()
            n, partition = number(message.value()), message.partition()
            assert n == expected[partition], f"partition {partition}: {n} came where {expected[partition]} belongs"
            assert message.offset() == n
            expected[partition] += 1
    assert [consumer.get_watermark_offsets(TopicPartition(topic, p), 30)[1] for p in range(PARTITIONS)] == [count] * PARTITIONS
    consumer.close()


def read_in_a_group(broker, topic, count, members=2):
    seen, lock, stop = [set() for _ in range(PARTITIONS)], threading.Lock(), threading.Event()
    failed, busy = [], [0] * members

    def member(me):
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic + "-g", "auto.offset.reset": "earliest",
                             "session.timeout.ms": 30000, "heartbeat.interval.ms": 500})
        consumer.subscribe([topic])
        try:
            while not stop.is_set():
                for message in consumer.consume(2000, 0.1):
                    assert message.error() is None, message.error()
                    busy[me] += 1
                    with lock:
                        seen[message.partition()].add(number(message.value()))
        except Exception as e:
            failed.append(e)
        finally:
            consumer.close()

    threads = [threading.Thread(target=member, args=(n,)) for n in range(members)]
    for thread in threads:
        thread.start()
    try:
        until("the group has read everything", lambda: failed or all(len(s) == count for s in seen), 300)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failed, failed


def test_a_gigabyte_there_and_back(broker, topic):
    t = topic(partitions=PARTITIONS)
    count = MEGABYTES * (1 << 20) // VALUE // PARTITIONS
    Writing(broker, t, count).end()
    read_all(broker, t, count)
    read_in_a_group(broker, t, count)


def test_killed_in_the_middle(new_broker):
    """kill -9 under an idempotent producer that wants all acknowledgements: nothing gone, nothing twice, order kept."""
    one = new_broker("killed", {"log.segment.bytes": 32 << 20})
    create_topics(one, "big", partitions=PARTITIONS)
    count = MEGABYTES // 2 * (1 << 20) // VALUE // PARTITIONS
    writing = Writing(one, "big", count)
    for share in (0.2, 0.5, 0.7):
        until(f"{share:.0%} is acknowledged", lambda: writing.share() >= share or writing.failed, 120)
        one.kill()
        one.start()
    writing.end()
    read_all(one, "big", count)
    code, _ = one.stop()
    assert code == (0 if one.kind == "ottla" else 143)
    one.start()
    read_all(one, "big", count)
