// Three Go clients against one broker: each check is one word on the command line and exits 0 when it holds.
//
//	go-client BOOTSTRAP NAME CHECK
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const count = 1000

var (
	bootstrap, name string
	ctx, cancel     = context.WithTimeout(context.Background(), 60*time.Second)
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func expect(ok bool, format string, args ...any) {
	if !ok {
		must(fmt.Errorf(format, args...))
	}
}

func value(n int) []byte { return []byte(fmt.Sprintf("value-%d", n)) }

// Counts values; every one of them must come exactly once.
type tally struct {
	sync.Mutex
	seen map[string]int
}

func (t *tally) add(v []byte) int {
	t.Lock()
	defer t.Unlock()
	if t.seen == nil {
		t.seen = map[string]int{}
	}
	t.seen[string(v)]++
	return len(t.seen)
}

func (t *tally) complete() {
	for n := range count {
		expect(t.seen[string(value(n))] == 1, "value %d came %d times", n, t.seen[string(value(n))])
	}
}

func franz(opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, opts...)...)
	must(err)
	return client
}

func franzProduce() {
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		client := franz(kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(codec))
		for n := range count {
			client.Produce(ctx, &kgo.Record{Value: value(n), Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}, func(_ *kgo.Record, err error) { must(err) })
		}
		must(client.Flush(ctx))
		client.Close()
	}
	client := franz(kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	seen := map[string]int{}
	for total := 0; total < 5*count; {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++; total++ })
	}
	for n := range count {
		expect(seen[string(value(n))] == 5, "value %d came %d times", n, seen[string(value(n))])
	}
}

func franzGroup() {
	producer := franz(kgo.DefaultProduceTopic(name))
	for n := range count {
		producer.Produce(ctx, &kgo.Record{Value: value(n)}, func(_ *kgo.Record, err error) { must(err) })
	}
	must(producer.Flush(ctx))
	producer.Close()
	var all tally
	var done sync.WaitGroup
	ended, end := context.WithCancel(ctx)
	for range 2 {
		done.Add(1)
		go func() {
			defer done.Done()
			member := franz(kgo.ConsumerGroup(name+"-g"), kgo.ConsumeTopics(name), kgo.Balancers(kgo.CooperativeStickyBalancer()),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.HeartbeatInterval(300*time.Millisecond))
			for ended.Err() == nil {
				fetches := member.PollFetches(ended)
				fetches.EachRecord(func(r *kgo.Record) {
					if all.add(r.Value) == count {
						end()
					}
				})
				must(member.CommitUncommittedOffsets(ctx))
				member.AllowRebalance()
			}
			member.Close()
		}()
	}
	done.Wait()
	must(ctx.Err())
	all.complete()
	admin := kadm.NewClient(franz())
	defer admin.Close()
	offsets, err := admin.FetchOffsets(ctx, name+"-g")
	must(err)
	var sum int64
	offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
	expect(sum == count, "committed %d of %d", sum, count)
}

func franzTxn() {
	producer := franz(kgo.TransactionalID(name), kgo.DefaultProduceTopic(name))
	for n := range 20 {
		must(producer.BeginTransaction())
		producer.Produce(ctx, &kgo.Record{Value: value(n)}, func(_ *kgo.Record, err error) { must(err) })
		must(producer.Flush(ctx))
		must(producer.EndTransaction(ctx, kgo.TransactionEndTry(n%2 == 0)))
	}
	producer.Close()
	// Reads what is committed, writes it on with the offsets, and stops when each has been there once.
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID(name+"-session"), kgo.ConsumerGroup(name+"-g"),
		kgo.ConsumeTopics(name), kgo.DefaultProduceTopic(name+"-made"), kgo.AllowAutoTopicCreation(), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets())
	must(err)
	var all tally
	for seen := 0; seen < 10; {
		fetches := session.PollFetches(ctx)
		must(fetches.Err())
		must(session.Begin())
		fetches.EachRecord(func(r *kgo.Record) {
			seen = all.add(r.Value)
			session.Produce(ctx, &kgo.Record{Value: r.Value}, func(_ *kgo.Record, err error) { must(err) })
		})
		committed, err := session.End(ctx, kgo.TryCommit)
		must(err)
		expect(committed, "a transaction of the session was aborted")
	}
	session.Close()
	for n := range 20 {
		expect(all.seen[string(value(n))] == 1-n%2, "value %d came %d times", n, all.seen[string(value(n))])
	}
}

