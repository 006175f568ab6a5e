/* Health checks: every so often a command is started that looks whether the container does what it is there for.
 *
 * When the next one is due is ours to know; everything else is that command's (minidock/engine/health.py), which
 * tells us by its exit status whether the container is still starting: within the start period we then ask more
 * often. Never are there two at once. Part of shim.c. */

enum { STILL_STARTING = 1 };

static struct {
    char **command; /* NULL: this container has no health check */
    long interval, start_interval, start_period; /* milliseconds */
    long began, due; /* moments of milliseconds() */
    pid_t pid;       /* of the one that is running, or 0 */
    bool starting;
} probe;

static long milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void probe_plan(void)
{
    long now = milliseconds();

    probe.due = now + (probe.starting && now - probe.began < probe.start_period ? probe.start_interval : probe.interval);
}

static void probe_begin(void)
{
    probe.began = milliseconds();
    probe.starting = true;
    probe_plan();
}

static void probe_ended(int status)
{
    probe.pid = 0;
    probe.starting = WIFEXITED(status) && WEXITSTATUS(status) == STILL_STARTING;
    probe_plan();
}

/* How long until the next one is due; -1: not before something else happens. */
static int probe_wait(void)
{
    if (probe.command == NULL || probe.pid > 0 || !init_alive())
        return -1;
    long left = probe.due - milliseconds();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static void probe_if_due(void)
{
    if (probe_wait() != 0)
        return;
    probe.pid = fork();
    if (probe.pid == 0)
        become(probe.command);
    if (probe.pid < 0)
        probe_ended(0); /* no process to be had just now: later, then */
}
