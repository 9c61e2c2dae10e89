"""Several nodes as processes of their own, and what can befall them. Speaks like one `Broker` where tests need no more."""
import shutil
import signal
import time

from . import places
from .broker import READY, START_SECONDS, Broker
from .wait import until


class Cluster:
    """Nodes 1, 2, 3 …, brokers all, the first `controllers` of them controllers as well."""

    def __init__(self, name, nodes=3, properties=None, kind=None, controllers=3):
        self.name = name
        self.nodes = [Broker(f"{name}-{i}", {"node.id": i}, kind) for i in range(1, nodes + 1)]
        self.kind, self.dir = self.nodes[0].kind, self.nodes[0].dir
        replicas, in_sync = min(3, nodes), 2 if nodes >= 3 else 1
        voters = ",".join(f"{i}@127.0.0.1:{n.controller_port}" for i, n in enumerate(self.nodes[:controllers], 1))
        for i, node in enumerate(self.nodes, 1):
            node.in_cluster = True
            node.properties |= {
                "controller.quorum.voters": voters,
                "default.replication.factor": replicas,
                "min.insync.replicas": in_sync,
                "offsets.topic.replication.factor": replicas,
                "transaction.state.log.replication.factor": replicas,
                "transaction.state.log.min.isr": in_sync,
                "share.coordinator.state.topic.replication.factor": replicas,
                "share.coordinator.state.topic.min.isr": in_sync,
            }
            if i > controllers:
                node.properties |= {"process.roles": "broker", "listeners": f"PLAINTEXT://127.0.0.1:{node.port}"}
            node.properties |= properties or {}
            node.write_config()

    @property
    def bootstrap(self):
        return ",".join(node.bootstrap for node in self.nodes)

    def start(self):
        """Starts the nodes that are not running and waits until all say they are ready. -> seconds that took"""
        began = time.monotonic()
        started = [node for node in self.nodes if not node.alive()]
        for node in started:
            node.launch()

        def ready(node):
            assert node.alive(), f"{node.name} ended with {node.process.returncode}:\n{node.tail()}"
            return READY in node.since_start()

        for node in started:
            until(f"{node.name} says it is ready", lambda node=node: ready(node), START_SECONDS[self.kind])
        return time.monotonic() - began

    def node(self, node_id):
        return self.nodes[node_id - 1]

    def leader(self, topic, partition=0):
        """The node that leads a partition, as the cluster says now; None while nobody does."""
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        found = admin.list_topics(topic, 10).topics[topic].partitions.get(partition)
        return self.node(found.leader) if found and found.leader > 0 else None

    def active_controller(self):
        """The node whose controller is active."""
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))
        try:
            [topic] = admin.describe_metadata_quorum()["topics"]
            return self.node(topic["partitions"][0]["leader_id"])
        finally:
            admin.close()

    def kill(self):
        """kill -9 of all at once."""
        for node in self.nodes:
            if node.alive():
                node.process.kill()
        for node in self.nodes:
            node.kill()

    def stop(self, seconds=60):
        """SIGTERM to all at once. -> (the worst exit code, seconds it took)"""
        began = time.monotonic()
        for node in self.nodes:
            node.signal(signal.SIGTERM)
        codes = [node.process.wait(seconds) for node in self.nodes]
        return max(codes, key=abs), time.monotonic() - began

    def end(self, keep):
        self.kill()
        if not keep:
            for node in self.nodes:
                shutil.rmtree(node.dir, ignore_errors=True)


# What may befall a cluster. Each leaves it whole again, and says how long that took.


def kill_leader(cluster, topic):
    """kill -9 of the node that leads a partition."""
    node = until("somebody leads", lambda: cluster.leader(topic), 30)
    node.kill()
    return node.start()


def kill_controller(cluster, _topic):
    """kill -9 of the node whose controller is active."""
    node = cluster.active_controller()
    node.kill()
    return node.start()


def kill_all(cluster, _topic):
    """kill -9 of all nodes at once."""
    cluster.kill()
    return cluster.start()


def pause_leader(cluster, topic, seconds=6):
    """SIGSTOP of a leader for longer than anybody believes in it."""
    node = until("somebody leads", lambda: cluster.leader(topic), 30)
    node.signal(signal.SIGSTOP)
    time.sleep(seconds)  # the fault itself
    node.signal(signal.SIGCONT)
    return seconds


def roll(cluster, _topic):
    """SIGTERM of one node after the other, each started again before the next."""
    began = time.monotonic()
    for node in cluster.nodes:
        node.stop()
        node.start()
    return time.monotonic() - began


FAULTS = {f.__name__.replace("_", "-"): f for f in (kill_leader, kill_controller, kill_all, pause_leader, roll)}
