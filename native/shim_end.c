/* The end: the last output, exit.json, and the command that cleans up. Part of shim.c. */

enum { DRAIN_SILENCE_MS = 100, DRAIN_LIMIT = 4 * 1024 * 1024 };

/* What the container wrote in its last moments is still in the pipes. With a pid namespace everybody is dead and the
 * streams end at once; in the host's, a grandchild may keep them open: then silence is the end. Clients don't slow
 * us down here, so the limit keeps a grandchild that never stops writing from filling our memory. */
static void drain(void)
{
    size_t total = 0;

    hung_up = false;
    while (console_socket >= 0) { /* the master may have been sent a moment before the end; all senders are dead */
        struct pollfd sender = {console_socket, POLLIN, 0};
        if (poll(&sender, 1, DRAIN_SILENCE_MS) <= 0)
            break;
        terminal_receive();
    }
    while (total < DRAIN_LIMIT) {
        struct pollfd watched[] = {{outputs[STDOUT].fd, POLLIN, 0}, {outputs[STDERR].fd, POLLIN, 0}};
        if ((watched[0].fd < 0 && watched[1].fd < 0) || poll(watched, 2, DRAIN_SILENCE_MS) <= 0)
            break;
        for (int stream = STDOUT; stream <= STDERR; stream++)
            if (watched[stream - STDOUT].revents != 0)
                total += output_read(stream);
    }
    output_close(&outputs[STDOUT]);
    output_close(&outputs[STDERR]);
    input_close();
    writer_end();
}

static void init_has_ended(int status)
{
    char text[128], now[TIME_SIZE];

    exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    exit_code = WIFSIGNALED(status) ? 128 + exit_signal : WEXITSTATUS(status);
    format_now(now);
    dns_close();
    drain();
    int length = snprintf(text, sizeof text, "{\"exitCode\":%d,\"signal\":%d,\"finishedAt\":\"%s\"}\n", exit_code,
                          exit_signal, now);
    write_run_file("exit.json", text, (size_t)length); /* before the frame: who gets that may read the file */
    uint32_t code = htobe32((uint32_t)exit_code);
    clients_send(FRAME_EXIT, &code, sizeof code);
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == options.pid)
            init_has_ended(status);
        else if (pid == probe.pid)
            probe_ended(status);
        else if (pid == the_log.writer_pid)
            the_log.writer_pid = 0;
        else if (pid == the_log.compressor)
            the_log.compressor = 0;
}

/* RUNDIR is removed last by whoever cleans up: when it is gone, or another one by now, nothing is left to do. */
static bool already_clean(void)
{
    struct stat ours, now;

    return fstat(run_dir, &ours) == 0
        && (stat(options.dir, &now) != 0 || now.st_ino != ours.st_ino || now.st_dev != ours.st_dev);
}

/* Another program in our place, or in our child's: it starts as if we had never been. */
static void become(char **command)
{
    sigset_t none;

    set_oom_score(old_oom_score);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    execv(command[0], command);
    _exit(127);
}

static void clean_up(void)
{
    await_compressor();
    if (options.cleanup == NULL || already_clean())
        exit(0);
    become(options.cleanup);
}
