"""Starting, refusing to start, stopping, starting again."""
import json
import re
import signal
import socket
import subprocess
import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from rig import places, wire
from rig.admin import create_topics
from rig.broker import READY, Broker, against, free_port
from rig.wait import until

UNKNOWN_TOPIC_OR_PARTITION = 3


def refuses(broker, *words):
    """The broker ends by itself with an exit code, and says why: ottla in one line that has all of `words`."""
    broker.launch()
    until(f"{broker.name} gives up", lambda: not broker.alive(), 60)
    said = broker.since_start()
    assert broker.process.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT), said
    if broker.kind == "ottla":
        assert READY not in said
        naming = [line for line in said.splitlines() if line.startswith("ottla: ") and all(str(w) in line for w in words)]
        assert len(naming) == 1, f"no single line names {words}:\n{said}"
        assert "panicked" not in said and len(said.splitlines()) <= 20, said


def test_port_taken(new_broker):
    one = new_broker("port-taken", start=False)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", one.port))
        taken.listen()
        refuses(one, one.port)


def test_a_directory_that_cannot_be(new_broker):
    one = new_broker("no-directory", start=False)
    (one.dir / "file").write_text("")
    one.properties["log.dirs"] = one.data = one.dir / "file" / "data"
    one.write_config()
    if one.kind == "kafka":
        one.format = lambda: None
    refuses(one, one.data)


def test_second_process_on_one_directory(new_broker):
    first = new_broker("first")
    second = new_broker("second", start=False)
    second.properties["log.dirs"] = second.data = first.data
    second.write_config()
    refuses(second, first.data)
    with wire.Wire(first) as w:
        assert w.ask(wire.api_versions(1))[:4] == b"\0\0\0\1", "the first one goes on"


def test_directory_of_another_node(new_broker):
    one = new_broker("other-node")
    one.stop()
    one.properties.update({"node.id": 7, "controller.quorum.voters": f"7@127.0.0.1:{one.controller_port}"})
    one.write_config()
    refuses(one, "node.id")


def test_wrong_cluster_id(new_broker):
    one = new_broker("other-cluster", start=False)
    second = one.dir / "data2"
    one.properties["log.dirs"] = f"{one.data},{second}"
    one.write_config()
    one.start()
    one.stop()
    meta = second / "meta.properties"
    text = meta.read_text()
    assert re.search(r"^cluster\.id=\S{22}$", text, re.M)
    meta.write_text(re.sub(r"^cluster\.id=.*$", "cluster.id=AAAAAAAAAAAAAAAAAAAAAA", text, flags=re.M))
    refuses(one, "cluster.id")


@pytest.mark.parametrize("key,value", [("num.partitions", "many"), ("log.segment.bytes", "1"), ("compression.type", "rar"),
                                       ("listeners", "PLAINTEXT://127.0.0.1:port"), ("process.roles", "bystander")])
def test_bad_value(new_broker, key, value):
    one = new_broker("bad-value", start=False)
    one.format()
    one.properties[key] = value
    one.write_config()
    one.format = lambda: None
    refuses(one, key)


def test_unknown_key_warns(new_broker):
    one = new_broker("unknown-key", {"no.such.key": "1"})
    if one.kind == "ottla":
        assert re.search(r"WARN.*no\.such\.key", one.log.read_text())


def test_override_wins(new_broker):
    one = new_broker("override", {"num.partitions": 2}, start=False)
    one.format()
    one.start(one.command() + ["--override", "num.partitions=5"])
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    admin.create_topics([NewTopic("t", -1, -1)])["t"].result(30)
    until("five partitions", lambda: len(admin.list_topics("t", 30).topics["t"].partitions) == 5)


@pytest.mark.ottla_only("it does not start without a configuration")
def test_with_no_configuration(new_broker):
    one = new_broker("bare", start=False)
    command = [str(places.OTTLA), "start", "--data-dir", str(one.data), "--port", str(one.port)]
    seconds = one.start(command)
    assert seconds < 3
    said = one.since_start()
    assert str(one.data) in said, "it says where it keeps its data"
    produce(one, "t", 10)
    assert one.stop()[0] == 0
    one.start(command)
    assert values(one, "t", 10) == list(range(10))
    assert one.stop()[0] == 0


def produce(broker, topic, count, start=0):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    failed = []
    for n in range(start, start + count):
        producer.produce(topic, json.dumps(n), on_delivery=lambda e, m: failed.append(e) if e else None)
    assert producer.flush(30) == 0 and not failed


