"""Kafka Streams with exactly_once_v2, while its instances and the brokers are killed: word counts and joins, exact to the record.

The short form takes some seconds. The long one: OTTLA_COMPAT_STREAMS=MINUTES,FAULTS for each test, and OTTLA_COMPAT_STREAMS_SEED.
"""
import collections
import os
import random
import signal
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from rig.admin import create_topics
from rig.broker import Broker
from rig.cluster import Cluster
from rig.streams import StreamsApp
from rig.wait import until

pytestmark = pytest.mark.java

PARTITIONS = 3
LINES_A_SECOND = 100
WORDS = 20
MINUTES, FAULTS = (float(n) for n in os.environ.get("OTTLA_COMPAT_STREAMS", "0,4").split(","))
PROGRESS_SECONDS = 60
# So that an instance that was killed is soon missed by its group, and its transaction by the coordinator.
BROKER = {"group.min.session.timeout.ms": 1000, "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200}
APP = {"consumer.session.timeout.ms": 3000, "consumer.heartbeat.interval.ms": 500, "producer.transaction.timeout.ms": 4000,
       "reconnect.backoff.max.ms": 300, "reconnect.backoff.ms": 50, "metadata.max.age.ms": 5000}


def line(n):
    """Each word's number of occurrences in the first lines is known without counting."""
    return f"w{n % WORDS} all w{n % WORDS}"


def words(lines):
    """-> how often each word is in so many lines"""
    counts = collections.Counter()
    for n in range(lines):
        counts.update(line(n).split())
    return counts


class Feeder:
    """Writes lines, and left and right halves of pairs, with an idempotent producer: each is in its topic once."""

    def __init__(self, broker):
        self.stopping, self.lines, self.failed = threading.Event(), 0, []
        self.began = int(time.time() * 1000)
        self.producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 180_000,
                                  "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 300, "log_level": 0})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def done(self, error, _message):
        if error:
            self.failed.append(str(error))

    def feed(self):
        """A line, and the halves of two pairs: a pair's come in either order, some time apart, and their timestamps are apart no more than that."""
        n, other, self.lines = self.lines, self.lines ^ 7, self.lines + 1
        at = self.began + n * 1000 // LINES_A_SECOND
        self.producer.produce("lines", line(n), on_delivery=self.done)
        self.producer.produce("left", f"l{n}", key=str(n), timestamp=at, on_delivery=self.done)
        self.producer.produce("right", f"r{other}", key=str(other), timestamp=at, on_delivery=self.done)

    def run(self):
        began = time.monotonic()
        while not self.stopping.is_set():
            while self.lines < (time.monotonic() - began) * LINES_A_SECOND:
                self.feed()
            self.producer.poll(0.01)
        while self.lines % 8:
            self.feed()  # so that every half has its other half
        self.left = self.producer.flush(180)

    def stop(self):
        """-> how many lines there are"""
        self.stopping.set()
        self.thread.join(200)
        assert not self.thread.is_alive() and self.left == 0 and not self.failed, self.failed[:3]
        return self.lines


class Watcher:
    """Reads what is committed of both outputs as it comes, and sees at once what should not be there.

    A word's counts come as 1, 2, 3, … and a pair comes once.
    """

    def __init__(self, broker):
        self.broker, self.stopping, self.wrong = broker, threading.Event(), []
        self.counts, self.pairs = collections.Counter(), {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def consumer(self):
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": "watcher", "enable.auto.commit": False, "isolation.level": "read_committed",
                             "auto.offset.reset": "error", "fetch.wait.max.ms": 100, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 300, "check.crcs": True, "log_level": 0})
        consumer.assign([TopicPartition(t, p, 0) for t in ("counts", "pairs") for p in range(PARTITIONS)])
        return consumer

    def run(self):
        consumer = self.consumer()
        while not self.stopping.is_set():
            for message in consumer.consume(500, 0.1):
                if message.error() is None:
                    self.take(message.topic(), message.key().decode(), message.value().decode(), f"{message.partition()}:{message.offset()}")
        consumer.close()

    def take(self, topic, key, value, where):
        if topic == "counts":
            if int(value) != self.counts[key] + 1:
                self.wrong.append(f"{key} is counted {value} after {self.counts[key]}, at {where}")
            self.counts[key] = int(value)
            return
        if value != f"l{key}/r{key}" or key in self.pairs:
            self.wrong.append(f"pair {key} is {value}, at {where}; it was {self.pairs.get(key)} before")
        self.pairs[key] = where

    def seen(self):
        return sum(self.counts.values()), len(self.pairs)

    def well(self):
        assert not self.wrong, f"{len(self.wrong)} wrong, as {self.wrong[:5]}"

    def goes_on(self, when, seconds=PROGRESS_SECONDS):
        """-> seconds until both applications have written something new"""
        began, (counted, paired) = time.monotonic(), self.seen()

        def more():
            self.well()
            now = self.seen()
            return now[0] > counted and now[1] > paired

        until(f"{when}: both applications go on; seen {self.seen()}", more, seconds)
        return time.monotonic() - began

    def stop(self):
        self.stopping.set()
        self.thread.join(30)


