/* The options: minidock/runtime/shim.py builds them. Part of shim.c. */

static void usage_error(const char *message, const char *what)
{
    fprintf(stderr, "minidock-shim: %s%s\n", message, what);
    exit(USAGE_ERROR);
}

static long number(const char *option, const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 0)
        usage_error("no number after ", option);
    return value;
}

/* A descriptor that was left open for us. It must not reach the cleanup command. */
static int descriptor(const char *option, const char *text)
{
    long fd = number(option, text);

    if (fd <= STDERR_FILENO || fd > INT_MAX || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
        usage_error("no open descriptor above 2 after ", option);
    return (int)fd;
}

static int held; /* --hold-fd: only kept open as long as we are there: a lock, a namespace */

static const struct {
    const char *name;
    const char **text;
    long *number;
    int *descriptor;
} known[] = {
    {"--id", .text = &options.id},
    {"--dir", .text = &options.dir},
    {"--pid", .number = &options.pid},
    {"--log", .text = &the_log.path},
    {"--log-attributes", .text = &the_log.attributes},
    {"--log-max-size", .number = &the_log.max_size},
    {"--log-max-files", .number = &the_log.max_files},
    {"--log-buffer", .number = &the_log.buffer},
    {"--probe-interval", .number = &probe.interval},
    {"--probe-start-interval", .number = &probe.start_interval},
    {"--probe-start-period", .number = &probe.start_period},
    {"--view-memory", .text = &view.memory},
    {"--view-processors", .text = &view.processors},
    {"--stdin-fd", .descriptor = &input.fd},
    {"--stdout-fd", .descriptor = &outputs[STDOUT].fd},
    {"--stderr-fd", .descriptor = &outputs[STDERR].fd},
    {"--console-fd", .descriptor = &console_socket},
    {"--listen-fd", .descriptor = &options.listen_fd},
    {"--client-fd", .descriptor = &options.client_fd},
    {"--hold-fd", .descriptor = &held},
    {"--dns-config", .text = &dns_config},
    {"--dns-udp-fd", .descriptor = &options.dns_udp_fd},
    {"--dns-tcp-fd", .descriptor = &options.dns_tcp_fd},
};

static void set_option(const char *name, const char *value)
{
    for (size_t index = 0; index < sizeof known / sizeof *known; index++) {
        if (strcmp(name, known[index].name) != 0)
            continue;
        if (value == NULL)
            usage_error("no value after ", name);
        if (known[index].text != NULL)
            *known[index].text = value;
        else if (known[index].number != NULL)
            *known[index].number = number(name, value);
        else
            *known[index].descriptor = descriptor(name, value);
        return;
    }
    usage_error("unknown option ", name);
}

static void parse(char **argument)
{
    for (argument++; *argument != NULL && options.cleanup == NULL; argument++) {
        if (strcmp(*argument, "--cleanup") == 0) {
            *argument = NULL; /* the probe's words end here */
            options.cleanup = argument + 1;
        } else if (strcmp(*argument, "--probe") == 0)
            probe.command = argument + 1;
        else if (probe.command != NULL)
            continue;
        else if (strcmp(*argument, "--stdin-once") == 0)
            options.stdin_once = true;
        else if (strcmp(*argument, "--proxy") == 0 && argument[1] != NULL)
            door_open(*++argument);
        else if (strcmp(*argument, "--proxy-udp") == 0 && argument[1] != NULL)
            gate_open(*++argument);
        else if (strcmp(*argument, "--port-fd") == 0 && argument[1] != NULL)
            port_keep(*++argument);
        else if (strcmp(*argument, "--log-local") == 0)
            the_log.local = true;
        else if (strcmp(*argument, "--log-compress") == 0)
            the_log.compress = true;
        else {
            set_option(argument[0], argument[1]);
            argument++;
        }
    }
    if (options.cleanup != NULL && options.cleanup[0] == NULL)
        usage_error("no command after ", "--cleanup");
    if (probe.command != NULL && (probe.command[0] == NULL || probe.interval == 0))
        usage_error("no command or no interval for ", "--probe");
    if (options.id == NULL || options.dir == NULL || options.dir[0] != '/' || options.pid == 0)
        usage_error("needed: ", "--id, --dir (absolute), --pid");
    if (the_log.attributes != NULL && strlen(the_log.attributes) > LINE_LIMIT)
        usage_error("too long: ", "--log-attributes");
    if (console_socket >= 0 && (input.fd >= 0 || outputs[STDOUT].fd >= 0 || outputs[STDERR].fd >= 0))
        usage_error("a console replaces the other streams", "");
}
