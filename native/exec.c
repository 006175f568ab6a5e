/* minidock-exec: the last program between the runtime and the container's command.
 *
 *   minidock-exec WIRE KEEP FILTER FLAGS HELD PATH ARG0 [ARG ...]
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
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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

/* Load the filter, then let go of HELD: ambient capabilities go by themselves with the inheritable one. */
static int confine(int file, unsigned flags, int held)
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
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
        return -1;
    return held >= 0 ? (int)syscall(SYS_capset, &header, sets) : 0;
}

int main(int argc, char *argv[])
{
    if (argc < 8)
        return 255;
    int wire = atoi(argv[1]), filter = atoi(argv[3]);
    /* Nothing but what was asked for reaches the command. */
    if (close_range((unsigned)atoi(argv[2]), ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
        (filter < 0 || confine(filter, (unsigned)atoi(argv[4]), atoi(argv[5])) == 0))
        execve(argv[6], argv + 7, environ);
    int error = errno;
    if (wire >= 0) {
        char message[64];
        int length = snprintf(message, sizeof message, "{\"kind\":\"refused\",\"number\":%d}", error);
        if (send(wire, message, (size_t)length, MSG_NOSIGNAL) != length)
            return 255;
    }
    return error == ENOENT || error == ENOTDIR ? 127 : 126;
}
