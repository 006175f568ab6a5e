/* minidock-exec: the last program between the runtime and the container's command.
 *
 *   minidock-exec WIRE KEEP FILTER FLAGS HELD[,AGENT,NOTICE] PATH ARG0 [ARG ...]
 *
 * A process that executes an image's file shows, for a moment, its own program as /proc/self/exe. If that were Python,
 * an image whose shell is "#!/proc/self/exe" would start the host's Python inside the container, find it again as
 * /proc/PID/exe, and overwrite it (CVE-2019-5736 was that, with runc). So the runtime becomes this program first, from
 * a detached read-only mount: what can be found here can't be written, and does nothing but execute.
 *
 * WIRE is the socket to whoever makes the container, or -1: it reads end-of-file when the command runs (close-on-exec),
 * or one message with the errno. Descriptors below KEEP reach the command: 3, or more with --preserve-fds.
 *
 * FILTER is a file with the seccomp program, or -1. It is loaded here and not by the runtime, so that the profile has
 * to allow the container's own calls only: after it come execve(2) and at most one capset(2). HELD is a capability
 * that was kept for the load (CAP_SYS_ADMIN, where no_new_privs isn't set: seccomp(2)) and is given up now, or -1.
 *
 * AGENT is a connected socket: to whom the filter's listener goes (seccomp_unotify(2)), with the contents of the
 * file NOTICE. The filter is in force by then and may hold any call of ours, for somebody who hasn't got the listener
 * yet. So a second thread, started before and not under the filter, sends it; we wait in memory, without any call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static struct sock_filter instructions[BPF_MAXINSNS];

enum { NOT_YET = -2 };

static struct {
    int agent, notice, wire;
    atomic_int listener; /* -1 when the load failed */
    atomic_int sent;
} handover = {.listener = NOT_YET};

/* In Go's words, as runc has it: Docker's users know them from their logs. */
static const char *refusal(int error)
{
    switch (error) {
    case ENOENT: return "no such file or directory";
    case EACCES: return "permission denied";
    case ENOEXEC: return "exec format error";
    case ENOTDIR: return "not a directory";
    default: return strerror(error);
    }
}

static int refuse(int wire, const char *program, int error)
{
    char message[64];
    /* After `create` nobody waits at a wire any more: whoever reads the container's output gets to know. */
    if (wire < 0)
        dprintf(2, "exec %s: %s\n", program, refusal(error));
    int length = snprintf(message, sizeof message, "{\"kind\":\"refused\",\"number\":%d}", error);
    if (wire >= 0 && send(wire, message, (size_t)length, MSG_NOSIGNAL) != length)
        return 255;
    return error == ENOENT || error == ENOTDIR ? 127 : 126;
}

/* The second thread. It ends the whole process if the agent is gone: nobody would answer the first. */
static int hand_over(void *unused)
{
    (void)unused;
    static char notice[65536];
    ssize_t size = pread(handover.notice, notice, sizeof notice, 0);
    int listener;
    while ((listener = atomic_load(&handover.listener)) == NOT_YET)
        sched_yield();
    if (listener >= 0) {
        union { struct cmsghdr header; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
        struct iovec part = {notice, size > 0 ? (size_t)size : 0};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = sizeof control};
        control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                                          .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &listener, sizeof listener);
        if (size <= 0 || sendmsg(handover.agent, &message, MSG_NOSIGNAL) != size)
            syscall(SYS_exit_group, refuse(handover.wire, "", size <= 0 ? EINVAL : errno));
        close(listener);
        close(handover.agent);
        atomic_store(&handover.sent, 1);
    }
    return (int)syscall(SYS_exit, 0);
}

static int start_hand_over(int agent, int notice, int wire)
{
    static char stack[65536] __attribute__((aligned(16)));
    handover.agent = agent, handover.notice = notice, handover.wire = wire;
    int shared = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    return clone(hand_over, stack + sizeof stack, shared, NULL) < 0 ? -1 : 0;
}

/* Load the filter, then let go of HELD: ambient capabilities go by themselves with the inheritable one. */
static int confine(int file, unsigned flags, int held, int agent, int notice, int wire)
{
    ssize_t size = pread(file, instructions, sizeof instructions, 0);
    if (size <= 0 || size % (ssize_t)sizeof *instructions != 0)
        return errno = EINVAL, -1;
    struct sock_fprog program = {.len = (unsigned short)(size / (ssize_t)sizeof *instructions), .filter = instructions};
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    if (held >= 0) {
        if (syscall(SYS_capget, &header, sets) != 0)
            return -1;
        uint32_t keep = ~(1u << (held % 32));
        sets[held / 32].effective &= keep;
        sets[held / 32].permitted &= keep;
        sets[held / 32].inheritable &= keep;
    }
    if (agent < 0)
        flags &= ~(unsigned)(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    else if (start_hand_over(agent, notice, wire) != 0)
        return -1;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (agent >= 0) {
        atomic_store(&handover.listener, listener);
        while (listener >= 0 && !atomic_load(&handover.sent))
            ;
    }
    if (listener < 0)
        return -1;
    return held >= 0 ? (int)syscall(SYS_capset, &header, sets) : 0;
}

int main(int argc, char *argv[])
{
    if (argc < 8)
        return 255;
    int wire = atoi(argv[1]), filter = atoi(argv[3]), held = -1, agent = -1, notice = -1;
    if (sscanf(argv[5], "%d,%d,%d", &held, &agent, &notice) < 1)
        return 255;
    /* Nothing but what was asked for reaches the command. */
    if (close_range((unsigned)atoi(argv[2]), ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
        (filter < 0 || confine(filter, (unsigned)atoi(argv[4]), held, agent, notice, wire) == 0))
        execve(argv[6], argv + 7, environ);
    return refuse(wire, argv[6], errno);
}
