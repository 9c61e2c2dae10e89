"""aiokafka: asyncio's Kafka client."""
import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def within(seconds, what):
    async with asyncio.timeout(seconds):
        return await what


async def take(consumer, count):
    out = []
    while len(out) < count:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            out += records
    return out


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_there_and_back(broker, topic, codec):
    t = topic(partitions=2)

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=codec, enable_idempotence=True, linger_ms=5) as producer:
            sent = [await producer.send(t, b"%d" % n, key=b"%d" % (n % 7), headers=[("n", b"%d" % n)]) for n in range(500)]
            done = await asyncio.gather(*sent)
        assert sorted(d.offset for d in done if d.partition == 0) == list(range(sum(d.partition == 0 for d in done)))
        async with AIOKafkaConsumer(t, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
            got = await take(consumer, 500)
        assert sorted(int(r.value) for r in got) == list(range(500))
        assert all(r.headers == (("n", r.value),) for r in got)

    asyncio.run(within(30, run()))


def test_group_commit_and_rebalance(broker, topic):
    t = topic(partitions=4)
    more = dict(bootstrap_servers=broker.bootstrap, group_id=t + "-g", auto_offset_reset="earliest", heartbeat_interval_ms=300, session_timeout_ms=10_000)

    async def shared(consumers, partitions):
        while sorted(p.partition for c in consumers for p in c.assignment()) != list(range(partitions)) or not all(c.assignment() for c in consumers):
            await asyncio.gather(*(c.getmany(timeout_ms=50) for c in consumers))

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            for n in range(40):
                await producer.send_and_wait(t, b"%d" % n, partition=n % 4)
        async with AIOKafkaConsumer(t, **more, enable_auto_commit=False) as first:
            got = await take(first, 40)
            assert len(got) == 40
            await first.commit()
            assert await first.committed(TopicPartition(t, 0)) == 10
            async with AIOKafkaConsumer(t, **more) as second:
                await shared([first, second], 4)
            await shared([first], 4)
        async with AIOKafkaConsumer(t, **more) as third:
            await shared([third], 4)
            assert [await third.position(TopicPartition(t, p)) for p in range(4)] == [10] * 4

    asyncio.run(within(60, run()))


def test_seek_times_and_admin(broker, name):
    async def run():
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, 1, 1)])
            while name not in await admin.list_topics():  # within() has the deadline
                await asyncio.sleep(0.02)
            tp, base = TopicPartition(name, 0), 1_700_000_000_000
            async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
                for n in range(20):
                    await producer.send_and_wait(name, b"%d" % n, timestamp_ms=base + n)
            async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap) as consumer:
                consumer.assign([tp])
                assert (await consumer.offsets_for_times({tp: base + 13}))[tp].offset == 13
                consumer.seek(tp, 13)
                assert (await consumer.getone()).value == b"13"
                assert await consumer.end_offsets([tp]) == {tp: 20}
            assert (await admin.describe_cluster())["controller_id"] is not None
            await admin.delete_topics([name])
        finally:
            await admin.close()

    asyncio.run(within(30, run()))