func franzAdmin() {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	made := name + "-made"
	_, err := admin.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": kadm.StringPtr("60000")}, made)
	must(err)
	topics, err := admin.ListTopics(ctx, made)
	must(err)
	expect(len(topics[made].Partitions) == 3, "%v", topics)
	configs, err := admin.DescribeTopicConfigs(ctx, made)
	must(err)
	found := false
	for _, c := range configs[0].Configs {
		found = found || c.Key == "retention.ms" && *c.Value == "60000"
	}
	expect(found, "retention.ms is not 60000")
	ends, err := admin.ListEndOffsets(ctx, made)
	must(err)
	must(ends.Error())
	_, err = admin.CreatePartitions(ctx, 2, made)
	must(err)
	_, err = admin.DescribeGroups(ctx, name+"-none")
	must(err)
	meta, err := admin.BrokerMetadata(ctx)
	must(err)
	expect(len(meta.Brokers) == 1 && meta.Cluster != "", "%v", meta)
	_, err = admin.DeleteTopics(ctx, made)
	must(err)
}

type saramaGroup struct {
	tally
	end context.CancelFunc
}

func (g *saramaGroup) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (g *saramaGroup) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (g *saramaGroup) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "")
		if g.add(message.Value) == count {
			session.Commit()
			g.end()
		}
	}
	return nil
}

func saramaAll() {
	config := sarama.NewConfig()
	config.Version = sarama.V4_0_0_0
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Compression = sarama.CompressionZSTD
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	producer, err := sarama.NewSyncProducer([]string{bootstrap}, config)
	must(err)
	messages := []*sarama.ProducerMessage{}
	for n := range count {
		messages = append(messages, &sarama.ProducerMessage{Topic: name, Value: sarama.ByteEncoder(value(n))})
	}
	must(producer.SendMessages(messages))
	must(producer.Close())
	group, err := sarama.NewConsumerGroup([]string{bootstrap}, name+"-g", config)
	must(err)
	ended, end := context.WithCancel(ctx)
	handler := &saramaGroup{end: end}
	for ended.Err() == nil {
		if err := group.Consume(ended, []string{name}, handler); err != nil && !errors.Is(err, context.Canceled) {
			must(err)
		}
	}
	must(group.Close())
	must(ctx.Err())
	handler.complete()
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config)
	must(err)
	defer admin.Close()
	must(admin.CreateTopic(name+"-made", &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	groups, err := admin.ListConsumerGroups()
	must(err)
	_, listed := groups[name+"-g"]
	expect(listed, "the group is not listed")
	must(admin.DeleteTopic(name + "-made"))
	must(admin.DeleteConsumerGroup(name + "-g"))
}

func kafkaGo() {
	writer := &kafka.Writer{Addr: kafka.TCP(bootstrap), Topic: name, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, Compression: kafka.Lz4}
	messages := []kafka.Message{}
	for n := range count {
		messages = append(messages, kafka.Message{Value: value(n)})
	}
	must(writer.WriteMessages(ctx, messages...))
	must(writer.Close())
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, GroupID: name + "-g", Topic: name, StartOffset: kafka.FirstOffset, MaxWait: 50 * time.Millisecond, CommitInterval: 0})
	var all tally
	for n := 0; n < count; n = len(all.seen) {
		message, err := reader.ReadMessage(ctx)
		must(err)
		all.add(message.Value)
	}
	must(reader.Close())
	all.complete()
}

func main() {
	checks := map[string]func(){"franz-produce": franzProduce, "franz-group": franzGroup, "franz-admin": franzAdmin, "franz-txn": franzTxn, "sarama": saramaAll, "kafka-go": kafkaGo}
	if len(os.Args) != 4 || checks[os.Args[3]] == nil {
		fmt.Fprintln(os.Stderr, "go-client BOOTSTRAP NAME CHECK")
		os.Exit(2)
	}
	bootstrap, name = os.Args[1], os.Args[2]
	defer cancel()
	checks[os.Args[3]]()
}
