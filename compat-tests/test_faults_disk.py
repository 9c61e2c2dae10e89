"""Three nodes, and what befalls the disk of one of them: nothing is lost, nothing wrong is served, and nobody has to help."""
import pytest

from rig import faults
from rig.cluster import Cluster
from rig.load import check, under_load
from rig.wait import until

pytestmark = pytest.mark.disks

# Each disk is full after so much.
MEGABYTES = 160


@pytest.fixture(scope="module")
def shared(request):
    # Small segments: several are there, and the newest is not the only one that can be hurt.
    cluster = Cluster("disks", properties={"log.segment.bytes": 1 << 20, "num.partitions": 1}, disks=1, megabytes=MEGABYTES)
    cluster.start()
    yield cluster
    cluster.end(keep=getattr(request.session, "some_failed", False))


@pytest.fixture
def whole(shared):
    yield shared
    for node in shared.nodes:
        if not node.alive():
            node.start()
    until("every node is in the metadata", lambda: len(shared.metadata().brokers) == 3, 30)


@pytest.fixture
def chance(name):
    return faults.seeded(name)


def repaired(cluster, topic, load, node):
    """All replicas are in sync again, and what the node that was hurt has is what the others have: it leads for once."""
    load.goes_on()
    cluster.until_in_sync(topic, seconds=20)
    acked = load.end()
    check(cluster, topic, acked)
    lead(cluster, topic, node)
    check(cluster, topic, acked)


def lead(cluster, topic, node):
    """Has a node lead a topic's partition: those that do are stopped, one after another."""
    while (leader := cluster.until_led(topic)) is not node:
        leader.stop()
        until("another node leads", lambda: cluster.leader(topic, nodes=[n for n in cluster.nodes if n.alive()]) not in (None, leader), 30)
        leader.start()
        cluster.until_in_sync(topic)


@pytest.mark.parametrize("hurt", ["tail", "indexes", "snapshots"])
def test_a_leader_comes_back_with_a_log_that_was_hurt(whole, name, chance, hurt):
    topic, load = under_load(whole, name)
    node = whole.leader(topic)
    until("there is something to hurt", lambda: len(load.acked) > 300)
    node.kill()
    if hurt == "tail":
        for log in faults.logs_of(node, topic):
            faults.tear(log, chance)
    else:
        faults.remove(node, topic, "*index" if hurt == "indexes" else "*.snapshot")
    node.start()
    repaired(whole, topic, load, node)


def test_a_full_disk_loses_nothing_and_all_go_on_once_there_is_room(whole, name):
    topic, load = under_load(whole, name)
    node = whole.leader(topic)
    [log] = faults.logs_of(node, topic)
    disk = next(d for d in node.disks if d.path in log.parents)
    disk.fill()
    mark = len(load.acked)
    try:
        # So many that they do not fit into what is left of the last block.
        until("the producer goes on", lambda: len(load.acked) > mark + 500, 6)
        print("others take over; ", end="")
    except AssertionError:
        print("nobody takes over from a leader whose disk is full; ", end="")
    disk.empty()
    if not node.alive():
        node.start()
    load.goes_on()
    whole.until_in_sync(topic)
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    check(whole, topic, load.end())