class Work:
    """A broker or a cluster with both applications at work on it."""

    def __init__(self, broker, replicas, instances, seed):
        self.broker, self.random = broker, random.Random(seed)
        create_topics(broker, "lines", "left", "right", "counts", "pairs", partitions=PARTITIONS, replicas=replicas)
        self.feeder, self.watcher = Feeder(broker), Watcher(broker)
        settings = {**APP, "replication.factor": replicas}
        self.apps = [StreamsApp(broker, "words", ["lines"], "counts", "wordcount", instance=n, standby=instances - 1, settings=settings) for n in range(1, instances + 1)]
        self.apps.append(StreamsApp(broker, "joiner", ["left", "right"], "pairs", "join", settings=settings))
        for app in self.apps:
            app.start()
        try:
            self.watcher.goes_on("at first")
        except BaseException:
            self.end()
            raise

    def goes_on(self, fault):
        for app in self.apps:
            assert app.alive(), f"{app.name} ended with {app.process.returncode}:\n{app.said()[-4000:]}"
        seconds = self.watcher.goes_on(f"after {fault}")
        print(f"  {fault}: all went on {seconds:.2f} s after; seen {self.watcher.seen()} of {self.feeder.lines} lines", flush=True)

    def until_complete(self):
        lines = self.feeder.stop()
        wanted = words(lines)

        def complete():
            self.watcher.well()
            return self.watcher.counts == wanted and len(self.watcher.pairs) == lines

        try:
            until("all is there", complete, 90)
        except AssertionError:
            missing = sorted(set(map(str, range(lines))) - set(self.watcher.pairs), key=int)
            raise AssertionError(f"of {lines} lines: {wanted - self.watcher.counts} is missing of the counts, {missing[:10]} of the pairs ({len(missing)})") from None
        self.read_again()
        return lines

    def read_again(self):
        """Who comes later reads the same."""
        self.watcher.stop()
        later = Watcher(self.broker)
        until("it is read again", lambda: later.seen() == self.watcher.seen() or later.wrong, 60)
        later.stop()
        later.well()
        assert later.counts == self.watcher.counts and later.pairs == self.watcher.pairs

    def end(self):
        self.feeder.stopping.set()
        self.watcher.stop()
        for app in self.apps:
            app.kill()


# --- what befalls it


def kill_an_app(work):
    """kill -9 of an instance, in the middle of a transaction."""
    app = work.random.choice(work.apps)
    app.kill()
    app.start()


def kill_all_apps(work):
    for app in work.apps:
        app.kill()
    for app in work.apps:
        app.start()


def pause_an_app(work):
    """SIGSTOP for so long that the group and the coordinator of transactions do without it: it comes back as a zombie."""
    app = work.random.choice(work.apps)
    app.process.send_signal(signal.SIGSTOP)
    time.sleep(8)  # the fault itself
    app.process.send_signal(signal.SIGCONT)


def kill_the_broker(work):
    work.broker.kill()
    work.broker.start()


def kill_a_leader_of(topic):
    def kill(work):
        node = work.broker.until_led(topic, work.random.randrange(PARTITIONS))
        node.kill()
        node.start()

    kill.__name__ = f"kill_a_leader_of_{topic.strip('_')}"
    return kill


def kill_broker_and_app(work):
    app = work.random.choice(work.apps)
    work.broker.kill()
    app.kill()
    work.broker.start()
    app.start()


def befall(work, short, long):
    """The short form: each fault of a list. The long one: as many as are wanted, in as many minutes."""
    if not MINUTES:
        for fault in short:
            time.sleep(0.5)
            fault(work)
            work.goes_on(fault.__name__)
        return
    began, count = time.monotonic(), int(FAULTS)
    for n in range(1, count + 1):
        until("the next one is due", lambda: time.monotonic() - began > MINUTES * 60 * (n - work.random.random() * 0.8) / count, MINUTES * 60 + 10)
        fault = work.random.choice(long)
        fault(work)
        work.goes_on(f"{fault.__name__} {n}")


def at_work(broker, replicas, instances, short, long):
    seed = int(os.environ.get("OTTLA_COMPAT_STREAMS_SEED", "1"))
    keep = True
    try:
        broker.start()
        work = Work(broker, replicas, instances, seed)
        try:
            befall(work, short, long)
            lines = work.until_complete()
            print(f"  {lines} lines: {sum(work.watcher.counts.values())} counts and {len(work.watcher.pairs)} pairs, each once", flush=True)
            for app in work.apps:
                assert "closed" in app.stop(), f"{app.name} is not closed in order:\n{app.said()[-4000:]}"
        finally:
            work.end()
        keep = False
    finally:
        broker.end(keep)


def test_one_node():
    short = [kill_an_app, kill_the_broker, kill_broker_and_app]
    at_work(Broker("streams", BROKER), 1, 1, short, [kill_an_app, kill_all_apps, pause_an_app, kill_the_broker, kill_broker_and_app])


def test_three_nodes():
    leaders = [kill_a_leader_of(topic) for topic in ("counts", "__transaction_state", "__consumer_offsets")]
    at_work(Cluster("streams", properties=BROKER), 3, 2, [kill_an_app, *leaders[:2]], [kill_an_app, kill_all_apps, pause_an_app, kill_the_broker, kill_broker_and_app, *leaders])
