"""Kafka's admin tools against three nodes whose voters are in the log, as operators call them; all share one cluster."""
import json
import re
import shutil
import subprocess
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from rig.broker import CLUSTER_ID, against
from rig.cluster import Cluster
from rig.wait import until

pytestmark = [pytest.mark.java, pytest.mark.skipif(against() != "ottla", reason="the nodes are formatted by ottla's own command")]


@pytest.fixture(scope="module")
def shared():
    """Node 1 is the first controller; 2 and 3 join by themselves (KIP-1186)."""
    cluster = Cluster("tools")
    servers = ",".join(f"127.0.0.1:{node.controller_port}" for node in cluster.nodes)
    for node in cluster.nodes:
        del node.properties["controller.quorum.voters"]
        node.properties |= {"controller.quorum.bootstrap.servers": servers, "controller.quorum.auto.join.enable": "true"}
        node.write_config()
    first = cluster.nodes[0]
    binary = first.command()[0]
    subprocess.run([binary, "format", "--standalone", "-t", CLUSTER_ID, "-c", str(first.config)], check=True, capture_output=True)
    cluster.start()
    yield cluster
    cluster.end(keep=False)


@pytest.fixture
def at(shared):
    return "--bootstrap-server", shared.bootstrap


def partition(cluster, topic, index=0):
    metadata = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0}).list_topics(topic, 10)
    return metadata.topics[topic].partitions[index]


def fill(cluster, topic, megabytes):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 20, "batch.size": 200_000, "compression.type": "none", "log_level": 0})
    for _ in range(megabytes * 10):
        producer.produce(topic, bytes(100_000), partition=0)
        producer.poll(0)
    assert producer.flush(30) == 0


def made(cluster, name, assignment, **config):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    from confluent_kafka.admin import NewTopic

    admin.create_topics([NewTopic(name, len(assignment), replica_assignment=assignment, config=config)])[name].result(20)
    until("somebody leads", lambda: partition(cluster, name).leader > 0, 20)
    return name


def quorum(tools, at):
    out = tools.ok("kafka-metadata-quorum", *at, "describe", "--status")
    return dict(re.findall(r"^(\w+):\s+(.*)$", out, re.M))


def voters(tools, at):
    found = quorum(tools, at)["CurrentVoters"]
    return sorted(int(n) for n in re.findall(r'"id": (\d+)', found))


def test_quorum(shared, tools, at):
    until("all controllers have joined", lambda: voters(tools, at) == [1, 2, 3], 30)
    status = quorum(tools, at)
    assert status["ClusterId"] == CLUSTER_ID and status["LeaderId"] == "1" and int(status["HighWatermark"]) > 0
    assert status["CurrentObservers"] == "[]" and int(status["MaxFollowerLag"]) >= 0
    lines = tools.ok("kafka-metadata-quorum", *at, "describe", "--replication").splitlines()
    assert lines[0].split() == ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"]
    rows = [line.split() for line in lines[1:] if line.strip()]
    assert sorted(row[-1] for row in rows) == ["Follower", "Follower", "Leader"] and {row[0] for row in rows} == {"1", "2", "3"}
    assert all(re.fullmatch(r"\S{22}", row[1]) for row in rows)


def test_a_controller_is_removed_and_added(shared, tools, at):
    until("all controllers have joined", lambda: voters(tools, at) == [1, 2, 3], 30)
    node = shared.nodes[2]
    found = quorum(tools, at)["CurrentVoters"]
    directory = re.search(r'"id": 3, "directoryId": "?([\w-]{22})', found)[1]
    # Who joins by itself has to be kept from it first.
    node.stop()
    node.properties["controller.quorum.auto.join.enable"] = "false"
    node.write_config()
    node.start()
    out = tools.ok("kafka-metadata-quorum", *at, "remove-controller", "--controller-id", "3", "--controller-directory-id", directory)
    assert re.search(rf"Removed +KRaft controller 3 with directory id {directory}", out), out
    assert voters(tools, at) == [1, 2]
    again = tools.run("kafka-metadata-quorum", *at, "remove-controller", "--controller-id", "3", "--controller-directory-id", directory)
    assert again.code == 1 and "VoterNotFoundException" in again.out + again.err
    config = node.dir / "add.properties"
    config.write_text(node.config.read_text())
    out = tools.ok("kafka-metadata-quorum", *at, "--command-config", str(config), "add-controller")
    assert re.search(rf"Added controller 3 with directory id {directory} and endpoints: CONTROLLER://127.0.0.1:{node.controller_port}", out), out
    assert voters(tools, at) == [1, 2, 3]
    again = tools.run("kafka-metadata-quorum", *at, "--command-config", str(config), "add-controller")
    assert again.code == 1 and "DuplicateVoterException" in again.out + again.err


