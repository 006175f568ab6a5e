/* The start: out of sight of the kernel's OOM killer, of terminals and of signals, under its own name; then the streams.
 * Part of shim.c. */

static void set_oom_score(const char *score)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, score, strlen(score)) < 0 && errno == EACCES)
        errno = 0; /* without root nobody may make himself safer; then the kernel chooses freely */
    close(fd);
}

static void protect_from_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, old_oom_score, sizeof old_oom_score - 1) > 0)
        set_oom_score("-998"); /* the container goes before its keeper */
    close(fd);
}

/* What ps shows: "minidock:[shim] ID". The kernel reads it where execve(2) put the arguments, so we write there; the
 * options point there too, so they move first. */
static void parse_and_show_name(int count, char **argument)
{
    char *place = argument[0], *end = argument[count - 1] + strlen(argument[count - 1]);

    for (int index = 0; index < count; index++)
        if ((argument[index] = strdup(argument[index])) == NULL)
            usage_error("no memory", "");
    parse(argument);
    memset(place, 0, (size_t)(end - place));
    snprintf(place, (size_t)(end - place), NAME " %s", options.id);
    prctl(PR_SET_NAME, NAME);
}

/* Away from terminal and session of whoever started us. Nothing but SIGKILL ends us before the container's end:
 * a shim that could be talked into leaving would leave a container without parent, log and cleanup. */
static void settle(void)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans of a container in the host's pid namespace come to us, not to init */
    for (size_t index = 0; index < sizeof ignored / sizeof *ignored; index++)
        signal(ignored[index], SIG_IGN);
    setsid();
    if (chdir("/") != 0)
        usage_error("no root directory", "");
    protect_from_oom_killer();
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
}

static void open_streams(void)
{
    if (input.fd >= 0)
        set_nonblocking(input.fd);
    for (int stream = STDOUT; stream <= STDERR; stream++)
        if (outputs[stream].fd >= 0)
            set_nonblocking(outputs[stream].fd);
    for (int index = 0; index < MAX_CLIENTS; index++)
        clients[index].fd = -1;
    if (options.client_fd >= 0)
        client_add(options.client_fd)->gives_input = true;
    if (the_log.path != NULL)
        log_open(0);
    if (the_log.buffer > 0 && the_log.fd >= 0)
        writer_begin();
    if (options.dns_udp_fd >= 0 && (!dns_open(options.dns_udp_fd, options.dns_tcp_fd) || dns.udp.fd < 0))
        usage_error("can't watch the sockets of ", "--dns-config");
}
