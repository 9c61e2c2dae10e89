"""The soak: mixed clients at work while the broker is killed (kill -9) and started again; then a checker.

Producers (librdkafka, kafka-python, Java) are idempotent and want all acknowledgements; two groups consume and commit,
one of librdkafka members, one of kafka-python members. Every client is a process with a journal of what the broker
acknowledged to it. Proven at the end, record by record:

* every acknowledged record is in the log, at the offset that was acknowledged;
* no record is there twice, and a producer's records stand in the order they were sent, partition by partition;
* no commit that was acknowledged was taken back: after each restart, and at the end;
* each group saw every record;
* after each restart every producer and every group makes progress again.

With --nodes 3 the same clients work on a cluster, and --faults names what befalls it in turn (rig/faults.py); with `all` each node
is on wires of its own that can be cut, and on a disk of its own that can be full and lose power. That takes root.

    python soak.py --minutes 10 --kills 20 [--against ottla|kafka] [--seed N] [--nodes 3] [--faults kill-leader,kill-all]
"""
import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import places  # noqa: E402
from rig.admin import create_topics  # noqa: E402
from rig.broker import Broker, against, kafka_command  # noqa: E402
from rig.cluster import Cluster  # noqa: E402
from rig.faults import FAULTS, OF_PROCESSES, possible  # noqa: E402
from rig.network import Network  # noqa: E402
from rig.wait import until  # noqa: E402

TOPIC, PARTITIONS = "soak", 6
PAD = "x" * 150
PER_SECOND = 400
PROGRESS_SECONDS = 60


# ------------------------------------------------------------------------------------------------------- the clients
# Each runs in a process of its own: soak.py --role ROLE NAME BOOTSTRAP JOURNAL STOP