def test_a_controller_comes_back_without_its_disk(shared, tools, at):
    """Under its id a voter is known with the directory that is lost: that one is taken out, and it joins anew."""
    until("all controllers have joined", lambda: voters(tools, at) == [1, 2, 3], 30)
    directory = lambda: re.search(r'"id": 3, "directoryId": "?([\w-]{22})', quorum(tools, at)["CurrentVoters"])[1]
    node, lost = shared.nodes[2], directory()
    node.kill()
    node.properties["controller.quorum.auto.join.enable"] = "true"
    node.write_config()
    shutil.rmtree(node.data)
    node.start()
    until("it has joined with its new directory", lambda: voters(tools, at) == [1, 2, 3] and directory() != lost, 30)


def test_reassignment(shared, tools, at, name, tmp_path):
    made(shared, name, [[1, 2], [2, 3]])
    fill(shared, name, 3)
    topics, plan = tmp_path / "topics.json", tmp_path / "plan.json"
    topics.write_text(json.dumps({"version": 1, "topics": [{"topic": name}]}))
    out = tools.ok("kafka-reassign-partitions", *at, "--generate", "--topics-to-move-json-file", str(topics), "--broker-list", "1,2,3")
    current, proposed = (json.loads(line) for line in out.splitlines() if line.startswith("{"))
    assert [p["replicas"] for p in sorted(current["partitions"], key=lambda p: p["partition"])] == [[1, 2], [2, 3]]
    assert len(proposed["partitions"]) == 2 and all(len(p["replicas"]) == 2 for p in proposed["partitions"])

    def write(replicas):
        plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": name, "partition": 0, "replicas": replicas}]}))
        return "--reassignment-json-file", str(plan)

    # Three megabytes at one a second, and the first of them at once.
    began = time.monotonic()
    out = tools.ok("kafka-reassign-partitions", *at, "--execute", "--throttle", "1000000", *write([3, 2]))
    assert f"Successfully started partition reassignment for {name}-0" in out and "The inter-broker throttle limit was set to 1000000 B/s" in out
    out = tools.ok("kafka-reassign-partitions", *at, "--verify", "--preserve-throttles", *write([3, 2]))
    assert f"Reassignment of partition {name}-0 is still in progress." in out
    listed = tools.ok("kafka-reassign-partitions", *at, "--list")
    assert re.search(rf"{name}-0: replicas: 3,2,1. adding: 3. removing: 1.", listed), listed
    described = tools.ok("kafka-configs", *at, "--describe", "--entity-type", "topics", "--entity-name", name)
    assert re.search(r"leader.replication.throttled.replicas=0:1,0:2", described) and "follower.replication.throttled.replicas=0:3" in described

    def done():
        return "is completed" in tools.ok("kafka-reassign-partitions", *at, "--verify", "--preserve-throttles", *write([3, 2]))

    until("it is moved", done, 30)
    assert time.monotonic() - began > 1.5, "the throttle holds nothing back"
    out = tools.ok("kafka-reassign-partitions", *at, "--verify", *write([3, 2]))
    assert f"Reassignment of partition {name}-0 is completed." in out
    assert "Clearing broker-level throttles on brokers 1,2,3" in out and f"Clearing topic-level throttles on topic {name}" in out
    described = tools.ok("kafka-configs", *at, "--describe", "--entity-type", "topics", "--entity-name", name)
    assert "throttled" not in described
    assert sorted(partition(shared, name).replicas) == [2, 3]

    # One that is given up goes back.
    tools.ok("kafka-reassign-partitions", *at, "--execute", "--throttle", "1", *write([1, 2]))
    out = tools.ok("kafka-reassign-partitions", *at, "--cancel", *write([1, 2]))
    assert f"Successfully cancelled partition reassignment for: {name}-0" in out, out
    assert sorted(partition(shared, name).replicas) == [2, 3]
    assert "No partition reassignments found." in tools.ok("kafka-reassign-partitions", *at, "--list")


