"""Hosts in network namespaces of their own, and what befalls the wires between them (switch.py carries the packets).

Each node is a host; all clients together are one more, and whoever wants to be a client enters it: `with network.clients():`.
Threads and processes that are made there stay there.
"""
import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import subprocess
import sys

from .switch import CLONE_NEWNET, address

CLIENTS = "clients"


class Network:
    def __init__(self, nodes=3, seed=0):
        self.hosts = [*range(1, nodes + 1), CLIENTS]
        program = pathlib.Path(__file__).with_name("switch.py")
        self.switch = subprocess.Popen([sys.executable, program, str(seed), *map(str, self.hosts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.end)
        first = self.switch.stdout.readline()
        assert first, "the switch could not be made"
        self.namespaces = json.loads(first)

    def address(self, host):
        return address(self.hosts.index(host) + 1)

    def inside(self, host):
        """The words before a command that is to run on a host."""
        return ["nsenter", f"--net={self.namespaces[str(host)]}", "--"]

    @contextlib.contextmanager
    def clients(self):
        """Makes this thread a client, and all that it starts meanwhile."""
        with open(f"/proc/thread-self/ns/net") as home:
            with open(self.namespaces[CLIENTS]) as there:
                _enter(there)
            try:
                yield
            finally:
                _enter(home)

    def tell(self, rules):
        """-> packets that were carried and dropped so far"""
        self.switch.stdin.write(json.dumps([[str(a), str(b), rule] for a, b, rule in rules]) + "\n")
        self.switch.stdin.flush()
        return json.loads(self.switch.stdout.readline())

    def between(self, ones, others, rule, back=True):
        """A rule for the way from some hosts to others, and `back` as well."""
        pairs = [(a, b) for a in ones for b in others if a != b]
        self.tell([(a, b, rule) for a, b in pairs] + ([(b, a, rule) for a, b in pairs] if back else []))

    def others(self, host, clients=False):
        """All nodes but one, and the clients perhaps."""
        return [h for h in self.hosts if h != host and (clients or h != CLIENTS)]

    def cut(self, host, clients=False):
        """Nothing passes between a node and the other nodes; `clients`: nor the clients."""
        self.between([host], self.others(host, clients), {"cut": True})

    def deafen(self, host, clients=False):
        """Nothing comes to a node from the others; they hear it."""
        self.between(self.others(host, clients), [host], {"cut": True}, back=False)

    def mute(self, host, clients=False):
        """Nothing comes from a node to the others; it hears them."""
        self.between([host], self.others(host, clients), {"cut": True}, back=False)

    def worsen(self, loss=0.0, delay=0.0, clients=False):
        """Every wire loses packets, or takes time for them."""
        hosts = self.hosts if clients else self.hosts[:-1]
        self.between(hosts, hosts, {"loss": loss, "delay": delay}, back=False)

    def heal(self):
        """Everything passes again."""
        self.between(self.hosts, self.hosts, None, back=False)

    def end(self):
        if self.switch.poll() is None:
            self.switch.stdin.close()
            self.switch.wait()
            self.switch.stdout.close()


def _enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
