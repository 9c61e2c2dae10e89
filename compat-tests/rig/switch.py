"""A network in user space: hosts in network namespaces of their own, and between them a switch that cuts, loses and delays.

A program: `switch.py SEED HOST …`. It makes a namespace with one tap device for each host and carries Ethernet frames
between them by the rules it is told. What it drops vanishes without a word, as on a broken wire. Nothing is named and
nothing is left behind: namespaces and devices are gone when the switch and the processes in them are.

It first says, in a line of JSON, where the hosts are: {"host": "/proc/…/fd/…"}, to enter by. Then each line that it reads is
a list of rules, [from, to, rule]; a rule is null (all passes), or {"cut": true}, or {"loss": 0.2, "delay": 0.1} of each packet, in
seconds. It answers with what it has carried and dropped so far, and ends with its standard input.

Host number i (from 1 on) is 10.77.0.i with the hardware address 02:00:00:00:00:i, and everybody knows: no host asks for
another, so a cut shows itself in nothing but silence.
"""
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x4000_0000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x4004_54CA, 0x0002, 0x1000
MTU = 9000
# Packets that are on their way to one host; as in every switch, what does not fit is lost.
UNDER_WAY_MAX = 20_000
FRAMES_A_TURN = 64


def address(number):
    return f"10.77.0.{number}"


def hardware(number):
    return f"02:00:00:00:00:{number:02x}"


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


def host(number, count):
    """Makes a host. -> (its device, its namespace)"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no namespace of its own")
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
    ip("link", "set", "lo", "up")
    ip("link", "set", "eth0", "address", hardware(number), "mtu", str(MTU))
    ip("addr", "add", f"{address(number)}/24", "dev", "eth0")
    ip("link", "set", "eth0", "up")
    for other in range(1, count + 1):
        if other != number:
            ip("neigh", "add", address(other), "lladdr", hardware(other), "dev", "eth0", "nud", "permanent")
    return tap, os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Switch:
    def __init__(self, taps, seed):
        self.taps = taps  # by number - 1
        self.rules = {}
        self.random = random.Random(seed)
        self.under_way, self.sent = [], 0
        self.counts = {"carried": 0, "dropped": 0}

    def take(self, source):
        """Takes what a host has to say, but no more than others can wait for."""
        tap = self.taps[source - 1]
        for _ in range(FRAMES_A_TURN):
            try:
                frame = os.read(tap, 65536)
            except BlockingIOError:
                return
            target = frame[5]
            if frame[:5] != b"\x02\0\0\0\0" or not 0 < target <= len(self.taps):
                continue  # for nobody, or for everybody: neighbours look for each other, which nobody needs here
            rule = self.rules.get((source, target))
            if rule is None:
                self.carry(target, frame)
            elif rule.get("cut") or self.random.random() < rule.get("loss", 0) or len(self.under_way) >= UNDER_WAY_MAX:
                self.counts["dropped"] += 1
            elif rule.get("delay"):
                heapq.heappush(self.under_way, (time.monotonic() + rule["delay"], self.sent, target, frame))
                self.sent += 1
            else:
                self.carry(target, frame)

    def carry(self, target, frame):
        try:
            os.write(self.taps[target - 1], frame)
            self.counts["carried"] += 1
        except OSError:
            self.counts["dropped"] += 1  # its host is full

    def deliver(self):
        """Hands over what has arrived. -> seconds until the next does, or None"""
        while self.under_way:
            left = self.under_way[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, target, frame = heapq.heappop(self.under_way)
            self.carry(target, frame)
        return None


def main(seed, names):
    made = [host(number, len(names)) for number in range(1, len(names) + 1)]
    numbers = {name: number for number, name in enumerate(names, 1)}
    switch = Switch([tap for tap, _ in made], seed)
    sources = {tap: number for number, (tap, _) in enumerate(made, 1)}
    polled = select.epoll()
    for tap in sources:
        polled.register(tap, select.EPOLLIN)
    polled.register(0, select.EPOLLIN | select.EPOLLHUP)
    print(json.dumps({name: f"/proc/{os.getpid()}/fd/{made[number - 1][1]}" for name, number in numbers.items()}), flush=True)
    told = b""
    while True:
        left = switch.deliver()
        for fd, _ in polled.poll(left):
            if fd in sources:
                switch.take(sources[fd])
                continue
            read = os.read(0, 65536)
            if not read:
                return
            *lines, told = (told + read).split(b"\n")
            for line in lines:
                for source, target, rule in json.loads(line):
                    switch.rules[numbers[source], numbers[target]] = rule
                print(json.dumps(switch.counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