class Journal:
    """Lines of JSON; a line is written when the broker has acknowledged what it says."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1)

    def write(self, *words):
        self.file.write(json.dumps(words) + "\n")


def numbers(stop):
    """0, 1, 2, … without gaps, paced."""
    count, began = 0, time.monotonic()
    while not stop.exists():
        while count < (time.monotonic() - began) * PER_SECOND:
            yield count
            count += 1
        time.sleep(0.02)


def produce_librdkafka(name, bootstrap, journal, stop):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 300_000,
                         "reconnect.backoff.max.ms": 500, "statistics.interval.ms": 0, "log_level": 0})

    def report(error, message, n):
        if error:
            journal.write("gave up", n, str(error))
        else:
            journal.write("sent", n, message.partition(), message.offset())

    for n in numbers(stop):
        while True:
            try:
                producer.produce(TOPIC, f"{name}:{n}:{PAD}", partition=n % PARTITIONS, on_delivery=lambda e, m, n=n: report(e, m, n))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120):
        journal.write("gave up", -1, "records are left")


def produce_kafka_python(name, bootstrap, journal, stop):
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", linger_ms=5, delivery_timeout_ms=300_000,
                             request_timeout_ms=15_000, max_block_ms=300_000, reconnect_backoff_max_ms=500)
    for n in numbers(stop):
        future = producer.send(TOPIC, f"{name}:{n}:{PAD}".encode(), partition=n % PARTITIONS)
        future.add_callback(lambda at, n=n: journal.write("sent", n, at.partition, at.offset))
        future.add_errback(lambda error, n=n: journal.write("gave up", n, repr(error)))
    producer.flush(120)
    producer.close(30)


def seen(value):
    """Whose record it is, and its number; VerifiableProducer writes its own kind of value."""
    if value.startswith("9."):
        return "java", int(value[2:])
    name, n, _ = value.split(":", 2)
    return name, int(n)


def consume_librdkafka(group, bootstrap, journal, stop):
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 10_000, "heartbeat.interval.ms": 500,
                         "reconnect.backoff.max.ms": 500, "log_level": 0, "check.crcs": True})
    consumer.subscribe([TOPIC])
    while not stop.exists():
        done = {}
        for message in consumer.consume(500, 0.2):
            if message.error() is None:
                journal.write("seen", *seen(message.value().decode()), message.partition(), message.offset())
                done[message.partition()] = message.offset() + 1
        if done:
            try:
                for answer in consumer.commit(offsets=[TopicPartition(TOPIC, p, o) for p, o in done.items()], asynchronous=False):
                    if answer.error is None:
                        journal.write("committed", answer.partition, answer.offset)
            except KafkaException:
                pass  # not acknowledged, so not promised
    consumer.close()


def consume_kafka_python(group, bootstrap, journal, stop):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
    from kafka.errors import KafkaError
    from kafka.structs import OffsetAndMetadata

    # What comes after the last record that was seen, of the partitions that this member has.
    positions = {}

    class Rebalanced(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            positions.clear()

        def on_partitions_assigned(self, assigned):
            positions.clear()

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                             session_timeout_ms=10_000, heartbeat_interval_ms=500, request_timeout_ms=15_000, reconnect_backoff_max_ms=500, max_poll_records=500)
    consumer.subscribe([TOPIC], listener=Rebalanced())
    must_go_back = False
    while not stop.exists():
        done = {}
        try:
            if must_go_back:
                # Its poll moves positions on first and asks for more then; when that fails, for a broker is gone from the
                # metadata, the records that it has moved past are handed out to nobody. So back to what was seen.
                for tp in consumer.assignment():
                    at = positions.get(tp) or consumer.committed(tp)
                    consumer.seek(tp, at) if at else consumer.seek_to_beginning(tp)
            must_go_back = True
            polled = consumer.poll(timeout_ms=200)
            must_go_back = False
            for tp, records in polled.items():
                for record in records:
                    journal.write("seen", *seen(record.value.decode()), record.partition, record.offset)
                    done[record.partition] = positions[tp] = record.offset + 1
            if done:
                consumer.commit({TopicPartition(TOPIC, p): OffsetAndMetadata(o, "", -1) for p, o in done.items()})
                for partition, offset in done.items():
                    journal.write("committed", partition, offset)
        except KafkaError as e:
            # What was not acknowledged was not promised.
            print(f"{'poll' if must_go_back else 'commit'}: {e!r}", file=sys.stderr, flush=True)
    consumer.close()


ROLES = {f.__name__.replace("_", "-"): f for f in (produce_librdkafka, produce_kafka_python, consume_librdkafka, consume_kafka_python)}


# -------------------------------------------------------------------------------------------------------- the driver


class Client:
    """A client's process and what its journal says."""

    def __init__(self, work, role, name, bootstrap, stop):
        self.role, self.name, self.journal = role, name, work / f"{name}.journal"
        self.out = open(work / f"{name}.out", "wb")
        self.process = subprocess.Popen([sys.executable, __file__, "--role", role, name.rsplit("/", 1)[-1].split("@")[0], bootstrap, str(self.journal), str(stop)],
                                        stdout=self.out, stderr=self.out, stdin=subprocess.DEVNULL)
        self.read = 0
        self.counts = collections.Counter()
        self.sent, self.seen, self.committed, self.gave_up = {}, set(), {}, []

    def catch_up(self):
        """Reads what came in since the last time."""
        if not self.journal.exists():
            return self
        with open(self.journal, "rb") as f:
            f.seek(self.read)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.read += len(data)
        for line in data.splitlines():
            self.take(json.loads(line))
        return self

    def take(self, line):
        what, *rest = line
        self.counts[what] += 1
        if what == "sent":
            n, partition, offset = rest
            self.sent[n] = (partition, offset)
        elif what == "seen":
            name, n, *_ = rest
            self.seen.add((name, n))
        elif what == "committed":
            partition, offset = rest
            self.committed[partition] = max(offset, self.committed.get(partition, 0))
        else:
            self.gave_up.append(rest)

    def end(self, seconds=180):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} does not end") from None
        self.catch_up()


class JavaProducer(Client):
    """Kafka's VerifiableProducer: the Java client, with a line for each acknowledged record."""

    def __init__(self, work, name, bootstrap):
        config = work / "java.properties"
        config.write_text("retries=2147483647\ndelivery.timeout.ms=300000\nacks=all\nenable.idempotence=true\nreconnect.backoff.max.ms=500\nlinger.ms=5\n")
        self.role, self.name, self.journal = "produce-java", name, work / f"{name}.journal"
        self.out = open(self.journal, "wb")
        self.process = subprocess.Popen(kafka_command("-Xmx256M", "org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", bootstrap, "--topic", TOPIC,
                                                      "--throughput", str(PER_SECOND), "--value-prefix", "9", "--command-config", str(config)),
                                        stdout=self.out, stderr=open(work / f"{name}.out", "wb"), stdin=subprocess.DEVNULL)
        self.read = 0
        self.counts = collections.Counter()
        self.sent, self.seen, self.committed, self.gave_up = {}, set(), {}, []

    def take(self, line):
        n = int(line["value"].split(".")[1]) if "value" in line else None
        if line["name"] == "producer_send_success":
            self.counts["sent"] += 1
            self.sent[n] = (line["partition"], line["offset"])
        elif line["name"] == "producer_send_error":
            self.gave_up.append((n, line.get("message")))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)


