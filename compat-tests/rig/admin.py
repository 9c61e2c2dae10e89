"""Topics, made for a test."""
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from .wait import until


def create_topics(broker, *names, partitions=1, replicas=1, config=None, admin=None):
    """Makes topics and waits until their partitions have a leader that answers: clients differ in their patience."""
    admin = admin or AdminClient({"bootstrap.servers": broker.bootstrap})
    for done in admin.create_topics([NewTopic(n, partitions, replicas, config=config or {}) for n in names]).values():
        done.result(30)
    asked = {TopicPartition(n, p): OffsetSpec.latest() for n in names for p in range(partitions)}

    def led():
        return all(done.exception(30) is None for done in admin.list_offsets(asked).values())

    until(f"{', '.join(names)} can be written to", led)
