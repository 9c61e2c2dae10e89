"""The protocol by hand, in old plain versions: for what no honest client sends, and to see every answer."""
import socket
import struct
import time

import crc32c

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 2, 3, 18, 19
NO_ERROR, INVALID_RECORD = 0, 87


def string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def varint(n):
    """Zigzag, as inside records."""
    return unsigned(((n << 1) ^ (n >> 63)) & 0xFFFFFFFFFFFFFFFF)


def unsigned(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def header(key, version, correlation, client="by-hand"):
    return struct.pack(">hhi", key, version, correlation) + string(client)


def record(delta, value, key=None, time_delta=0):
    body = b"\0" + varint(time_delta) + varint(delta)
    body += varint(-1) if key is None else varint(len(key)) + key
    body += varint(-1) if value is None else varint(len(value)) + value
    body += varint(0)
    return varint(len(body)) + body


def batch(records, count, codec=0, last_delta=None, producer=(-1, -1, -1), timestamp=None):
    """A record batch of magic 2 around encoded (and perhaps compressed) records."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    last = count - 1 if last_delta is None else last_delta
    body = struct.pack(">hiqqqhii", codec, last, now, now, *producer, count) + records
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c.crc32c(body)) + body


def values_batch(values, **more):
    return batch(b"".join(record(n, v) for n, v in enumerate(values)), len(values), **more)


def produce(correlation, topic, batch_bytes, partition=0, acks=-1, timeout_ms=30000, transactional_id=None):
    """Produce v3."""
    transactional = struct.pack(">h", -1) if transactional_id is None else string(transactional_id)
    return (header(PRODUCE, 3, correlation) + transactional + struct.pack(">hii", acks, timeout_ms, 1) + string(topic)
            + struct.pack(">iii", 1, partition, len(batch_bytes)) + batch_bytes)


def produce_answer(body):
    """-> (error code, base offset) of the only partition in a Produce v3 answer, correlation id taken off."""
    length = struct.unpack_from(">h", body, 8)[0]
    _, _, error, offset = struct.unpack_from(">iihq", body, 10 + length)
    return error, offset


def fetch(correlation, topic, offset, partition=0, max_bytes=50 << 20, max_wait_ms=500, min_bytes=1):
    """Fetch v4."""
    return (header(FETCH, 4, correlation) + struct.pack(">iiiibi", -1, max_wait_ms, min_bytes, max_bytes, 0, 1) + string(topic)
            + struct.pack(">iiqi", 1, partition, offset, max_bytes))


def metadata(correlation, names, make=False):
    """Metadata v4; `make`: topics that are not there are to be made."""
    body = struct.pack(">i", len(names)) + b"".join(string(n) for n in names)
    return header(METADATA, 4, correlation) + body + (b"\1" if make else b"\0")


def metadata_answer(body):
    """-> error by topic"""
    at = 8

    def take(form):
        nonlocal at
        [value] = struct.unpack_from(form, body, at)
        at += struct.calcsize(form)
        return value

    def text():
        nonlocal at
        length = take(">h")
        at += max(length, 0)
        return body[at - length:at].decode() if length >= 0 else None

    for _ in range(take(">i")):
        take(">i"), text(), take(">i"), text()
    text(), take(">i")
    errors = {}
    for _ in range(take(">i")):
        error, name, _internal = take(">h"), text(), take(">b")
        errors[name] = error
        for _ in range(take(">i")):
            take(">h"), take(">i"), take(">i")
            for _ in range(2):
                at += 4 * take(">i")
    return errors


def api_versions(correlation):
    """ApiVersions v0."""
    return header(API_VERSIONS, 0, correlation)


def list_offsets(correlation, topic, timestamp=-1, partition=0):
    """ListOffsets v1."""
    return header(LIST_OFFSETS, 1, correlation) + struct.pack(">ii", -1, 1) + string(topic) + struct.pack(">iiq", 1, partition, timestamp)


def list_offsets_answer(body):
    """-> (error code, offset) of the only partition in a ListOffsets v1 answer, correlation id taken off."""
    length = struct.unpack_from(">h", body, 8)[0]
    _, _, error, _, offset = struct.unpack_from(">iihqq", body, 10 + length)
    return error, offset


def framed(body):
    return struct.pack(">i", len(body)) + body


class Wire:
    """One connection."""

    def __init__(self, broker, seconds=30, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect((broker.host, broker.port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, body):
        self.socket.sendall(framed(body))

    def exactly(self, count):
        out = bytearray()
        while len(out) < count:
            chunk = self.socket.recv(min(1 << 20, count - len(out)))
            if not chunk:
                raise ConnectionError(f"closed after {len(out)} of {count} bytes")
            out += chunk
        return bytes(out)

    def receive(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def ask(self, body):
        self.send(body)
        return self.receive()

    def closed_within(self, seconds):
        """Does the other side close, having said nothing more?"""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, BrokenPipeError):
            return True
        except TimeoutError:
            return False
