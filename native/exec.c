/* minidock-exec: the last program between the runtime and the container's command.
 *
 *   minidock-exec WIRE PATH ARG0 [ARG ...]
 *
 * A process that executes an image's file shows, for a moment, its own program as /proc/self/exe. If that were Python,
 * an image whose shell is "#!/proc/self/exe" would start the host's Python inside the container, find it again as
 * /proc/PID/exe, and overwrite it (CVE-2019-5736 was that, with runc). So the runtime becomes this program first, from
 * a detached read-only mount: what can be found here can't be written, and does nothing but execute.
 *
 * WIRE is the socket to whoever makes the container, or -1: it reads end-of-file when the command runs (close-on-exec),
 * or one message with the errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char *argv[])
{
    if (argc < 4)
        return 255;
    int wire = atoi(argv[1]);
    /* Nothing but 0, 1 and 2 reaches the command. */
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        execve(argv[2], argv + 3, environ);
    int error = errno;
    if (wire >= 0) {
        char message[64];
        int length = snprintf(message, sizeof message, "{\"kind\":\"refused\",\"number\":%d}", error);
        if (send(wire, message, (size_t)length, MSG_NOSIGNAL) != length)
            return 255;
    }
    return error == ENOENT || error == ENOTDIR ? 127 : 126;
}
