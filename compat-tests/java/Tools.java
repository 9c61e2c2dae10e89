import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Kafka's command-line tools one after another, so that a suite of them pays for one JVM.
 *
 * A request is a line of words (main class, standard input, arguments), an answer a line of exit code, standard output
 * and standard error; each word is "=" and base64.
 */
public final class Tools {
    /** What a tool's exit becomes. The first status of a run counts: some tools catch everything and exit again. */
    private static final class Ended extends Error {
        Ended() {
            super("exit", null, false, false);
        }
    }

    private static volatile Integer status;

    public static void main(String[] ignored) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Exit.Procedure end = (code, message) -> {
            if (status == null) {
                status = code;
            }
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            byte[][] words = Arrays.stream(line.split(" "))
                .map(word -> Base64.getDecoder().decode(word.substring(1)))
                .toArray(byte[][]::new);
            answers.println(run(words));
        }
        Runtime.getRuntime().halt(0);
    }

    private static String run(byte[][] words) throws Exception {
        InputStream oldIn = System.in;
        PrintStream oldOut = System.out;
        PrintStream oldErr = System.err;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        status = null;
        int code;
        System.setIn(new ByteArrayInputStream(words[1]));
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        try {
            String[] args = Arrays.stream(words).skip(2)
                .map(word -> new String(word, StandardCharsets.UTF_8))
                .toArray(String[]::new);
            Class.forName(new String(words[0], StandardCharsets.UTF_8))
                .getMethod("main", String[].class)
                .invoke(null, (Object) args);
            code = 0;
        } catch (InvocationTargetException e) {
            code = 1;
            if (!(e.getCause() instanceof Ended)) {
                e.getCause().printStackTrace();
            }
        } finally {
            System.out.flush();
            System.err.flush();
            System.setIn(oldIn);
            System.setOut(oldOut);
            System.setErr(oldErr);
        }
        if (status != null) {
            code = status;
        }
        return code + " " + encoded(out) + " " + encoded(err);
    }

    private static String encoded(ByteArrayOutputStream bytes) {
        return "=" + Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
