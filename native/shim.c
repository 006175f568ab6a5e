/* minidock-shim: the one process that stays with a container for all its life.
 *
 * Whoever starts a container may go away: the command, the daemon, the terminal. So the container's parent is this
 * program. It owns the container's standard streams or pty, writes the log, serves any number of clients on
 * attach.sock, waits for the end, writes exit.json, and starts the cleaning up when nobody else will do it.
 *
 * It is C and static because one runs beside every container: about 100 KiB of memory of its own, ready in a
 * millisecond. One thread, one poll(2) loop. It is execve()d by the process that has just clone3()d the container's
 * init, which therefore is already its child (docs/architecture.md, "The three processes").
 *
 *     shim_buffer.c    a queue of bytes
 *     shim_log.c       Docker's json-file format, and one of our own
 *     shim_rotate.c    a log's files: the current one, older ones, compressed ones
 *     shim_writer.c    mode=non-blocking: another process writes the log
 *     shim_stdio.c     stdin, stdout, stderr, pty
 *     shim_clients.c   attach.sock and its frames
 *     shim_net.c       connections that are passed on to the container
 *     shim_names.c     questions for names, and what is known of them
 *     shim_dns.c       the container's name server
 *     shim_probe.c     when the next health check is due
 *     shim_view.c      what the container has used, for the files that show it its limits
 *     shim_options.c   what runtime/shim.py tells us
 *     shim_start.c     its name, its place, its streams
 *     shim_end.c       the last output, exit.json, the clean-up
 *     shim.c           what all share, and the loop
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define NAME "minidock:[shim]"
enum { USAGE_ERROR = 125 };
enum { FAREWELL_MS = 2000 };

static struct {
    const char *id, *dir;
    long pid;
    int listen_fd, client_fd, dns_udp_fd, dns_tcp_fd;
    bool stdin_once; /* the container's stdin ends with the client that gave it (docker run -i) */
    char **cleanup;  /* the command to become at the end, or NULL */
} options = {.listen_fd = -1, .client_fd = -1, .dns_udp_fd = -1, .dns_tcp_fd = -1};

static int run_dir = -1;     /* RUNDIR; open, so that we know when it is gone or another one */
static int exit_code = -1;   /* of the container's init; -1 while it lives */
static int exit_signal;      /* that killed it, or 0 */
static char old_oom_score[16];

static bool init_alive(void) { return exit_code < 0; }
static void clients_send(unsigned char type, const void *payload, size_t length);
static bool dns_open(int udp, int tcp);
static bool port_take(int fd, const unsigned char *told);
static void ports_drop(void);
static void set_nonblocking(int fd);
static void become(char **command);

