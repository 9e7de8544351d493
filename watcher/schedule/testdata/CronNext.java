import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.elasticsearch.xpack.core.scheduler.Cron;

/**
 * Asks Elastic's own Cron: reads lines "millis TAB expression" and answers each with the next time in millis, -1,
 * "invalid", or "loops" where the class does not come to an end.
 */
public class CronNext {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder out = new StringBuilder();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            int tab = line.indexOf('\t');
            long after = Long.parseLong(line.substring(0, tab));
            String expression = line.substring(tab + 1);
            CompletableFuture<String> answer = new CompletableFuture<>();
            Thread thread = new Thread(() -> answer.complete(next(expression, after)));
            thread.setDaemon(true);
            thread.start();
            try {
                out.append(answer.get(10, TimeUnit.SECONDS));
            } catch (TimeoutException e) {
                out.append("loops");
            }
            out.append('\n');
        }
        System.out.print(out);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static String next(String expression, long after) {
        try {
            return Long.toString(new Cron(expression).getNextValidTimeAfter(after));
        } catch (Exception e) {
            return "invalid";
        }
    }
}
