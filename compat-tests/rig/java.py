"""Kafka's command-line tools without a JVM start each: one JVM runs their `main` methods one after another."""
import base64
import queue
import subprocess
import threading
from collections import namedtuple

from . import places
from .broker import kafka_command
from .process import DIES_WITH_US

MAINS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-streams-application-reset": "org.apache.kafka.tools.StreamsResetter",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
}

Done = namedtuple("Done", "code out err")


class Tools:
    def __init__(self):
        self.process = None

    def _start(self):
        command = places.java_program("Tools", "-Xmx512M")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.answers = queue.Queue(maxsize=16)
        process, answers = self.process, self.answers
        threading.Thread(target=lambda: [answers.put(line) for line in process.stdout], daemon=True).start()

    def run(self, tool, *args, stdin=b"", seconds=60):
        """Runs a tool as a shell would. -> Done(exit code, standard output, standard error)"""
        if self.process is None or self.process.poll() is not None:
            self._start()
        words = [MAINS.get(tool, tool), stdin, *args]
        line = " ".join("=" + base64.b64encode(w if isinstance(w, bytes) else str(w).encode()).decode() for w in words)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        try:
            answer = self.answers.get(timeout=seconds)
        except queue.Empty:
            self.close()  # a tool that hangs takes its JVM with it; the next one gets a new JVM
            raise AssertionError(f"{tool} {' '.join(map(str, args))}: no end within {seconds} s") from None
        code, out, err = answer.split(" ")
        return Done(int(code), *(base64.b64decode(text[1:]).decode(errors="replace") for text in (out, err.strip())))

    def ok(self, tool, *args, **more):
        """Runs a tool that must succeed. -> its standard output"""
        done = self.run(tool, *args, **more)
        assert done.code == 0, f"{tool} {' '.join(map(str, args))} ended with {done.code}:\n{done.out}\n{done.err}"
        return done.out

    def alone(self, tool, *args, seconds=60):
        """Runs a tool that ends what it has begun in a hook of its JVM, and so needs one of its own. -> its standard output"""
        command = [*DIES_WITH_US, *kafka_command("-Xmx256M", MAINS.get(tool, tool), *map(str, args))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, f"{tool} {' '.join(map(str, args))} ended in {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        self.process = None