/* A file in RUNDIR, whole or not at all (rename(2)). A failure is nobody's to hear: we have no terminal. */
static void write_run_file(const char *name, const char *text, size_t length)
{
    char temporary[64];
    int fd;

    snprintf(temporary, sizeof temporary, ".%s.tmp", name);
    fd = openat(run_dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return;
    bool written = write(fd, text, length) == (ssize_t)length;
    close(fd);
    if (!written || renameat(run_dir, temporary, run_dir, name) != 0)
        unlinkat(run_dir, temporary, 0);
}

#include "shim_buffer.c"
#include "shim_log.c"
#include "shim_rotate.c"
#include "shim_writer.c"
#include "shim_stdio.c"
#include "shim_clients.c"
#include "shim_net.c"
#include "shim_udp.c"
#include "shim_names.c"
#include "shim_dns.c"
#include "shim_probe.c"
#include "shim_view.c"
#include "shim_options.c"
#include "shim_start.c"
#include "shim_end.c"

/* The loop. */

enum { CHILDREN, LISTENER, CONSOLE, INPUT, NETWORK, WRITER, OUTPUT, CLIENTS = OUTPUT + 3, WATCHED = CLIENTS + MAX_CLIENTS };

static int if_so(bool condition, int fd) { return condition ? fd : -1; } /* poll(2) skips descriptors below 0 */

static void watch(struct pollfd watched[WATCHED], int children)
{
    bool output_welcome = !clients_full() && !hung_up;

    watched[CHILDREN] = (struct pollfd){children, POLLIN, 0};
    watched[LISTENER] = (struct pollfd){if_so(client_place() != NULL, options.listen_fd), POLLIN, 0};
    watched[CONSOLE] = (struct pollfd){console_socket, POLLIN, 0};
    watched[INPUT] = (struct pollfd){if_so(input.queue.length > 0 && !hung_up, input.fd), POLLOUT, 0};
    watched[NETWORK] = (struct pollfd){net_fd, POLLIN, 0};
    watched[WRITER] = (struct pollfd){if_so(the_log.batched > 0, the_log.writer), POLLOUT, 0};
    watched[OUTPUT] = (struct pollfd){.fd = -1};
    for (int stream = STDOUT; stream <= STDERR; stream++)
        watched[OUTPUT + stream] = (struct pollfd){if_so(output_welcome, outputs[stream].fd), POLLIN, 0};
    for (int index = 0; index < MAX_CLIENTS; index++) {
        const struct client *client = &clients[index];
        bool readable = !(client->waits && input_full()), writable = client->queue.length > 0;
        watched[CLIENTS + index] = (struct pollfd){if_so(readable || writable, client->fd),
                                                   (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), 0};
    }
}

static void handle(const struct pollfd watched[WATCHED])
{
    if (watched[CONSOLE].revents != 0)
        terminal_receive();
    for (int index = 0; index < MAX_CLIENTS; index++) {
        struct client *client = &clients[index];
        if ((watched[CLIENTS + index].revents & (POLLOUT | POLLERR)) != 0)
            client_flush(client);
        if (watched[CLIENTS + index].revents != 0 && (watched[CLIENTS + index].events & POLLIN) != 0)
            client_read(client);
        else if ((watched[CLIENTS + index].revents & POLLHUP) != 0)
            client_flush(client); /* finds out that nobody reads any more, and stops waiting for it */
    }
    if (watched[INPUT].revents != 0)
        input_flush();
    for (int stream = STDOUT; stream <= STDERR; stream++)
        if (watched[OUTPUT + stream].revents != 0)
            output_read(stream);
    if (watched[LISTENER].revents != 0) {
        int fd = accept4(options.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        struct client *client = fd >= 0 ? client_add(fd) : NULL;
        uint32_t code = htobe32((uint32_t)exit_code);
        if (client != NULL && !init_alive())
            client_send(client, FRAME_EXIT, &code, sizeof code);
    }
    if (watched[WRITER].revents != 0)
        log_flush();
    if (watched[NETWORK].revents != 0)
        net_handle();
    if (watched[CHILDREN].revents != 0) {
        struct signalfd_siginfo information;
        if (read(watched[CHILDREN].fd, &information, sizeof information) > 0)
            reap(); /* signals of one kind don't queue: one may stand for several children */
    }
}

static bool owned(void)
{
    for (int index = 0; index < MAX_CLIENTS; index++)
        if (clients[index].fd >= 0 && clients[index].owner)
            return true;
    return false;
}

static bool all_sent(void)
{
    for (int index = 0; index < MAX_CLIENTS; index++)
        if (clients[index].fd >= 0 && clients[index].queue.length > 0)
            return false;
    return true;
}

static int sooner(int one, int other) { return one < 0 || (other >= 0 && other < one) ? other : one; }

/* How long poll(2) may wait. After the exit: for an owner, as long as it needs to clean up; for others, until they
 * have taken what is queued, or have taken nothing for FAREWELL_MS. Even with nobody to wait for, what clients have
 * sent already is looked at before we leave: it may say that somebody is the owner. */
static int patience(void)
{
    if (init_alive()) {
        int wait = sooner(probe_wait(), view_wait());
        return hung_up && (wait < 0 || wait > HUNG_UP_RETRY_MS) ? HUNG_UP_RETRY_MS : wait;
    }
    if (owned())
        return -1;
    return all_sent() ? 0 : FAREWELL_MS;
}

static void serve(int children)
{
    static struct pollfd watched[WATCHED];

    for (;;) {
        watch(watched, children);
        int ready = poll(watched, WATCHED, patience());
        if (ready > 0)
            handle(watched);
        else if (ready == 0 && !init_alive())
            return;
        else
            hung_up = false; /* time to look again whether somebody has the terminal open */
        probe_if_due();
        view_if_due();
    }
}

int main(int argc, char **argv)
{
    siginfo_t state;
    sigset_t sigchld;

    parse_and_show_name(argc, argv);
    run_dir = open(options.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (run_dir < 0)
        usage_error("can't open ", options.dir);
    if (waitid(P_PID, (id_t)options.pid, &state, WEXITED | WNOHANG | WNOWAIT) != 0)
        usage_error("not our child: --pid", "");
    settle();
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sigchld, NULL);
    int children = signalfd(-1, &sigchld, SFD_CLOEXEC | SFD_NONBLOCK);
    open_streams();
    probe_begin();
    reap(); /* it may have died before SIGCHLD was ours to see */
    serve(children);
    clean_up();
}
