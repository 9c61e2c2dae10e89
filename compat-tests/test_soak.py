"""A minute of the soak (soak.py), with two kills; `cargo dev soak` is the long one."""
import os
import pathlib
import subprocess
import sys

import soak


def test_a_minute_with_two_kills():
    program = pathlib.Path(__file__).with_name("soak.py")
    minutes, kills = os.environ.get("OTTLA_COMPAT_SOAK", "1,2").split(",")
    done = subprocess.run([sys.executable, program, "--minutes", minutes, "--kills", kills, "--seed", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    print(done.stdout)
    assert done.returncode == 0, done.stdout


class Journalled:
    """What a client of the soak knows, made up."""

    def __init__(self, name, sent, gave_up=()):
        self.name, self.sent, self.gave_up = name, sent, list(gave_up)


def test_the_checker_finds_what_is_wrong():
    good = [[("a", 0), ("b", 0), ("a", 2)], [("a", 1), ("a", 3)]]
    a = Journalled("a", {0: (0, 0), 1: (1, 0), 2: (0, 2)})
    assert soak.check_log([a], good) == []
    assert "not where they were" in soak.check_log([Journalled("a", {9: (0, 3)})], good)[0]
    assert "not where they were" in soak.check_log([Journalled("a", {0: (1, 0)})], good)[0]
    assert any("twice" in w for w in soak.check_log([a], [good[0] + [("a", 3)], good[1]]))
    assert any("stands after" in w for w in soak.check_log([a], [good[0] + [("a", 1)], []]))
    assert "gave up" in soak.check_log([Journalled("a", {}, [(5, "timed out")])], good)[0]
