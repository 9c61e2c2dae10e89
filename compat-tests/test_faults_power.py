"""Three nodes on disks of their own that lose power with everything that was not synced: what was acknowledged is there."""
import time

import pytest

from rig import faults
from rig.cluster import Cluster
from rig.load import check, under_load
from rig.wait import until

pytestmark = pytest.mark.disks


@pytest.fixture(scope="module")
def shared(request):
    cluster = Cluster("power", disks=1, megabytes=256)
    cluster.start()
    yield cluster
    cluster.end(keep=getattr(request.session, "some_failed", False))


def test_one_node_loses_power(shared, name):
    topic, load = under_load(shared, name)
    faults.power_of_one(shared, topic, None)
    load.goes_on(60)
    shared.until_in_sync(topic)
    print(f"longest time without an acknowledgement: {load.gap:.2f} s")
    check(shared, topic, load.end())


@pytest.mark.ottla_only("it acknowledges what no disk has yet")
def test_all_nodes_lose_power_at_once(shared, name):
    topic, load = under_load(shared, name)
    for _ in range(2):
        until("there is something to lose", lambda: len(load.acked) > 300)
        faults.lose_power(shared.nodes)
        began, mark = time.monotonic(), len(load.acked)
        shared.start()
        until("the first acknowledgement", lambda: len(load.acked) > mark, 60)
        print(f"first acknowledgement {time.monotonic() - began:.2f} s after the power was back; ", end="")
        load.goes_on(60)
    shared.until_in_sync(topic)
    check(shared, topic, load.end())