def committed_now(broker, group):
    from confluent_kafka import ConsumerGroupTopicPartitions
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def ask():
        try:
            found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(10)
            return {p.partition: p.offset for p in found.topic_partitions if p.error is None}
        except Exception:
            return None

    return until(f"the offsets of {group} can be read", ask, 60)


def whole_log(broker):
    """-> per partition, the list of (producer, number) by offset"""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "checker", "enable.auto.commit": False, "check.crcs": True})
    tps = [TopicPartition(TOPIC, p, 0) for p in range(PARTITIONS)]
    ends = [consumer.get_watermark_offsets(tp, 30)[1] for tp in tps]
    consumer.assign(tps)
    logs, end = [[] for _ in tps], time.monotonic() + 300
    while any(len(log) < n for log, n in zip(logs, ends)):
        assert time.monotonic() < end, "the log cannot be read to its end"
        for message in consumer.consume(5000, 0.5):
            assert message.error() is None, message.error()
            log = logs[message.partition()]
            assert message.offset() == len(log), f"offset {message.offset()} where {len(log)} belongs"
            log.append(seen(message.value().decode()))
    consumer.close()
    return logs


def check_log(producers, logs):
    """-> what is wrong with the log, given what was acknowledged"""
    wrong = []
    for producer in producers:
        name = producer.name
        wrong += [f"{name} gave up: {what}" for what in producer.gave_up[:3]]
        where = collections.defaultdict(list)
        for partition, log in enumerate(logs):
            last = -1
            for offset, (who, n) in enumerate(log):
                if who == name:
                    where[n].append((partition, offset))
                    if n <= last:
                        wrong.append(f"{name}: in partition {partition} at {offset} number {n} stands after {last}")
                    last = n
        lost = [n for n, at in producer.sent.items() if at not in where.get(n, [])]
        doubled = [n for n, places_ in where.items() if len(places_) > 1]
        if lost:
            wrong.append(f"{name}: {len(lost)} of {len(producer.sent)} acknowledged records are not where they were acknowledged, as {lost[:5]}")
        if doubled:
            wrong.append(f"{name}: {len(doubled)} records are there twice, as {doubled[:5]}")
        print(f"  {name}: {len(producer.sent)} acknowledged, {len(lost)} lost, {len(doubled)} doubled", flush=True)
    return wrong


def kill(broker, _topic, _random):
    """kill -9 of the only node."""
    broker.kill()
    broker.start()


def run(minutes, kills, seed, nodes, faults, work):
    if nodes == 1 or faults != ["all"]:
        return soak(minutes, kills, seed, nodes, faults, work)
    network = Network(nodes, seed)
    try:
        with network.clients():
            return soak(minutes, kills, seed, nodes, None, work, network)
    finally:
        network.end()


