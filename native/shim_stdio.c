/* The container's side: its standard input, which clients fill, and its outputs, or the pty that is all three.
 * Part of shim.c. */

enum { INPUT_LIMIT = 64 * 1024, READ_SIZE = 64 * 1024, HUNG_UP_RETRY_MS = 100 };
enum { STDOUT = 1, STDERR = 2 }; /* frame types, and indices of `outputs` */

static struct {
    int fd;              /* the pipe's write end, or the pty's master; -1: nobody reads */
    struct buffer queue; /* what clients sent faster than the container reads */
    bool ended;          /* close it as soon as the queue is empty */
} input = {.fd = -1};

static char stdout_line[LINE_LIMIT], stderr_line[LINE_LIMIT];

static struct output {
    int fd;
    struct line line;
} outputs[] = {
    [STDOUT] = {.fd = -1, .line = {.stream = "stdout", .bytes = stdout_line}},
    [STDERR] = {.fd = -1, .line = {.stream = "stderr", .bytes = stderr_line}},
};

static int console_socket = -1; /* where the pty's master will come from */
static bool has_terminal;
static bool hung_up; /* nobody has the terminal open just now: reading gives EIO (pty(7)) until somebody does */
static struct winsize wanted_size;

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void input_close(void)
{
    if (input.fd >= 0 && !has_terminal) /* the terminal's descriptor belongs to outputs[STDOUT] */
        close(input.fd);
    input.fd = -1;
    buffer_free(&input.queue);
}

static void input_flush(void)
{
    while (input.fd >= 0 && input.queue.length > 0) {
        ssize_t written = write(input.fd, input.queue.bytes + input.queue.start, input.queue.length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return;
        if (written < 0) /* EPIPE: the container has closed its standard input. Not an error, for nobody */
            input_close();
        else
            buffer_consume(&input.queue, (size_t)written);
    }
    if (input.ended && !has_terminal)
        input_close();
}

static bool input_full(void)
{
    return input.queue.length >= INPUT_LIMIT;
}

/* False when there is no memory for it. */
static bool input_take(const void *bytes, size_t length)
{
    bool awaited = input.fd >= 0 || console_socket >= 0;

    if (!awaited || input.ended)
        return true; /* nobody will ever read it */
    if (!buffer_append(&input.queue, bytes, length))
        return false;
    input_flush();
    return true;
}

/* As in Docker, the end of a client's input closes a pipe, but never a terminal: others may still type. */
static void input_end(void)
{
    input.ended = !has_terminal && console_socket < 0;
    input_flush();
}

static void terminal_resize(unsigned rows, unsigned columns)
{
    wanted_size = (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    if (has_terminal && outputs[STDOUT].fd >= 0)
        ioctl(outputs[STDOUT].fd, TIOCSWINSZ, &wanted_size); /* the kernel sends SIGWINCH to those inside */
}

/* The child has opened a pty inside the container's devpts, and sends us its master (unix(7), SCM_RIGHTS). */
static void terminal_receive(void)
{
    char byte[64], control[CMSG_SPACE(sizeof(int))];
    struct iovec payload = {byte, sizeof byte};
    struct msghdr message = {.msg_iov = &payload, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(console_socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(console_socket);
    console_socket = -1;
    if (header == NULL || header->cmsg_type != SCM_RIGHTS) { /* the child died on its way: its end tells the rest */
        input_close();
        return;
    }
    memcpy(&outputs[STDOUT].fd, CMSG_DATA(header), sizeof(int));
    set_nonblocking(outputs[STDOUT].fd);
    input.fd = outputs[STDOUT].fd;
    has_terminal = true;
    if (wanted_size.ws_row > 0 || wanted_size.ws_col > 0) /* a client was faster than the child */
        terminal_resize(wanted_size.ws_row, wanted_size.ws_col);
    input_flush();
}

static void output_close(struct output *output)
{
    if (output->fd < 0)
        return;
    log_end(&output->line);
    log_flush();
    if (has_terminal)
        input_close();
    close(output->fd);
    output->fd = -1;
}

/* Read once and pass it on to the log and to all clients. The number of bytes; 0 when the stream has ended, or none
 * is there. */
static size_t output_read(int stream)
{
    static char chunk[READ_SIZE];
    struct output *output = &outputs[stream];
    ssize_t length = read(output->fd, chunk, sizeof chunk);

    if (length > 0) {
        hung_up = false;
        log_take(&output->line, chunk, (size_t)length);
        log_flush();
        clients_send((unsigned char)stream, chunk, (size_t)length);
        return (size_t)length;
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (has_terminal && init_alive())
        hung_up = true; /* a program that goes to the background closes the terminal, another may open it again */
    else
        output_close(output);
    return 0;
}
