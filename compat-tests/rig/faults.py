"""What may befall a cluster. Each fault leaves it whole again: every node runs and all replicas are in sync.

A fault takes the cluster, a topic whose first partition it aims at, and a generator for what is left to chance. It needs a
cluster on a `network`, or one whose nodes have `disks`, where it says so.
"""
import random
import shutil
import signal
import time

NETWORK, DISK, TWO_DISKS = "network", "disk", "two disks"
FAULTS = {}
# What a cluster goes through in turn where nothing else is said: nothing but processes.
OF_PROCESSES = ["kill-leader", "kill-controller", "kill-all", "pause-leader", "roll"]


def fault(needs=None, by_name_only=False):
    """`by_name_only`: the cluster does not come through it by itself yet (docs/results/cluster.md)."""

    def named(befall):
        befall.needs, befall.by_name_only = needs, by_name_only
        FAULTS[befall.__name__.replace("_", "-")] = befall
        return befall

    return named


def possible(cluster):
    """The names of the faults that can befall this cluster, and that it ought to come through."""
    disks = min((len(node.disks) for node in cluster.nodes), default=0)
    has = {None: True, NETWORK: cluster.network is not None, DISK: disks > 0, TWO_DISKS: disks > 1}
    return [name for name, befall in FAULTS.items() if has[befall.needs] and not befall.by_name_only]


def last(seconds):
    time.sleep(seconds)  # the fault itself


# --- processes


@fault()
def kill_leader(cluster, topic, _random):
    """kill -9 of the node that leads a partition."""
    node = cluster.until_led(topic)
    node.kill()
    node.start()


@fault()
def kill_controller(cluster, _topic, _random):
    """kill -9 of the node whose controller is active."""
    node = cluster.active_controller()
    node.kill()
    node.start()


@fault()
def kill_all(cluster, _topic, _random):
    """kill -9 of all nodes at once."""
    cluster.kill()
    cluster.start()


@fault()
def pause_leader(cluster, topic, _random):
    """SIGSTOP of a leader for longer than anybody believes in it."""
    node = cluster.until_led(topic)
    node.signal(signal.SIGSTOP)
    last(6)
    node.signal(signal.SIGCONT)


@fault()
def roll(cluster, topic, _random):
    """SIGTERM of one node after the other, each started again and back in sync before the next."""
    for node in cluster.nodes:
        node.stop()
        node.start()
        cluster.until_in_sync(topic)


# --- the network


@fault(NETWORK)
def cut_leader(cluster, topic, random_):
    """The leader is cut off from the other nodes, not from its clients."""
    _parted(cluster, random_, lambda: cluster.network.cut(cluster.number(cluster.until_led(topic))))


@fault(NETWORK)
def cut_leader_off(cluster, topic, random_):
    """The leader is cut off from everybody."""
    _parted(cluster, random_, lambda: cluster.network.cut(cluster.number(cluster.until_led(topic)), clients=True))


@fault(NETWORK)
def cut_controller(cluster, _topic, random_):
    """The active controller is cut off from the other nodes."""
    _parted(cluster, random_, lambda: cluster.network.cut(cluster.number(cluster.active_controller())))


@fault(NETWORK)
def mute_leader(cluster, topic, random_):
    """What the leader says does not reach the other nodes; it hears them."""
    _parted(cluster, random_, lambda: cluster.network.mute(cluster.number(cluster.until_led(topic))))


@fault(NETWORK)
def deafen_leader(cluster, topic, random_):
    """The leader does not hear the other nodes; they hear it."""
    _parted(cluster, random_, lambda: cluster.network.deafen(cluster.number(cluster.until_led(topic))))


@fault(NETWORK)
def part_two(cluster, _topic, random_):
    """Two nodes do not reach each other, and the third one reaches both."""
    one, other = random_.sample(range(1, len(cluster.nodes) + 1), 2)
    _parted(cluster, random_, lambda: cluster.network.between([one], [other], {"cut": True}))


@fault(NETWORK)
def worse_wires(cluster, _topic, random_):
    """Between nodes a fifth of all packets is lost, and each takes 100 ms."""
    _parted(cluster, random_, lambda: cluster.network.worsen(loss=0.2, delay=0.1), longest=12)


@fault(NETWORK)
def worse_wires_to_clients(cluster, _topic, random_):
    """Between all hosts some packets are lost, and each takes 20 ms."""
    _parted(cluster, random_, lambda: cluster.network.worsen(loss=0.05, delay=0.02, clients=True), longest=12)


