import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.state.BuiltInDslStoreSuppliers;

/**
 * One instance of a Kafka Streams application, for tests that kill it.
 *
 *   --bootstrap HOST:PORT,...  --application-id NAME  --state-dir DIR
 *   --topology wordcount       words of --input, counted: each word's counts go to --output, one record for each change
 *   --topology join            --input LEFT,RIGHT: records of both that have the same key and about the same time, as "left/right"
 *   --guarantee at_least_once | exactly_once_v2
 *   --group-protocol classic | streams
 *   --standby N  --threads N  --set KEY=VALUE (as often as needed)
 *
 * Says on standard output, a line each: "state OLD NEW"; "failed WHY" when a thread ends (another takes its place);
 * "closed" at the end. It ends in order on SIGTERM and when its standard input ends, so it does not outlive its driver.
 * Stores are in memory, so every start restores them from their changelogs; nothing is cached before it is sent.
 */
public final class StreamsApp {
    private static final Duration CLOSE = Duration.ofSeconds(30);
    private static final int COMMIT_MS = 100;
    /** Of their timestamps. Short, for a store in memory looks at every timestamp of it. */
    private static final Duration WINDOW = Duration.ofSeconds(1);
    /** Longer than any test runs: which pairs join must not depend on when a record came. */
    private static final Duration GRACE = Duration.ofHours(1);

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        Properties settings = new Properties();
        for (int i = 0; i + 1 < args.length; i += 2) {
            if (args[i].equals("--set")) {
                String[] pair = args[i + 1].split("=", 2);
                settings.put(pair[0], pair[1]);
            } else {
                options.put(args[i], args[i + 1]);
            }
        }
        Properties properties = properties(options);
        properties.putAll(settings);
        KafkaStreams streams = new KafkaStreams(topology(options), properties);
        streams.setStateListener((now, before) -> {
            say("state " + before + " " + now);
            if (now == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        streams.setUncaughtExceptionHandler(e -> {
            say("failed " + e + (e.getCause() == null ? "" : " because of " + e.getCause()));
            e.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            boolean whole = streams.close(CLOSE);
            say(whole ? "closed" : "not closed in time");
        }));
        streams.start();
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }

    private static Properties properties(Map<String, String> options) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, options.get("--application-id"));
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("--bootstrap"));
        properties.put(StreamsConfig.STATE_DIR_CONFIG, options.get("--state-dir"));
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, options.getOrDefault("--guarantee", StreamsConfig.AT_LEAST_ONCE));
        properties.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, options.getOrDefault("--group-protocol", "classic"));
        properties.put(StreamsConfig.NUM_STANDBY_REPLICAS_CONFIG, options.getOrDefault("--standby", "0"));
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, options.getOrDefault("--threads", "1"));
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        properties.put(StreamsConfig.DSL_STORE_SUPPLIERS_CLASS_CONFIG, BuiltInDslStoreSuppliers.InMemoryDslStoreSuppliers.class);
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return properties;
    }

    private static Topology topology(Map<String, String> options) {
        StreamsBuilder builder = new StreamsBuilder();
        String[] inputs = options.get("--input").split(",");
        String output = options.get("--output");
        String topology = options.getOrDefault("--topology", "wordcount");
        KStream<String, String> input = builder.stream(inputs[0], Consumed.with(Serdes.String(), Serdes.String()));
        switch (topology) {
            case "wordcount":
                input.flatMapValues(line -> Arrays.asList(line.trim().split("\\s+")))
                    .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
                    .count(Materialized.as("counts"))
                    .toStream()
                    .mapValues(String::valueOf)
                    .to(output, Produced.with(Serdes.String(), Serdes.String()));
                break;
            case "join":
                KStream<String, String> right = builder.stream(inputs[1], Consumed.with(Serdes.String(), Serdes.String()));
                input.join(right, (l, r) -> l + "/" + r, JoinWindows.ofTimeDifferenceAndGrace(WINDOW, GRACE),
                        StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()).withName("both").withStoreName("both"))
                    .to(output, Produced.with(Serdes.String(), Serdes.String()));
                break;
            default:
                throw new IllegalArgumentException("--topology " + topology);
        }
        return builder.build();
    }

    private static synchronized void say(String line) {
        System.out.println(line.replace('\n', ' '));
        System.out.flush();
    }
}
