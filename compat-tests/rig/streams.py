"""Instances of a Kafka Streams application (java/StreamsApp.java), each a JVM of its own that can be killed."""
import subprocess

from . import places
from .process import DIES_WITH_US
from .wait import until

EXACTLY_ONCE = "exactly_once_v2"


class StreamsApp:
    """One instance: `app = StreamsApp(broker, "app", ["in"], "out").start()`. What it says goes to a file of its own."""

    def __init__(self, broker, application, inputs, output, topology="wordcount", guarantee=EXACTLY_ONCE, protocol="classic", instance=1, standby=0, settings=None):
        self.name = f"{application}-{instance}"
        self.out = broker.dir / f"{self.name}.streams.log"
        options = {"application-id": application, "bootstrap": broker.bootstrap, "input": ",".join(inputs), "output": output, "topology": topology,
                   "guarantee": guarantee, "group-protocol": protocol, "standby": standby, "state-dir": broker.dir / f"{self.name}.state"}
        self.command = [*DIES_WITH_US, *places.java_program("StreamsApp", "-Xmx256M", "-Dorg.slf4j.simpleLogger.showDateTime=true")]
        for key, value in options.items():
            self.command += [f"--{key}", str(value)]
        for key, value in (settings or {}).items():
            self.command += ["--set", f"{key}={value}"]
        self.process, self.mark = None, 0

    def start(self):
        """Starts, and does not wait until it runs."""
        self.mark = self.out.stat().st_size if self.out.exists() else 0
        with open(self.out, "ab") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=out, stderr=out)
        return self

    def said(self):
        """What it has said since it was started last."""
        if not self.out.exists():
            return ""
        with open(self.out, "rb") as f:
            f.seek(self.mark)
            return f.read().decode(errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def state(self):
        """The state that it was in last, or None."""
        states = [line.split()[2] for line in self.said().splitlines() if line.startswith("state ")]
        return states[-1] if states else None

    def until_running(self, seconds=60):
        def running():
            assert self.alive(), f"{self.name} ended with {self.process.returncode}:\n{self.said()[-4000:]}"
            return self.state() == "RUNNING"

        until(f"{self.name} runs", running, seconds)
        return self

    def kill(self):
        """kill -9."""
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdin.close()

    def stop(self, seconds=60):
        """In order. -> what it said"""
        self.process.terminate()
        self.process.wait(seconds)
        self.process.stdin.close()
        return self.said()
