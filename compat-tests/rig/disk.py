"""A node's own disk: an ext4 file system on a loop device over a file that grows as it is filled.

What it can do that a directory cannot: be full, fail, and lose power with all that was not synced.
"""
import atexit
import fcntl
import os
import struct
import subprocess

from .wait import until

EXT4_IOC_SHUTDOWN = 0x8004587D
# Not even the journal is written out: what is not on the disk at this moment never will be.
NOLOGFLUSH = 2


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"


class Disk:
    def __init__(self, where, megabytes=1024):
        self.image, self.root = where.with_suffix(".img"), where
        self.path = where / "data"  # the root holds lost+found, which is nobody's
        self.mounted = False
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        # Without blocks that only root may fill: nodes are root here.
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.image)
        where.mkdir(parents=True)
        atexit.register(self.end)
        self.mount()
        self.path.mkdir()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.root)
        self.mounted = True

    def unmount(self):
        """Once nobody uses it any more: a process that was killed lets go of its files a moment later."""

        def done():
            return subprocess.run(["umount", self.root], capture_output=True).returncode == 0

        until(f"{self.root} is unmounted", done, 30)
        self.mounted = False

    def shut_down(self):
        """Nothing reaches the disk any more, from now on: what was written and not synced is lost. Writes fail."""
        at = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(at, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(at)

    def come_back(self):
        """After `shut_down`, once nobody uses it: with what had reached it."""
        self.unmount()
        self.mount()

    def fill(self, leave=0):
        """Takes all of the space but `leave` bytes."""
        with open(self.root / "ballast", "wb") as ballast:
            free = os.statvfs(self.root)
            os.posix_fallocate(ballast.fileno(), 0, max(1, free.f_bavail * free.f_frsize - leave - (64 << 10)))
            try:
                while not leave:
                    os.write(ballast.fileno(), b"\0" * 4096)
            except OSError:
                pass  # full

    def empty(self):
        """Gives back what `fill` took."""
        (self.root / "ballast").unlink()

    def end(self):
        """The image goes as well."""
        if self.mounted:
            subprocess.run(["umount", "-l", self.root], capture_output=True)
            self.mounted = False
        self.image.unlink(missing_ok=True)
