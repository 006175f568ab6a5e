/* The log, in one of two formats. Docker's json-file, byte for byte, so that whatever reads Docker's logs reads ours:
 *
 *     {"log":"a line\n","stream":"stdout","time":"2026-11-23T22:11:48.123456789Z"}
 *
 * and `local`, a quarter of that: the stream's letter, the nanoseconds since 1970 in hexadecimal, the bytes as they
 * are. A capital letter says that the newline at the end is ours, not the container's:
 *
 *     o18a1b2c3d4e5f607 a line
 *
 * A line longer than 16 KiB becomes several records, all but the last without "\n", all with the first one's time.
 * A full disk must not stop the container: what can't be written is lost, and RUNDIR/log-error says why.
 * Part of shim.c. */

enum { LINE_LIMIT = 16 * 1024, BATCH_LIMIT = 128 * 1024, TIME_SIZE = sizeof "2026-11-23T22:11:48.123456789Z" };

static struct {
    const char *path; /* NULL: this container keeps no log */
    long max_size;    /* bytes; 0: never rotate */
    long max_files;   /* the current one included */
    bool local;       /* the second of the formats */
    bool compress;    /* what is rotated away */
    pid_t compressor; /* gzip at work on it, or 0 */
    const char *attributes; /* json-file: a JSON object that goes into each record, or NULL */
    int fd;
    long size; /* of the current file, the batch included */
    bool torn; /* the file ends within a record: a write came through only in part */
    size_t batched;
    long buffer;      /* bytes between us and the writer (shim_writer.c); 0: we write ourselves, and may have to wait */
    int writer;       /* the pipe to it, or -1 */
    pid_t writer_pid; /* or 0 */
} the_log = {.fd = -1, .max_files = 1, .writer = -1};

static char batch[BATCH_LIMIT]; /* records that are not written yet; takes memory as far as it has ever been used */

/* What has come of a stream since its last newline. */
struct line {
    const char *stream;
    char *bytes; /* room for LINE_LIMIT */
    size_t length;
    bool continued; /* earlier parts of this line are already in the log */
    char time[TIME_SIZE];
};

/* Now, as RFC 3339 with nanoseconds, trailing zeros cut: what Go's time.RFC3339Nano prints. */
static void format_now(char text[TIME_SIZE])
{
    static time_t last_second = -1;
    static char prefix[sizeof "2026-11-23T22:11:48"];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != last_second) { /* lines come by the million: break a second up into a date only once */
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(prefix, sizeof prefix, "%Y-%m-%dT%H:%M:%S", &utc);
        last_second = now.tv_sec;
    }
    char *end = stpcpy(text, prefix);
    if (now.tv_nsec > 0) {
        long rest = now.tv_nsec;
        *end = '.';
        for (int digit = 9; digit > 0; digit--, rest /= 10)
            end[digit] = (char)('0' + rest % 10);
        end += 9;
        while (*end == '0')
            end--;
        end++;
    }
    strcpy(end, "Z");
}

/* A record's time, as its format has it. */
static void log_now(char text[TIME_SIZE])
{
    struct timespec now;

    if (!the_log.local) {
        format_now(text);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, TIME_SIZE, "%llx", (unsigned long long)now.tv_sec * 1000000000 + (unsigned long long)now.tv_nsec);
}

static void log_failed(const char *call)
{
    char text[PATH_MAX + 128];
    int length = snprintf(text, sizeof text, "%s %s: %s\n", call, the_log.path, strerror(errno));

    write_run_file("log-error", text, (size_t)length);
}

static void log_open(int flags)
{
    struct stat status;
    char last = '\n';

    the_log.fd = open(the_log.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0640);
    if (the_log.fd < 0) {
        log_failed("open");
        return;
    }
    the_log.size = fstat(the_log.fd, &status) == 0 ? (long)status.st_size : 0;
    /* A shim that was killed may have left half a record: the next one must not continue that line. */
    the_log.torn = the_log.size > 0 && pread(the_log.fd, &last, 1, the_log.size - 1) == 1 && last != '\n';
}

static void writer_send(void);

static void log_flush(void)
{
    size_t done = 0;

    if (the_log.writer >= 0) {
        writer_send();
        return;
    }
    if (the_log.fd >= 0 && the_log.torn && the_log.batched > 0 && write(the_log.fd, "\n", 1) == 1)
        the_log.torn = false;
    while (the_log.fd >= 0 && !the_log.torn && done < the_log.batched) {
        ssize_t written = write(the_log.fd, batch + done, the_log.batched - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            log_failed("write");
            the_log.torn = done > 0 && batch[done - 1] != '\n';
            break;
        }
        done += (size_t)written;
    }
    the_log.batched = 0;
}

static void log_rotate(void);

static void batch_add(const char *bytes, size_t length)
{
    memcpy(batch + the_log.batched, bytes, length);
    the_log.batched += length;
}

