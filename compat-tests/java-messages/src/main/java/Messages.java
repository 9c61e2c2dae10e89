import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.coordinator.common.runtime.CoordinatorRecord;
import org.apache.kafka.coordinator.group.GroupCoordinatorRecordSerde;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/**
 * Reads messages and writes them again, with Kafka's own classes.
 *
 * <p>A line of input is {@code kind key version hex} and, if the message is to be written in another version than it is
 * read in, that version. The line of output for it is the hex of the message written again, or {@code error} and why. {@code kind} is request or response, with an API's key, or the name of a record's class
 * below, with any key. {@code metadata-log} is a whole value of the metadata log, {@code group-log} a key and a value of
 * __consumer_offsets with a hyphen between them.
 */
public final class Messages {
    private static final String[] RECORD_PACKAGES = {
        "org.apache.kafka.common.metadata.",
        "org.apache.kafka.common.message.",
        "org.apache.kafka.raft.generated.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
        "org.apache.kafka.coordinator.share.generated.",
        "org.apache.kafka.server.log.remote.metadata.storage.generated.",
    };

    private Messages() {
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintWriter out = new PrintWriter(
            new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.US_ASCII)));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = again(line.split(" ", -1));
            } catch (Exception e) {
                answer = ("error " + e).replace('\n', ' ');
            }
            out.println(answer);
        }
        out.flush();
    }

    private static String again(String[] words) throws Exception {
        switch (words[0]) {
            case "metadata-log":
                return metadataLog(HexFormat.of().parseHex(words[3]));
            case "group-log":
                return groupLog(words[3].split("-", -1));
            default:
                return message(words);
        }
    }

    /** A value of the metadata log, with its frame. */
    private static String metadataLog(byte[] value) {
        ApiMessageAndVersion read =
            MetadataRecordSerde.INSTANCE.read(new ByteBufferAccessor(ByteBuffer.wrap(value)), value.length);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer written = ByteBuffer.allocate(MetadataRecordSerde.INSTANCE.recordSize(read, cache));
        MetadataRecordSerde.INSTANCE.write(read, cache, new ByteBufferAccessor(written));
        return HexFormat.of().formatHex(written.array());
    }

    /** Key and value of a record of __consumer_offsets; no value for a tombstone. */
    private static String groupLog(String[] keyAndValue) {
        ByteBuffer key = ByteBuffer.wrap(HexFormat.of().parseHex(keyAndValue[0]));
        ByteBuffer value = keyAndValue.length > 1 ? ByteBuffer.wrap(HexFormat.of().parseHex(keyAndValue[1])) : null;
        GroupCoordinatorRecordSerde serde = new GroupCoordinatorRecordSerde();
        CoordinatorRecord read = serde.deserialize(key, value);
        String written = HexFormat.of().formatHex(serde.serializeKey(read));
        byte[] writtenValue = serde.serializeValue(read);
        return writtenValue == null ? written : written + "-" + HexFormat.of().formatHex(writtenValue);
    }

    private static String message(String[] words) throws Exception {
        short key = Short.parseShort(words[1]);
        short version = Short.parseShort(words[2]);
        short writeVersion = words.length > 4 ? Short.parseShort(words[4]) : version;
        ByteBuffer body = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
        Message message = empty(words[0], key);
        message.read(new ByteBufferAccessor(body), version);
        if (body.hasRemaining()) {
            throw new IllegalStateException(body.remaining() + " bytes left");
        }
        ByteBuffer written = MessageUtil.toByteBufferAccessor(message, writeVersion).buffer();
        byte[] bytes = new byte[written.remaining()];
        written.get(bytes);
        return HexFormat.of().formatHex(bytes);
    }

    private static Message empty(String kind, short key) throws Exception {
        switch (kind) {
            case "request":
                return ApiMessageType.fromApiKey(key).newRequest();
            case "response":
                return ApiMessageType.fromApiKey(key).newResponse();
            default:
                for (String inPackage : RECORD_PACKAGES) {
                    try {
                        return (Message) Class.forName(inPackage + kind).getDeclaredConstructor().newInstance();
                    } catch (ClassNotFoundException e) {
                        // It is in another package.
                    }
                }
                throw new ClassNotFoundException(kind);
        }
    }
}
