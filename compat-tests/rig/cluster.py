"""Several nodes as processes of their own. Speaks like one `Broker` where tests need no more; faults.py has what befalls them."""
import shutil
import signal
import time

from .broker import READY, START_SECONDS, Broker
from .disk import Disk
from .wait import until


class Cluster:
    """Nodes 1, 2, 3 …, brokers all, the first `controllers` of them controllers as well.

    On loopback and in plain directories, unless there is a `network` whose hosts they are to be, and unless each is to have
    `disks` of its own: the metadata is on the first, the partitions are on all of them.
    """

    def __init__(self, name, nodes=3, properties=None, kind=None, controllers=3, network=None, disks=0, megabytes=1024):
        self.name, self.network = name, network
        self.admins = {}
        self.nodes = []
        for i in range(1, nodes + 1):
            place = {"host": network.address(i), "inside": network.inside(i)} if network else {}
            self.nodes.append(Broker(f"{name}-{i}", {"node.id": i}, kind, **place))
        self.kind, self.dir = self.nodes[0].kind, self.nodes[0].dir
        replicas, in_sync = min(3, nodes), 2 if nodes >= 3 else 1
        voters = ",".join(f"{i}@{n.host}:{n.controller_port}" for i, n in enumerate(self.nodes[:controllers], 1))
        for i, node in enumerate(self.nodes, 1):
            node.in_cluster = True
            node.disks = [Disk(node.dir / f"disk-{n}", megabytes) for n in range(1, disks + 1)]
            if disks:
                node.data = node.disks[0].path
                node.properties["log.dirs"] = ",".join(str(disk.path) for disk in node.disks)
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
                node.properties |= {"process.roles": "broker", "listeners": f"PLAINTEXT://{node.host}:{node.port}"}
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

    def number(self, node):
        """The id of a node."""
        return self.nodes.index(node) + 1

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def metadata(self, topic=None, nodes=None):
        """What some nodes (all, if none are named) say of the cluster."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        bootstrap = ",".join(node.bootstrap for node in nodes) if nodes else self.bootstrap

        def ask():
            # One client for all such questions: making and ending one for each brings librdkafka down sooner or later.
            if bootstrap not in self.admins:
                self.admins[bootstrap] = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 3000, "reconnect.backoff.max.ms": 200, "log_level": 0})
            try:
                return self.admins[bootstrap].list_topics(topic, 5)
            except KafkaException:
                return None  # it asked a node that went away, or that hears nobody

        return until("somebody knows the cluster", ask, 30)

    def leader(self, topic, partition=0, nodes=None):
        """The node that leads a partition, as some nodes say now; None while nobody does."""
        found = self.metadata(topic, nodes).topics[topic].partitions.get(partition)
        return self.node(found.leader) if found and found.leader > 0 else None

    def until_led(self, topic, partition=0, seconds=30):
        return until("somebody leads", lambda: self.leader(topic, partition), seconds)

    def quorum(self):
        """The metadata quorum's only partition, as DescribeQuorum has it."""
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))
        try:
            [topic] = admin.describe_metadata_quorum()["topics"]
            return topic["partitions"][0]
        finally:
            admin.close()

    def active_controller(self):
        """The node whose controller is active."""
        return self.node(self.quorum()["leader_id"])

    def in_sync(self, topic, count=None, nodes=None):
        """Are so many replicas of every partition in sync, or all, as some nodes say?"""
        found = self.metadata(topic, nodes).topics[topic].partitions.values()
        return all(len(p.isrs) == (count or len(p.replicas)) for p in found)

    def until_in_sync(self, *topics, seconds=60):
        """Until every node says so: one that was cut off may say what was."""
        until("all replicas are in sync", lambda: all(self.in_sync(topic, nodes=[node]) for topic in topics for node in self.nodes), seconds)

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
        for node in self.nodes:
            if not keep:
                for disk in node.disks:
                    disk.end()
                shutil.rmtree(node.dir, ignore_errors=True)
