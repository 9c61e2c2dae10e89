"""kcat, the shell's Kafka client, with an old librdkafka inside."""
import json
import subprocess

import pytest

pytestmark = pytest.mark.kcat


@pytest.fixture
def kcat(broker):
    def run(*args, stdin="", seconds=60, code=0):
        done = subprocess.run(["kcat", "-b", broker.bootstrap, *map(str, args)], input=stdin.encode(), capture_output=True, timeout=seconds)
        assert done.returncode == code, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace")

    return run


def lines(count):
    return "".join(f"line-{n}\n" for n in range(count))


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_codecs_there_and_back(kcat, topic, codec):
    t = topic()
    kcat("-P", "-t", t, "-z", codec, stdin=lines(2000))
    assert kcat("-C", "-t", t, "-e", "-q", "-X", "check.crcs=true") == lines(2000)


def test_list(kcat, topic, broker):
    t = topic(partitions=3)
    found = json.loads(kcat("-L", "-J", "-t", t))
    assert [b["name"] for b in found["brokers"]] == [broker.bootstrap]
    assert [(p["partition"], p["leader"], len(p["isrs"])) for p in found["topics"][0]["partitions"]] == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    assert t in kcat("-L")


def test_offsets(kcat, topic):
    t = topic()
    kcat("-P", "-t", t, stdin=lines(100))
    assert kcat("-C", "-t", t, "-o", "beginning", "-c", 1, "-q") == "line-0\n"
    assert kcat("-C", "-t", t, "-o", "42", "-c", 2, "-q") == "line-42\nline-43\n"
    assert kcat("-C", "-t", t, "-o", "-3", "-e", "-q") == "line-97\nline-98\nline-99\n"
    assert kcat("-C", "-t", t, "-o", "end", "-e", "-q") == ""
    assert kcat("-C", "-t", t, "-p", 0, "-o", "s@0", "-c", 1, "-q") == "line-0\n"


def test_query_by_time(kcat, topic, broker):
    t = topic()
    kcat("-P", "-t", t, stdin=lines(10))
    assert f"{t} [0] offset 0" in kcat("-Q", "-t", f"{t}:0:1")
    assert f"{t} [0] offset 10" in kcat("-Q", "-t", f"{t}:0:-1")
    assert f"{t} [0] offset 0" in kcat("-Q", "-t", f"{t}:0:-2")


def test_group(kcat, topic):
    t = topic(partitions=2)
    kcat("-P", "-t", t, "-p", 0, stdin=lines(50))
    kcat("-P", "-t", t, "-p", 1, stdin=lines(50))
    group = ["-X", "auto.offset.reset=earliest", "-G", f"{t}-g", "-q"]
    first = kcat(*group, "-c", 100, t)
    assert sorted(first.splitlines()) == sorted(lines(50).splitlines() * 2)
    kcat("-P", "-t", t, "-p", 1, stdin="more\n")
    assert kcat(*group, "-c", 1, t) == "more\n", "the group went on where it stopped"


def test_keys_headers_nulls_and_tombstones(kcat, topic):
    t = topic()
    kcat("-P", "-t", t, "-K", ":", "-Z", "-H", "a=1", "-H", "b=two", stdin="k1:v1\nk2:\n:v3\n")
    out = kcat("-C", "-t", t, "-e", "-q", "-f", "%k|%K|%s|%S|%h|%o\n").splitlines()
    assert out == ["k1|2|v1|2|a=1,b=two|0", "k2|2||-1|a=1,b=two|1", "|-1|v3|2|a=1,b=two|2"]


def test_idempotent_and_pipelined(kcat, topic):
    t = topic()
    kcat("-P", "-t", t, "-X", "enable.idempotence=true", "-X", "batch.num.messages=100", "-X", "linger.ms=0", stdin=lines(20000))
    assert kcat("-C", "-t", t, "-e", "-q") == lines(20000)


def test_unknown_topic_and_partition(kcat, topic):
    t = topic()
    done = kcat("-C", "-t", t, "-p", 7, "-e", "-q", code=1)
    assert done == ""
