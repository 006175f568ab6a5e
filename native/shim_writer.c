/* --log-opt mode=non-blocking: whatever the disk does, the container never waits for its log.
 *
 * write(2) to a file has no way not to wait. So another process writes, a child of ours, and a pipe of
 * max-buffer-size lies between: what doesn't fit is lost, as in Docker. A read's worth of records that went through
 * only in part stays in `batch` until the rest of it fits; meanwhile new ones are lost, never halves of one.
 * When we are killed the writer gets the end of the pipe, and writes all that is in it. Part of shim.c. */

#define WRITER_NAME "minidock:[log]"

/* Without waiting. What is left over stays at the beginning of the batch. */
static void writer_send(void)
{
    size_t done = 0;

    while (done < the_log.batched) {
        ssize_t written = write(the_log.writer, batch + done, the_log.batched - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            break;
        if (written < 0) { /* EPIPE: the writer was killed */
            done = the_log.batched;
            log_failed("write");
            break;
        }
        done += (size_t)written;
    }
    the_log.batched -= done;
    memmove(batch, batch + done, the_log.batched);
}

/* Whole records only, so that files are rotated between two. A record is shorter than the batch. */
static void writer_store(void)
{
    const char *newline = memrchr(batch, '\n', the_log.batched);
    size_t whole = newline != NULL ? (size_t)(newline - batch) + 1 : 0, rest = the_log.batched - whole;
    static char kept[BATCH_LIMIT];

    if (whole == 0)
        return;
    memcpy(kept, batch + whole, rest);
    the_log.batched = whole;
    the_log.size += (long)whole;
    log_flush();
    if (the_log.compressor > 0 && waitpid(the_log.compressor, NULL, WNOHANG) != 0)
        the_log.compressor = 0;
    if (the_log.max_size > 0 && the_log.size >= the_log.max_size && the_log.compressor == 0)
        log_rotate();
    memcpy(batch, kept, rest);
    the_log.batched = rest;
}

static void writer_run(int from)
{
    prctl(PR_SET_NAME, WRITER_NAME);
    /* Three descriptors are needed, and no other may stay: with the container's pipes in our hands too, its standard
     * input would never end. */
    dup2(from, STDIN_FILENO);
    the_log.fd = dup2(the_log.fd, STDOUT_FILENO);
    run_dir = dup2(run_dir, STDERR_FILENO);
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    for (;;) {
        ssize_t length = read(STDIN_FILENO, batch + the_log.batched, BATCH_LIMIT - the_log.batched);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            break;
        the_log.batched += (size_t)length;
        writer_store();
    }
    await_compressor();
    _exit(0);
}

/* If there can't be one, we write ourselves: a log that may keep the container waiting is better than none. */
static void writer_begin(void)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_failed("pipe2");
        return;
    }
    if (fcntl(ends[1], F_SETPIPE_SZ, (int)the_log.buffer) < 0) /* EPERM: not root, and more than pipe-max-size */
        log_failed("F_SETPIPE_SZ");
    the_log.writer_pid = fork();
    if (the_log.writer_pid == 0)
        writer_run(ends[0]);
    close(ends[0]);
    if (the_log.writer_pid < 0) {
        log_failed("fork");
        close(ends[1]);
        return;
    }
    set_nonblocking(ends[1]);
    the_log.writer = ends[1];
    close(the_log.fd);
    the_log.fd = -1;
}

/* The container is dead and can wait: all of it goes into the log before anybody hears of the end. */
static void writer_end(void)
{
    if (the_log.writer < 0)
        return;
    fcntl(the_log.writer, F_SETFL, fcntl(the_log.writer, F_GETFL) & ~O_NONBLOCK);
    writer_send();
    close(the_log.writer);
    the_log.writer = -1;
    while (the_log.writer_pid > 0 && waitpid(the_log.writer_pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    the_log.writer_pid = 0;
}
