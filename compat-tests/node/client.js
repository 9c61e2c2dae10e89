// kafkajs against one broker: node client.js BOOTSTRAP NAME CHECK; exits 0 when the check holds.
'use strict';
const assert = require('node:assert');
const { Kafka, CompressionTypes, logLevel, PartitionAssigners } = require('kafkajs');

const [bootstrap, name, check] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'compat', brokers: [bootstrap], logLevel: logLevel.ERROR, retry: { initialRetryTime: 50 } });
const values = Array.from({ length: 500 }, (_, n) => `value-${n}`);
const until = async (what, holds, ms = 30000) => {
  for (const end = Date.now() + ms; !(await holds()); ) {
    assert(Date.now() < end, `not in time: ${what}`);
    await new Promise((go) => setTimeout(go, 20));
  }
};

async function produce(more = {}) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  await producer.send({ topic: name, acks: -1, messages: values.map((value) => ({ key: 'k' + value, value, headers: { h: 'v' } })), ...more });
  await producer.disconnect();
}

async function member(group, got) {
  const consumer = kafka.consumer({ groupId: group, heartbeatInterval: 300, sessionTimeout: 10000, maxWaitTimeInMs: 50, partitionAssigners: [PartitionAssigners.roundRobin] });
  await consumer.connect();
  await consumer.subscribe({ topic: name, fromBeginning: true });
  const joined = new Promise((done) => consumer.on(consumer.events.GROUP_JOIN, done));
  await consumer.run({ eachMessage: async ({ partition, message }) => { got.push([partition, message.offset, message.value.toString(), String(message.headers.h)]); } });
  await joined;
  return consumer;
}

const checks = {
  async produce() {
    await produce();
    await produce({ compression: CompressionTypes.GZIP });
    const got = [];
    const consumer = await member(name + '-g', got);
    await until('1000 records', () => got.length >= 1000);
    await consumer.disconnect();
    assert.deepStrictEqual(got.map((g) => g[2]).sort(), [...values, ...values].sort());
    assert(got.every((g) => g[3] === 'v'));
  },
  async group() {
    const got = [[], []];
    const members = [await member(name + '-g', got[0]), await member(name + '-g', got[1])];
    const admin = kafka.admin();
    await admin.connect();
    await until('two members are stable', async () => {
      const { groups: [group] } = await admin.describeGroups([name + '-g']);
      return group.state === 'Stable' && group.members.length === 2;
    });
    await produce();
    await until('all records', () => new Set(got.flat().map((g) => g[2])).size === values.length);
    for (const one of members) await one.disconnect();
    const [offsets] = await admin.fetchOffsets({ groupId: name + '-g', topics: [name] });
    assert.strictEqual(offsets.partitions.reduce((sum, p) => sum + Math.max(0, Number(p.offset)), 0), values.length);
    await until('the group is deleted', async () => admin.deleteGroups([name + '-g']).then(() => true, () => false));
    await admin.disconnect();
  },
  async admin() {
    const admin = kafka.admin();
    await admin.connect();
    const made = name + '-made';
    assert.strictEqual(await admin.createTopics({ topics: [{ topic: made, numPartitions: 2, configEntries: [{ name: 'retention.ms', value: '60000' }] }], waitForLeaders: true }), true);
    assert.strictEqual(await admin.createTopics({ topics: [{ topic: made }] }), false);
    await admin.createPartitions({ topicPartitions: [{ topic: made, count: 4 }] });
    await until('four partitions', async () => (await admin.fetchTopicMetadata({ topics: [made] })).topics[0].partitions.length === 4);
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: made, configNames: ['retention.ms'] }] });
    assert.strictEqual(resources[0].configEntries[0].configValue, '60000');
    assert.deepStrictEqual((await admin.fetchTopicOffsets(made)).map((p) => p.high), ['0', '0', '0', '0']);
    assert.strictEqual((await admin.describeCluster()).brokers.length, 1);
    await admin.deleteTopics({ topics: [made] });
    await admin.disconnect();
  },
};

checks[check]().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
