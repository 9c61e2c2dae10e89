"""Members of share groups in one JVM (java/ShareClient.java)."""
import queue
import subprocess
import threading
from collections import namedtuple

from . import places

Taken = namedtuple("Taken", "topic partition offset deliveries value")


class ShareClients:
    def __init__(self, broker):
        self.broker = broker
        command = places.java_program("ShareClient", "-Xmx256M")
        self.errors = open(broker.dir / "share-clients.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.answers = queue.Queue(maxsize=16)
        threading.Thread(target=lambda: [self.answers.put(line) for line in self.process.stdout], daemon=True).start()

    def ask(self, *words, seconds=40):
        """-> the words of the answer"""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        answer = self.answers.get(timeout=seconds).split()
        assert answer[0] == "ok", f"{' '.join(map(str, words))}: {' '.join(answer)}"
        return answer[1:]

    def open(self, name, group, topic, **settings):
        pairs = [f"{key.replace('_', '.')}={value}" for key, value in settings.items()]
        self.ask("open", name, self.broker.bootstrap, group, topic, *pairs)

    def take(self, name, count=1, seconds=20):
        """Polls until there are records, or the time is over."""
        words = self.ask("take", name, count, int(seconds * 1000), seconds=seconds + 40)
        split = (word.split(":", 4) for word in words)
        return [Taken(t, int(p), int(o), int(d), v) for t, p, o, d, v in split]

    def take_all(self, name, count, seconds=30):
        """Takes and accepts until there are so many."""
        taken = []
        while len(taken) < count:
            some = self.take(name, 1, seconds)
            assert some, f"only {len(taken)} of {count} records have come"
            taken += some
            self.say(name, "accept")
            self.commit(name)
        return taken

    def say(self, name, kind, records=()):
        self.ask("say", name, kind, *[f"{r.partition}:{r.offset}" for r in records])

    def commit(self, name):
        """-> {partition: error or ok}"""
        return dict(word.rsplit("=", 1) for word in self.ask("commit", name))

    def close(self, name):
        self.ask("close", name)

    def end(self):
        """kill -9: the connections go without a word."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()