def _parted(cluster, random_, part, longest=8):
    part()
    try:
        last(random_.uniform(4, longest))
    finally:
        cluster.network.heal()


# --- what is on the disk of one node


def logs_of(node, topic):
    """The directories of a topic's partitions on a node."""
    dirs = [disk.path for disk in node.disks] or [node.data]
    return sorted(path for d in dirs for path in d.glob(f"{topic}-*") if path.is_dir())


def while_killed(node, hurt):
    node.kill()
    hurt()
    node.start()


def a_follower(cluster, topic, random_):
    return random_.choice(cluster.others(cluster.until_led(topic)))


@fault(by_name_only=True)
def wipe(cluster, topic, random_):
    """A node that does not lead comes back without its data directories."""
    node = a_follower(cluster, topic, random_)
    while_killed(node, lambda: wipe_directories(node))


def wipe_directories(node):
    for directory in [disk.path for disk in node.disks] or [node.data]:
        shutil.rmtree(directory)
        directory.mkdir()


@fault()
def tear_tail(cluster, topic, random_):
    """The leader is killed, and the last bytes of its logs are gone or are rubbish."""
    node = cluster.until_led(topic)
    while_killed(node, lambda: [tear(log, random_) for log in logs_of(node, topic)])


def tear(log, random_, most=200):
    """Takes the last bytes of a log away, or puts rubbish behind them."""
    segment = max(log.glob("*.log"))
    size = segment.stat().st_size
    with open(segment, "r+b") as f:
        if random_.random() < 0.5:
            f.truncate(max(0, size - random_.randrange(1, most)))
        else:
            f.seek(size)
            f.write(random_.randbytes(random_.randrange(1, most)))


@fault(by_name_only=True)
def flip_byte(cluster, topic, random_):
    """A node that does not lead is killed, and a byte of one of its logs is not what it was."""
    node = a_follower(cluster, topic, random_)
    while_killed(node, lambda: flip(random_.choice(logs_of(node, topic)), random_))


def flip(log, random_, newest=False):
    """Changes a byte in the middle of a segment. -> where"""
    segment = (max if newest else random_.choice)([f for f in sorted(log.glob("*.log")) if f.stat().st_size > 200])
    with open(segment, "r+b") as f:
        at = segment.stat().st_size * random_.randrange(30, 70) // 100
        f.seek(at)
        old = f.read(1)[0]
        f.seek(at)
        f.write(bytes([old ^ 0x20]))
    return segment, at


@fault()
def lose_indexes(cluster, topic, random_):
    """A leader is killed, and its logs' indexes are gone."""
    node = cluster.until_led(topic)
    while_killed(node, lambda: remove(node, topic, "*index"))


@fault()
def lose_snapshots(cluster, topic, random_):
    """A leader is killed, and what it had written down of producers is gone."""
    node = cluster.until_led(topic)
    while_killed(node, lambda: remove(node, topic, "*.snapshot"))


def remove(node, topic, pattern):
    found = [file for log in logs_of(node, topic) for file in log.glob(pattern)]
    for file in found:
        file.unlink()
    return found


# --- the disks themselves


@fault(DISK)
def fill_disk(cluster, topic, random_):
    """The leader's disk is full for some seconds."""
    node = cluster.until_led(topic)
    node.disks[-1].fill(leave=random_.choice([0, 200_000]))
    last(random_.uniform(3, 6))
    node.disks[-1].empty()
    if not node.alive():
        node.start()


@fault(TWO_DISKS, by_name_only=True)
def fail_disk(cluster, topic, random_):
    """One of a node's disks fails while it runs; the other one goes on. Then the node gets the disk back."""
    node = cluster.until_led(topic)
    node.disks[-1].shut_down()
    last(random_.uniform(3, 6))
    node.kill()
    node.disks[-1].come_back()
    node.start()


# --- power


def lose_power(nodes):
    """All at once: what is not on the disk never will be, and nobody is told."""
    for node in nodes:
        for disk in node.disks:
            disk.shut_down()
    for node in nodes:
        if node.alive():
            node.process.kill()
    for node in nodes:
        node.kill()
        for disk in node.disks:
            disk.come_back()


@fault(DISK)
def power_of_one(cluster, topic, _random):
    """A leader loses its power, and all that it had not synced."""
    node = cluster.until_led(topic)
    lose_power([node])
    node.start()


@fault(DISK)
def power_of_all(cluster, _topic, _random):
    """All nodes lose their power at once, and all that they had not synced."""
    lose_power(cluster.nodes)
    cluster.start()


def seeded(seed):
    return random.Random(seed)
