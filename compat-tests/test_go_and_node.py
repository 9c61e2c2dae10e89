"""Clients in Go (franz-go, sarama, kafka-go) and Node (kafkajs): small programs, one process per check."""
import os
import subprocess

import pytest

from rig import places


def passes(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, **more)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.go
@pytest.mark.parametrize("check", ["franz-produce", "franz-group", "franz-admin", "sarama", "kafka-go"])
def test_go(broker, topic, check):
    passes([places.GO_CLIENT, broker.bootstrap, topic(partitions=3), check])


@pytest.mark.node
@pytest.mark.parametrize("check", ["produce", "group", "admin"])
def test_kafkajs(broker, topic, check):
    program = places.PACKAGE / "compat-tests" / "node" / "client.js"
    passes(["node", program, broker.bootstrap, topic(partitions=3), check], env={**os.environ, "NODE_PATH": str(places.NODE_MODULES), "KAFKAJS_NO_PARTITIONER_WARNING": "1"})
