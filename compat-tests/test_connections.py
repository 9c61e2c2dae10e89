"""What a connection may expect: answers in order, back-pressure, limits; and what it may not."""
import socket
import struct
import threading

import pytest

from rig import wire
from rig.admin import create_topics
from rig.wait import until


def test_pipelined_requests_are_answered_in_order(broker, topic):
    t = topic()
    ask = [lambda n: wire.produce(n, t, wire.values_batch([b"%d" % n])), lambda n: wire.api_versions(n), lambda n: wire.metadata(n, [t]),
           lambda n: wire.list_offsets(n, t), lambda n: wire.fetch(n, t, 0, max_wait_ms=10), lambda n: wire.produce(n, t, wire.values_batch([b"%d" % n]), acks=1)]
    with wire.Wire(broker) as w:
        sender = threading.Thread(target=lambda: w.socket.sendall(b"".join(wire.framed(ask[n % len(ask)](n)) for n in range(600))))
        sender.start()
        offsets = []
        for n in range(600):
            body = w.receive()
            assert struct.unpack_from(">i", body)[0] == n
            if n % len(ask) in (0, 5):
                error, offset = wire.produce_answer(body)
                assert error == 0
                offsets.append(offset)
        sender.join()
    assert offsets == list(range(200)), "appended in the order sent"


def test_a_request_in_single_bytes(broker, topic):
    t = topic()
    with wire.Wire(broker) as w:
        w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in wire.framed(wire.produce(5, t, wire.values_batch([b"slow"]))):
            w.socket.sendall(bytes([byte]))
        assert wire.produce_answer(w.receive()) == (0, 0)


def test_acks_0_gets_no_answer(broker, topic):
    t = topic()
    with wire.Wire(broker) as w:
        w.send(wire.produce(1, t, wire.values_batch([b"x"]), acks=0))
        assert struct.unpack_from(">i", w.ask(wire.list_offsets(2, t)))[0] == 2
        until("the record is there", lambda: struct.unpack(">q", w.ask(wire.list_offsets(3, t))[-8:])[0] == 1)


def test_what_acks_1_has_answered_shows_in_the_next_list_offsets(broker, topic):
    """Alone in the ISR, a leader's answer means that the record can be read, also where reading waits for the disk."""
    t = topic()
    with wire.Wire(broker) as w:
        for n in range(200):
            assert wire.produce_answer(w.ask(wire.produce(n, t, wire.values_batch([b"%d" % n]), acks=1))) == (0, n)
            assert struct.unpack(">q", w.ask(wire.list_offsets(n, t))[-8:])[0] == n + 1


def test_a_slow_reader_holds_nobody_up(broker, topic):
    """A client that asks for far more than it reads costs a bounded little, and gets everything in the end."""
    t = topic(config={"max.message.bytes": "2000000"})
    with wire.Wire(broker) as w:
        for n in range(20):
            assert wire.produce_answer(w.ask(wire.produce(n, t, wire.values_batch([b"x" * 1_000_000]))))[0] == 0
    before = broker.rss()
    slow = [wire.Wire(broker, receive_buffer=4096) for _ in range(20)]
    try:
        for w in slow:
            for n in range(10):
                w.send(wire.fetch(n, t, 0, max_bytes=20 << 20))
        with wire.Wire(broker) as honest:
            for n in range(200):
                assert wire.produce_answer(honest.ask(wire.produce(n, t, wire.values_batch([b"y"]))))[0] == 0
        if broker.kind == "ottla":
            grown = broker.rss() - before
            assert grown < 64 << 20, f"{grown >> 20} MiB more for 20 readers who do not read"
        for n in range(10):
            body = slow[0].receive()
            assert struct.unpack_from(">i", body)[0] == n and len(body) > 18_000_000
    finally:
        for w in slow:
            w.close()


@pytest.fixture(scope="module")
def strict():
    """A broker with small limits."""
    from rig.broker import Broker

    made = Broker("strict", {"connections.max.idle.ms": 2000, "socket.request.max.bytes": 100_000, "max.connections.per.ip": 8})
    made.start()
    create_topics(made, "t")
    yield made
    made.end(keep=False)


def connects(broker, count):
    """Opens `count` connections; the broker closes those it does not want. -> how many it serves"""
    opened, served = [wire.Wire(broker, seconds=3) for _ in range(count)], 0
    try:
        for n, w in enumerate(opened):
            try:
                served += struct.unpack_from(">i", w.ask(wire.api_versions(n)))[0] == n
            except OSError:
                pass
    finally:
        for w in opened:
            w.close()
    return served


def test_connections_per_address(strict):
    until("nobody else is connected", lambda: connects(strict, 8) == 8)
    assert until("eight of twelve are served", lambda: connects(strict, 12) == 8)
    until("places come free again", lambda: connects(strict, 8) == 8)


def test_a_request_beyond_the_limit_is_not_read(strict):
    until("a place is free", lambda: connects(strict, 2) == 2)
    with wire.Wire(strict) as w:
        assert wire.produce_answer(w.ask(wire.produce(1, "t", wire.values_batch([b"x" * 90_000]))))[0] == 0
        w.socket.sendall(struct.pack(">i", 100_001) + b"\0" * 10)
        assert w.closed_within(10)
    with wire.Wire(strict) as w:
        w.socket.sendall(struct.pack(">i", -1))
        assert w.closed_within(10)


def test_idle_connections_are_closed(strict):
    until("a place is free", lambda: connects(strict, 2) == 2)
    with wire.Wire(strict) as w:
        w.ask(wire.api_versions(1))
        assert w.closed_within(20)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0\3", wire.header(3, 99, 1), wire.header(999, 0, 1), wire.header(-1, 0, 1), b"GET / HTTP/1.1\r\n\r\n"])
def test_nonsense_is_closed_and_costs_nothing(broker, body):
    with wire.Wire(broker) as w:
        w.send(body)
        assert w.closed_within(10)
    with wire.Wire(broker) as w:
        assert struct.unpack_from(">i", w.ask(wire.api_versions(7)))[0] == 7


def test_an_unknown_version_of_api_versions_is_answered(broker):
    with wire.Wire(broker) as w:
        body = w.ask(wire.header(18, 99, 3) + b"\0" + b"\1\1\0")
        correlation, error, count = struct.unpack_from(">ihi", body)
        assert (correlation, error) == (3, 35) and count >= 1, "UNSUPPORTED_VERSION, in version 0, with what there is"


def test_a_topic_that_is_made_by_asking_is_there_for_the_next_who_asks(broker, name):
    """The answer that has it made still says that it is missing, as Kafka's: who looks whether a topic is gone may ask like that."""
    with wire.Wire(broker) as w:
        asked = lambda n: wire.metadata_answer(w.ask(wire.metadata(n, [name], make=True)))
        assert asked(1) == {name: 3}
        until("it is there", lambda: asked(2) == {name: 0})
