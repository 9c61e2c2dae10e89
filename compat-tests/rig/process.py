"""Processes that do not outlive the thread that started them, however it ends."""
import shutil

# The words before a command: the kernel ends it (kill -9) when who started it is gone. Python's own way, to run code between
# fork and exec, is none for a process with threads: librdkafka's may hold locks that nobody will open in the child.
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
