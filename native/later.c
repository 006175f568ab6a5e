/* minidock-later: a container that is to be restarted waits here until its time has come.
 *
 * The wait may take a minute, and no Python may stay in memory for so long: this is one page of code and one of
 * stack. It prints the pid of the process that waits, which goes on in a session of its own, and which becomes the
 * command when the time is over.
 *
 *     minidock-later MILLISECONDS COMMAND [ARGUMENT…]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { USAGE_ERROR = 125, NOT_FOUND = 127 };

static void settle(void)
{
    int null = open("/dev/null", O_RDWR);

    setsid();
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    if (chdir("/") != 0)
        _exit(USAGE_ERROR);
    prctl(PR_SET_NAME, "minidock:[wait]");
    signal(SIGHUP, SIG_IGN); /* the terminal that we came from may go; whoever wants us gone sends SIGKILL or SIGTERM */
}

int main(int argc, char **argv)
{
    char *end = NULL;
    long wait = argc > 2 ? strtol(argv[1], &end, 10) : -1;

    if (wait < 0 || *end != '\0') {
        fprintf(stderr, "usage: minidock-later MILLISECONDS COMMAND [ARGUMENT...]\n");
        return USAGE_ERROR;
    }
    pid_t pid = fork();
    if (pid != 0) {
        printf("%d\n", pid);
        return pid < 0 ? USAGE_ERROR : 0;
    }
    settle();
    struct timespec left = {wait / 1000, wait % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    signal(SIGHUP, SIG_DFL); /* what is ignored would stay so across execve(2) */
    execv(argv[2], argv + 2);
    return NOT_FOUND;
}
