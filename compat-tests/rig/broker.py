"""One broker as a process of its own: ottla, or Apache Kafka as the judge of the tests themselves.

Both get the same properties. A broker has a directory of its own under target/compat/run and ports of its own on
loopback, or on a host of a `Network`; its output is kept when a test fails. `kill` is kill -9; `start` after it opens the
same directory again.
"""
import atexit
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import places
from .wait import until

READY = "Transitioning from RECOVERY to RUNNING"
CLUSTER_ID = "b3R0bGEtY29tcGF0LTEyMw"
START_SECONDS = {"ottla": 20, "kafka": 90}

_port_lock = threading.Lock()
_ports_given = set()


def free_port():
    """A loopback port that nobody listens on; never the same twice in one run."""
    low, high = (int(p) for p in os.environ.get("OTTLA_COMPAT_PORTS", "0-0").split("-"))
    with _port_lock:
        for port in range(low, high + 1) if low else [0] * 1000:
            if port in _ports_given:
                continue
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
                port = s.getsockname()[1]
            if port not in _ports_given:
                _ports_given.add(port)
                return port
    raise AssertionError("no free port")


def against():
    return os.environ.get("OTTLA_COMPAT_AGAINST", "ottla")


class Broker:
    def __init__(self, name, properties=None, kind=None, host="127.0.0.1", inside=()):
        self.name, self.kind = name, kind or against()
        self.host, self.inside = host, list(inside)  # `inside`: words before the command, that take it to its host
        self.port, self.controller_port = free_port(), free_port()
        self.dir = places.RUN / f"{name}-{self.kind}-{os.getpid()}"
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        self.data = self.dir / "data"
        self.config = self.dir / "server.properties"
        self.log = self.dir / "broker.log"
        self.properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{host}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{host}:{self.port},CONTROLLER://{host}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{host}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.data,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 100,
            **(properties or {}),
        }
        self.write_config()
        self.process = None
        self.in_cluster = False  # a node that is alone makes up an id of its own
        self.starts = 0
        atexit.register(self.kill)  # a fixture that fails halfway leaves no broker behind

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    def write_config(self):
        self.config.write_text("".join(f"{k}={v}\n" for k, v in self.properties.items() if v is not None))

    def command(self):
        if self.kind == "ottla":
            return [str(places.OTTLA), "start", "--config", str(self.config), *(["--cluster-id", CLUSTER_ID] if self.in_cluster else [])]
        return kafka_command("-Xmx768M", "kafka.Kafka", str(self.config))

    def format(self, release=None):
        """Kafka wants its directory formatted by a tool; ottla formats itself, unless it is to begin as some release."""
        if (self.data / "meta.properties").exists() or (self.kind == "ottla" and release is None):
            return
        args = ["format", "-t", CLUSTER_ID, "-c", str(self.config)] + (["-r", release] if release else [])
        kafkas = ["-Xmx256M", "kafka.tools.StorageTool"]
        command = [str(places.OTTLA), *args] if self.kind == "ottla" else kafka_command(*kafkas, *args)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def launch(self, command=None):
        """Starts the process and does not wait for it to be ready."""
        self.format()
        self.mark = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.inside + (command or self.command()), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            cwd=self.dir, start_new_session=True)
        self.starts += 1

    def start(self, command=None):
        """Starts and waits until the broker says it is ready. -> seconds that took."""
        began = time.monotonic()
        self.launch(command)

        def ready():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.tail()}"
            return READY in self.since_start()

        until(f"{self.name} says it is ready", ready, START_SECONDS[self.kind])
        until(f"{self.name} accepts connections", self.accepts, 10)
        return time.monotonic() - began

    def accepts(self):
        try:
            socket.create_connection((self.host, self.port), 1).close()
            return True
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def since_start(self):
        with open(self.log, "rb") as f:
            f.seek(self.mark)
            return f.read().decode(errors="replace")

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and wait until the process is gone."""
        if self.alive():
            self.process.kill()
        if self.process:
            self.process.wait()

    def stop(self, seconds=60):
        """SIGTERM. -> (exit code, seconds it took)"""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {seconds} s of SIGTERM:\n{self.tail()}") from None
        return code, time.monotonic() - began

    def end(self, keep):
        """Whatever state it is in: gone, and its directory too unless somebody wants to look."""
        self.kill()
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def rss(self):
        """Resident bytes of the process."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def kafka_command(heap, main, *args):
    """Apache Kafka's classes in a JVM that starts as fast as it can."""
    classpath = places.java_classpath()
    assert classpath, places.missing("java")
    return [places.java(), heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.server.BrokerLifecycleManager=info", "-Dorg.slf4j.simpleLogger.log.kafka.server.BrokerLifecycleManager=info",
            "-cp", classpath, main, *args]