def values(broker, topic, count):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "values", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    got = []
    until(f"{count} records", lambda: got.extend(json.loads(m.value()) for m in consumer.consume(count, 0.2) if not m.error()) or len(got) >= count)
    consumer.close()
    return got


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_everything_is_there_after_a_restart(new_broker, how):
    one = new_broker(f"restart-{how.lower()}")
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1, config={"retention.ms": "86400001"})])["kept"].result(30)
    topic_id = admin.describe_topics(TopicCollection(["kept"]))["kept"].result(30).topic_id
    admin.create_topics([NewTopic("dropped", 1, 1)])["dropped"].result(30)
    admin.delete_topics(["dropped"])["dropped"].result(30)
    cluster_id = admin.describe_cluster().result(30).cluster_id
    produce(one, "kept", 1000)
    consumer = Consumer({"bootstrap.servers": one.bootstrap, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition("kept", 0, 321)], asynchronous=False)
    consumer.close()
    if how == "SIGTERM":
        code, seconds = one.stop()
        assert code == (0 if one.kind == "ottla" else 143) and seconds < 10
    else:
        one.kill()
    one.start()
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    assert admin.describe_cluster().result(30).cluster_id == cluster_id
    listed = admin.list_topics(timeout=30).topics
    assert "kept" in listed and "dropped" not in listed
    assert str(admin.describe_topics(TopicCollection(["kept"]))["kept"].result(30).topic_id) == str(topic_id)
    resource = ConfigResource(ResourceType.TOPIC, "kept")
    assert admin.describe_configs([resource])[resource].result(30)["retention.ms"].value == "86400001"
    assert values(one, "kept", 1000) == list(range(1000))
    consumer = Consumer({"bootstrap.servers": one.bootstrap, "group.id": "g"})
    assert consumer.committed([TopicPartition("kept", 0)], 30)[0].offset == 321
    consumer.close()
    produce(one, "kept", 10, start=1000)
    assert values(one, "kept", 1010) == list(range(1010))


def test_sigterm_under_load_answers_what_it_took(new_broker):
    """Whatever was acknowledged before the end is there after it; the end comes within seconds, with a long poll open."""
    one = new_broker("sigterm-load")
    create_topics(one, "t")
    acknowledged, stop = [], threading.Event()

    def writer(me):
        try:
            with wire.Wire(one) as w:
                n = 0
                while not stop.is_set():
                    error, offset = wire.produce_answer(w.ask(wire.produce(n, "t", wire.values_batch([b"%d-%d" % (me, n)]))))
                    if error == UNKNOWN_TOPIC_OR_PARTITION and not acknowledged:
                        continue  # just made: the broker may still be on its way to leading it
                    if error:
                        return  # it is on its way out
                    acknowledged.append((offset, b"%d-%d" % (me, n)))
                    n += 1
        except OSError:
            pass

    writers = [threading.Thread(target=writer, args=(n,)) for n in range(4)]
    for thread in writers:
        thread.start()
    until("some are acknowledged", lambda: len(acknowledged) > 200)
    poll = wire.Wire(one)
    poll.send(wire.fetch(1, "t", 10**6, max_wait_ms=30000))
    code, seconds = one.stop()
    stop.set()
    for thread in writers:
        thread.join(30)
    poll.close()
    assert code == (0 if one.kind == "ottla" else 143)
    assert seconds < 10, "a long poll does not hold the end up"
    one.start()
    consumer = Consumer({"bootstrap.servers": one.bootstrap, "group.id": "g"})
    consumer.assign([TopicPartition("t", 0, 0)])
    got = {}
    last = max(offset for offset, _ in acknowledged)
    until("the last one is read", lambda: got.update({m.offset(): m.value() for m in consumer.consume(1000, 0.2) if not m.error()}) or last in got)
    consumer.close()
    assert all(got.get(offset) == value for offset, value in acknowledged)


@pytest.mark.ottla_only("its help is a script's")
def test_help_and_wrong_arguments():
    run = lambda *args: subprocess.run([str(places.OTTLA), *args], capture_output=True, text=True, timeout=20)
    assert run("--help").returncode == 0 and "start" in run("--help").stdout
    assert run("--version").returncode == 0
    wrong = run("start", "--no-such-option")
    assert wrong.returncode != 0 and "--no-such-option" in wrong.stderr
    missing = run("start", "--config", str(places.RUN / "nowhere.properties"))
    assert missing.returncode != 0 and "nowhere.properties" in missing.stderr + missing.stdout
