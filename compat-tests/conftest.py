"""Fixtures: brokers (one for the session where a test can share it), names that never repeat, Java tools in one JVM."""
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from rig import places  # noqa: E402
from rig.admin import create_topics  # noqa: E402
from rig.broker import Broker, against  # noqa: E402
from rig.java import Tools  # noqa: E402

NEEDS = ("java", "kcat", "go", "node", "network", "disks")


def pytest_addoption(parser):
    parser.addoption("--against", choices=["ottla", "kafka"], default=None,
                     help="which server to test; kafka judges the tests themselves")


def pytest_configure(config):
    if config.getoption("--against"):
        os.environ["OTTLA_COMPAT_AGAINST"] = config.getoption("--against")


def pytest_collection_modifyitems(items):
    for item in items:
        for need in NEEDS:
            why = places.missing(need) if item.get_closest_marker(need) else None
            if why:
                item.add_marker(pytest.mark.skip(reason=why))
        mark = item.get_closest_marker("ottla_only")
        if mark and against() == "kafka":
            item.add_marker(pytest.mark.skip(reason=f"Apache Kafka fails this: {mark.args[0]}"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.session.some_failed = True
        item.failed_here = True
        for broker in BROKERS:
            if broker.log.exists():
                report.sections.append((f"broker {broker.name} ({broker.log})", broker.tail()))


BROKERS = []


def _made(request, name, properties, start):
    broker = Broker(name, properties)
    BROKERS.append(broker)
    if start:
        broker.start()
    return broker


def _ended(broker, keep):
    broker.end(keep)
    BROKERS.remove(broker)


@pytest.fixture(scope="session")
def broker(request):
    """The broker that tests share when they do not hurt it. Retention waits: some write records of long ago."""
    made = _made(request, "shared", {"log.segment.bytes": 64 << 20, "log.initial.task.delay.ms": 86_400_000}, start=True)
    yield made
    _ended(made, getattr(request.session, "some_failed", False))


@pytest.fixture
def new_broker(request):
    """Makes brokers of the test's own: new_broker("name", {"key": "value"}, start=True)."""
    made = []

    def make(name, properties=None, start=True):
        made.append(_made(request, name, properties, start))
        return made[-1]

    yield make
    for one in made:
        _ended(one, getattr(request.node, "failed_here", False))


_count = itertools.count(1)


@pytest.fixture
def name(request):
    """A name for a topic or a group that no other test uses."""
    base = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60].strip("-")
    return f"{base}-{os.getpid()}-{next(_count)}"


@pytest.fixture
def topic(broker, name):
    """Makes a topic on the shared broker: topic(partitions=3, config={...}) -> its name."""
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    made = []

    def make(partitions=1, config=None, suffix=""):
        create_topics(broker, name + suffix, partitions=partitions, config=config, admin=admin)
        made.append(name + suffix)
        return name + suffix

    yield make
    if made and broker.alive():
        for done in admin.delete_topics(made, operation_timeout=10).values():
            done.exception(15)


@pytest.fixture(scope="session")
def tools():
    """Kafka's own command-line tools, all in one JVM."""
    runner = Tools()
    yield runner
    runner.close()