def test_leader_election(shared, tools, at, name, tmp_path):
    made(shared, name, [[3, 1]], **{"unclean.leader.election.enable": "false"})
    paths = tmp_path / "election.json"
    paths.write_text(json.dumps({"partitions": [{"topic": name, "partition": 0}]}))
    needless = tools.ok("kafka-leader-election", *at, "--election-type", "preferred", "--path-to-json-file", str(paths))
    assert f"Valid replica already elected for partitions {name}-0" in needless, needless
    shared.nodes[2].stop()
    until("another leads", lambda: partition(shared, name).leader == 1, 20)
    shared.nodes[2].start()
    until("it is in sync again", lambda: sorted(partition(shared, name).isrs) == [1, 3], 30)
    out = tools.ok("kafka-leader-election", *at, "--election-type", "preferred", "--topic", name, "--partition", "0")
    assert f"Successfully completed leader election (PREFERRED) for partitions {name}-0" in out, out
    until("the preferred replica leads", lambda: partition(shared, name).leader == 3, 20)
    # Whoever is in sync is lost, and an unclean election takes what there is.
    alone = made(shared, name + "-u", [[2]])
    shared.nodes[1].stop()
    until("nobody leads", lambda: partition(shared, alone).leader == -1, 20)
    refused = tools.run("kafka-leader-election", *at, "--election-type", "unclean", "--topic", alone, "--partition", "0")
    assert refused.code == 1 and "EligibleLeadersNotAvailableException" in refused.out + refused.err
    shared.nodes[1].start()
    until("it leads again", lambda: partition(shared, alone).leader == 2, 20)


def test_topics_and_configs(shared, tools, at, name):
    tools.ok("kafka-topics", *at, "--create", "--topic", name, "--replica-assignment", "1:2:3,2:3:1")
    out = tools.ok("kafka-topics", *at, "--describe", "--topic", name)
    assert re.search(rf"Topic: {name}\s+TopicId: \S{{22}}\s+PartitionCount: 2\s+ReplicationFactor: 3", out), out
    assert re.search(r"Partition: 1\s+Leader: 2\s+Replicas: 2,3,1\s+Isr: 2,3,1", out), out
    tools.ok("kafka-configs", *at, "--alter", "--entity-type", "brokers", "--entity-name", "2", "--add-config", "leader.replication.throttled.rate=12345")
    out = tools.ok("kafka-configs", *at, "--describe", "--entity-type", "brokers", "--entity-name", "2")
    assert "leader.replication.throttled.rate=12345" in out
    tools.ok("kafka-configs", *at, "--alter", "--entity-type", "brokers", "--entity-name", "2", "--delete-config", "leader.replication.throttled.rate")
    assert "12345" not in tools.ok("kafka-configs", *at, "--describe", "--entity-type", "brokers", "--entity-name", "2")


def test_features_and_cluster(shared, tools, at):
    out = tools.ok("kafka-features", *at, "describe")
    assert re.search(r"Feature: metadata.version\s+SupportedMinVersion: 3.3-IV3\s+SupportedMaxVersion: .+\s+FinalizedVersionLevel: .+\s+Epoch: \d+", out), out
    assert f"Cluster ID: {CLUSTER_ID}" in tools.ok("kafka-cluster", "cluster-id", *at)
    out = tools.ok("kafka-cluster", "list-endpoints", *at)
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert rows[0][:4] == ["ID", "HOST", "PORT", "RACK"] and sorted(row[0] for row in rows[1:]) == ["1", "2", "3"], out
    unknown = tools.run("kafka-cluster", "unregister", *at, "--id", "99")
    assert unknown.code == 1 or "is not" in unknown.out + unknown.err, unknown


def test_a_broker_is_unregistered(shared, tools, at):
    """The last one: the node does not come back."""
    shared.nodes[2].stop()
    out = tools.ok("kafka-cluster", "unregister", *at, "--id", "3")
    assert "Broker 3 is no longer registered." in out, out
    out = tools.ok("kafka-cluster", "list-endpoints", *at, "--include-fenced-brokers")
    assert {line.split()[0] for line in out.splitlines()[1:] if line.strip()} == {"1", "2"}, out
