"""A producer at work while a test hurts the cluster, and what is looked for afterwards."""
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

from .admin import create_topics
from .wait import until


class Load:
    """A producer that never stops while a test hurts the cluster; knows the longest time without an acknowledgement."""

    def __init__(self, cluster, topic, **config):
        self.topic, self.stopping = topic, threading.Event()
        self.acked, self.failed, self.gap, self.last = [], [], 0.0, None
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
                                  "message.timeout.ms": 60_000, "request.timeout.ms": 2000, "socket.timeout.ms": 2000, "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.fast.interval.ms": 50,
                                  "retry.backoff.ms": 20, "log_level": 0, **config})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        n = 0
        while not self.stopping.is_set():
            self.producer.produce(self.topic, str(n), on_delivery=lambda e, m, n=n: self.done(e, n))
            n += 1
            self.producer.poll(0.01)
        self.left = self.producer.flush(60)

    def done(self, error, n):
        if error:
            self.failed.append(error)
            return
        now = time.monotonic()
        self.gap = max(self.gap, now - (self.last or now))
        self.last = now
        self.acked.append(n)

    def goes_on(self, seconds=30):
        mark = len(self.acked)
        until("the producer goes on", lambda: len(self.acked) > mark + 10, seconds)

    def end(self):
        self.stopping.set()
        self.thread.join()
        assert self.left == 0 and not self.failed, self.failed[:3]
        return self.acked


def make(cluster, name, partitions=1, **config):
    create_topics(cluster, name, partitions=partitions, replicas=3, config=config)
    return name


def under_load(cluster, name, **config):
    """A topic whose replicas are all in sync, and a producer at work on it."""
    topic = make(cluster, name)
    cluster.until_in_sync(topic, seconds=20)
    load = Load(cluster, topic, **config)
    load.goes_on()
    return topic, load


def consume(cluster, topic, count=None, group="reader", seconds=60):
    """The values in a topic, or the first `count` of them."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "check.crcs": True, "log_level": 0})
    partitions = [TopicPartition(topic, p, 0) for p in cluster.metadata(topic).topics[topic].partitions]
    if count is None:
        count = sum(consumer.get_watermark_offsets(tp, 30)[1] for tp in partitions)
    consumer.assign(partitions)
    got, end = [], time.monotonic() + seconds
    while len(got) < count and time.monotonic() < end:
        got += [m.value().decode() for m in consumer.consume(500, 0.5) if m.error() is None]
    consumer.close()
    return got


def check(cluster, topic, acked):
    """Everything acknowledged is there, once, in order; what others have written there is not looked at."""
    got = [value for value in consume(cluster, topic) if value.isdigit()]
    assert got == sorted(set(got), key=int), "doubled or out of order"
    lost = set(map(str, acked)) - set(got)
    assert not lost, f"{len(lost)} acknowledged records are lost, as {sorted(lost, key=int)[:5]}"