def soak(minutes, kills, seed, nodes, faults, work, network=None):
    random_ = random.Random(seed)
    properties = {"log.segment.bytes": 8 << 20, "log.flush.offset.checkpoint.interval.ms": 5000}
    broker = Cluster("soak", nodes, properties, network=network, disks=1 if network else 0) if nodes > 1 else Broker("soak", properties)
    names = faults or possible(broker)
    befalls = [(name, FAULTS[name]) for name in names] if nodes > 1 else [("kill", kill)]
    random_.shuffle(befalls) if network else None
    longest = collections.Counter()
    times = collections.Counter()
    print(f"soak: {against()}, {nodes} nodes, {minutes:g} min, {kills} times {', '.join(n for n, _ in befalls)}, seed {seed}", flush=True)
    work.mkdir(parents=True, exist_ok=True)
    stop_producers, stop_consumers = work / "stop-producers", work / "stop-consumers"
    clients = []
    wrong = []
    try:
        broker.start()
        create_topics(broker, TOPIC, partitions=PARTITIONS, replicas=min(3, nodes))
        producers = [Client(work, "produce-librdkafka", "rdkafka-1", broker.bootstrap, stop_producers), Client(work, "produce-librdkafka", "rdkafka-2", broker.bootstrap, stop_producers),
                     Client(work, "produce-kafka-python", "python-1", broker.bootstrap, stop_producers)]
        clients += producers
        if not places.missing("java"):
            producers.append(JavaProducer(work, "java", broker.bootstrap))
            clients.append(producers[-1])
        groups = {"group-rdkafka": "consume-librdkafka", "group-python": "consume-kafka-python"}
        members = {g: [Client(work, role, f"{g}@{n}", broker.bootstrap, stop_consumers) for n in range(2)] for g, role in groups.items()}
        clients += [m for ms in members.values() for m in ms]

        def promised(group):
            out = {}
            for member in members[group]:
                for partition, offset in member.catch_up().committed.items():
                    out[partition] = max(offset, out.get(partition, 0))
            return out

        def behind(when):
            for group in groups:
                before = promised(group)
                now = committed_now(broker, group)
                for partition, offset in before.items():
                    if now.get(partition, -1) < offset:
                        wrong.append(f"{when}: {group} had {offset} of partition {partition} acknowledged, now it is {now.get(partition)}")

        def progress(when):
            marks = {p.name: p.catch_up().counts["sent"] for p in producers}
            group_marks = {g: sum(m.catch_up().counts["committed"] for m in ms) for g, ms in members.items()}
            for p in producers:
                until(f"{when}: {p.name} goes on", lambda: p.catch_up().counts["sent"] > marks[p.name] or p.gave_up, PROGRESS_SECONDS, every=0.1)
            for g, ms in members.items():
                until(f"{when}: {g} goes on", lambda: sum(m.catch_up().counts["committed"] for m in ms) > group_marks[g], PROGRESS_SECONDS, every=0.1)

        progress("at first")
        began = time.monotonic()
        for count in range(1, kills + 1):
            due = began + minutes * 60 * (count - random_.random() * 0.8) / kills
            while time.monotonic() < due:
                time.sleep(min(0.2, max(0.0, due - time.monotonic())))
            name, befall = befalls[count % len(befalls)]
            began_fault = time.monotonic()
            befall(broker, TOPIC, random_)
            went_on = time.monotonic()
            seconds = went_on - began_fault
            behind(f"after {name} {count}")
            progress(f"after {name} {count}")
            times[name] += 1
            longest[name] = max(longest[name], time.monotonic() - went_on)
            acknowledged = sum(p.counts["sent"] for p in producers)
            if network:
                broker.until_in_sync(TOPIC)
            print(f"  {name} {count}: over in {seconds:.2f} s, all went on after {time.monotonic() - went_on:.2f} s more, {acknowledged} records acknowledged so far", flush=True)
        while time.monotonic() < began + minutes * 60:
            time.sleep(0.2)

        for name in times:
            print(f"  {name}: {times[name]} times, all went on at most {longest[name]:.2f} s after", flush=True)
        stop_producers.touch()
        for producer in producers:
            if isinstance(producer, JavaProducer):
                producer.stop()
            producer.end()
        logs = whole_log(broker)
        ends = {p: len(log) for p, log in enumerate(logs)}
        for group in groups:
            until(f"{group} has committed everything", lambda: committed_now(broker, group) == ends, 120, every=0.2)
        behind("at the end")
        stop_consumers.touch()
        for group, ms in members.items():
            for member in ms:
                member.end()
            got = set().union(*(m.seen for m in ms))
            missed = {record for log in logs for record in log} - got
            if missed:
                wrong.append(f"{group} never saw {len(missed)} records, as {sorted(missed)[:3]}")
            print(f"  {group}: saw {len(got)} records, {sum(m.counts['committed'] for m in ms)} commits acknowledged", flush=True)
        wrong += check_log(producers, logs)
        broker.kill()
        broker.start()
        if [len(log) for log in whole_log(broker)] != [len(log) for log in logs]:
            wrong.append("a last kill changed the log")
        code, _ = broker.stop()
        if code != (0 if broker.kind == "ottla" else 143):
            wrong.append(f"SIGTERM ended in {code}")
    except AssertionError as e:
        wrong.append(str(e))
    finally:
        for client in clients:
            if client.process.poll() is None:
                client.process.kill()
                client.process.wait()
        broker.end(keep=bool(wrong))
    for line in wrong:
        print(f"WRONG: {line}", flush=True)
    if wrong:
        print(f"the broker's directory and the journals are kept: {broker.dir}, {work}")
    else:
        shutil.rmtree(work, ignore_errors=True)
        print("soak: nothing acknowledged was lost, doubled or out of order; no commit was taken back", flush=True)
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--against", choices=["ottla", "kafka"])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--faults", default=",".join(OF_PROCESSES), help="of a cluster; or all")
    parser.add_argument("--role", nargs=5, metavar=("ROLE", "NAME", "BOOTSTRAP", "JOURNAL", "STOP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        role, name, bootstrap, journal, stop = args.role
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return ROLES[role](name, bootstrap, Journal(journal), pathlib.Path(stop))
    if args.against:
        os.environ["OTTLA_COMPAT_AGAINST"] = args.against
    work = places.RUN / f"soak-journals-{os.getpid()}"
    return 0 if run(args.minutes, args.kills, args.seed, args.nodes, args.faults.split(","), work) else 1


if __name__ == "__main__":
    sys.exit(main())
