import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Members of share groups that do what a test says, one line at a time; each command is answered with one line.
 *
 *   open NAME BOOTSTRAP GROUP TOPIC key=value...   a member
 *   take NAME COUNT MILLIS                         polls until it has that many records -> topic:partition:offset:deliveries:value ...
 *   say NAME TYPE partition:offset...              acknowledges records it has, or all of them without a list
 *   commit NAME                                    -> topic-partition=error ...
 *   close NAME                                     leaves
 *
 * An answer begins with "ok" or "failed".
 */
public final class ShareClient {
    private static final class Member {
        KafkaShareConsumer<String, String> consumer;
        final Map<String, ConsumerRecord<String, String>> held = new LinkedHashMap<>();
    }

    private static final Map<String, Member> MEMBERS = new HashMap<>();

    public static void main(String[] ignored) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String answer;
            try {
                answer = "ok " + run(line.split(" "));
            } catch (Exception e) {
                answer = "failed " + e;
            }
            answers.println(answer.trim().replace('\n', ' '));
        }
        Runtime.getRuntime().halt(0);
    }

    private static String run(String[] words) {
        if (words[0].equals("open")) {
            return open(words);
        }
        Member member = MEMBERS.get(words[1]);
        switch (words[0]) {
            case "take":
                return take(member, Integer.parseInt(words[2]), Long.parseLong(words[3]));
            case "say":
                return say(member, AcknowledgeType.valueOf(words[2].toUpperCase()), Arrays.asList(words).subList(3, words.length));
            case "commit":
                return commit(member);
            case "close":
                MEMBERS.remove(words[1]).consumer.close(Duration.ofSeconds(10));
                return "";
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private static String open(String[] words) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", words[2]);
        properties.put("group.id", words[3]);
        properties.put("share.acknowledgement.mode", "explicit");
        for (String setting : Arrays.asList(words).subList(5, words.length)) {
            String[] pair = setting.split("=", 2);
            properties.put(pair[0], pair[1]);
        }
        Member member = new Member();
        member.consumer = new KafkaShareConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
        member.consumer.subscribe(List.of(words[4]));
        MEMBERS.put(words[1], member);
        return "";
    }

    private static String take(Member member, int count, long millis) {
        long end = System.currentTimeMillis() + millis;
        List<String> taken = new ArrayList<>();
        do {
            for (ConsumerRecord<String, String> record : member.consumer.poll(Duration.ofMillis(200))) {
                member.held.put(record.partition() + ":" + record.offset(), record);
                taken.add(record.topic() + ":" + record.partition() + ":" + record.offset() + ":"
                    + record.deliveryCount().map(String::valueOf).orElse("?") + ":" + record.value());
            }
        } while (taken.size() < count && taken.isEmpty() && System.currentTimeMillis() < end);
        return String.join(" ", taken);
    }

    private static String say(Member member, AcknowledgeType type, List<String> which) {
        for (String at : which.isEmpty() ? new ArrayList<>(member.held.keySet()) : which) {
            ConsumerRecord<String, String> record = type == AcknowledgeType.RENEW ? member.held.get(at) : member.held.remove(at);
            member.consumer.acknowledge(record, type);
        }
        return "";
    }

    private static String commit(Member member) {
        List<String> outcomes = new ArrayList<>();
        Map<TopicIdPartition, Optional<KafkaException>> done = member.consumer.commitSync(Duration.ofSeconds(20));
        done.forEach((partition, error) -> outcomes.add(partition.topicPartition() + "="
            + error.map(e -> e.getClass().getSimpleName()).orElse("ok")));
        return String.join(" ", outcomes);
    }
}