/* How many bytes the UTF-8 sequence at `text` has; 0 when it isn't one (surrogates and overlong forms aren't). */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xC2 ? 0 : text[0] < 0xE0 ? 2 : text[0] < 0xF0 ? 3 : text[0] < 0xF5 ? 4 : 0;
    unsigned char low = text[0] == 0xE0 ? 0xA0 : text[0] == 0xF0 ? 0x90 : 0x80; /* below: a shorter form exists */
    unsigned char high = text[0] == 0xED ? 0x9F : text[0] == 0xF4 ? 0x8F : 0xBF; /* above: surrogates, U+110000 */

    if (length == 0 || length > left || (length > 1 && (text[1] < low || text[1] > high)))
        return 0;
    for (size_t index = 2; index < length; index++)
        if ((text[index] & 0xC0) != 0x80)
            return 0;
    return length;
}

static bool plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
}

/* The inside of a JSON string as Docker's encoder writes it: also <, > and & are escaped, and what isn't UTF-8 becomes
 * U+FFFD, byte by byte. The caller has seen to it that the batch has room: a byte becomes at most six. */
static void batch_add_escaped(const unsigned char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    char *out = batch + the_log.batched;

    for (size_t index = 0; index < length;) {
        unsigned char byte = text[index];
        size_t sequence = utf8_length(text + index, length - index);
        if (plain(byte)) {
            *out++ = (char)byte;
            index++;
        } else if (sequence == 0) {
            out = stpcpy(out, "\\ufffd");
            index++;
        } else if (sequence == 3 && byte == 0xE2 && text[index + 1] == 0x80 && (text[index + 2] & 0xFE) == 0xA8) {
            out = stpcpy(out, text[index + 2] == 0xA8 ? "\\u2028" : "\\u2029"); /* they end lines in JavaScript */
            index += 3;
        } else if (sequence > 1) {
            while (sequence-- > 0)
                *out++ = (char)text[index++];
        } else if (byte == '\n' || byte == '\r' || byte == '\\' || byte == '"') {
            *out++ = '\\';
            *out++ = byte == '\n' ? 'n' : byte == '\r' ? 'r' : (char)byte;
            index++;
        } else {
            out = stpcpy(out, "\\u00");
            *out++ = hex[byte >> 4];
            *out++ = hex[byte & 15];
            index++;
        }
    }
    the_log.batched = (size_t)(out - batch);
}

static void log_local_record(const char *stream, const char *text, size_t length, const char *time)
{
    bool whole = text[length - 1] == '\n';
    const char letter = strcmp(stream, "stdout") == 0 ? 'o' : 'e';

    batch_add(whole ? &letter : letter == 'o' ? "O" : "E", 1);
    batch_add(time, strlen(time));
    batch_add(" ", 1);
    batch_add(text, length);
    if (!whole)
        batch_add("\n", 1);
}

static void log_json_record(const char *stream, const char *text, size_t length, const char *time)
{
    batch_add("{\"log\":\"", 8);
    batch_add_escaped((const unsigned char *)text, length);
    batch_add("\",\"stream\":\"", 12);
    batch_add(stream, strlen(stream));
    if (the_log.attributes != NULL) {
        batch_add("\",\"attrs\":", 10);
        batch_add(the_log.attributes, strlen(the_log.attributes));
        batch_add(",\"time\":\"", 9);
    } else
        batch_add("\",\"time\":\"", 10);
    batch_add(time, strlen(time));
    batch_add("\"}\n", 3);
}

static void log_record(const char *stream, const char *text, size_t length, const char *time)
{
    size_t before, around = 128 + (the_log.attributes != NULL ? strlen(the_log.attributes) : 0);

    if (the_log.writer >= 0 && the_log.batched + around + 6 * length > BATCH_LIMIT) {
        log_flush();
        if (the_log.batched > 0)
            return; /* the buffer is full, and the container must not wait: this is what is lost */
    }
    if (the_log.writer < 0 && the_log.max_size > 0 && the_log.size >= the_log.max_size && the_log.compressor == 0)
        log_rotate();
    if (the_log.batched + around + 6 * length > BATCH_LIMIT)
        log_flush();
    before = the_log.batched;
    (the_log.local ? log_local_record : log_json_record)(stream, text, length, time);
    the_log.size += (long)(the_log.batched - before);
}

/* Bytes of a stream, in whatever pieces read(2) gave them; a copy is only made of a line that isn't whole yet. */
static void log_take(struct line *line, const char *text, size_t length)
{
    while (the_log.path != NULL && length > 0) {
        size_t room = LINE_LIMIT - line->length;
        size_t window = length < room ? length : room;
        const char *newline = memchr(text, '\n', window);
        size_t taken = newline != NULL ? (size_t)(newline - text) + 1 : window;
        const char *whole = text;

        if (line->length > 0 || (newline == NULL && window < LINE_LIMIT)) {
            memcpy(line->bytes + line->length, text, taken);
            whole = line->bytes;
        }
        line->length += taken;
        text += taken;
        length -= taken;
        if (newline != NULL || line->length == LINE_LIMIT) {
            if (!line->continued)
                log_now(line->time);
            log_record(line->stream, whole, line->length, line->time);
            line->continued = newline == NULL;
            line->length = 0;
        }
    }
}

/* The stream has ended: what it wrote without a newline is a record without one. */
static void log_end(struct line *line)
{
    if (line->length > 0) {
        if (!line->continued)
            log_now(line->time);
        log_record(line->stream, line->bytes, line->length, line->time);
    }
    line->length = 0;
}
