"""Topics, made for a test."""
from confluent_kafka.admin import AdminClient, NewTopic


def create_topics(broker, *names, partitions=1, config=None):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for done in admin.create_topics([NewTopic(n, partitions, 1, config=config or {}) for n in names]).values():
        done.result(30)
