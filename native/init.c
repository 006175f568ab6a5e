/* minidock-init: the process 1 of `docker run --init`.
 *
 * The kernel treats process 1 of a pid namespace specially (pid_namespaces(7)): signals that it has no handler for
 * don't reach it, and orphans become its children. Programs that don't know this ignore SIGTERM and collect zombies.
 * This one knows: it starts the real program as its child, passes all signals on to it, reaps whoever dies, and exits
 * when the program does, with its status, or 128 + n when signal n killed it. The kernel then kills all others.
 *
 *     minidock-init [--] PROGRAM [ARGUMENT…]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USAGE_ERROR = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* Signals that tell of our own mistakes stay ours; SIGCHLD means work; SIGTTIN and SIGTTOU would stop us. */
static const int not_passed_on[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};

static pid_t start(char **program, const sigset_t *mask)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    /* A group of its own, and the terminal's foreground: so ^C reaches the program and its children, not us.
     * tcsetpgrp(3) from the background raises SIGTTOU, which is ignored here; without a terminal it does nothing. */
    setpgid(0, 0);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTIN, SIG_DFL); /* what is ignored or blocked would stay so across execve(2) */
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(program[0], program);
    int reason = errno;
    fprintf(stderr, "exec %s: %s\n", program[0], strerror(reason));
    _exit(reason == ENOENT || reason == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

/* Reap everybody who is dead. True with the exit code once the program itself was among them. */
static bool reap(pid_t program, int *code)
{
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != program)
            continue;
        *code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        ended = true;
    }
    return ended;
}

int main(int argc, char **argv)
{
    char **program = argv + 1;
    sigset_t all, before;
    int code = 0, signal_number;

    if (argc > 1 && strcmp(argv[1], "--") == 0)
        program++;
    if (*program == NULL) {
        fprintf(stderr, "minidock-init: no program to start\n");
        return USAGE_ERROR;
    }
    if (getpid() != 1) /* with the host's pid namespace: orphans come to us all the same */
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    /* All signals are blocked and fetched one by one with sigwait(3): no handler, no race with waitpid(2). Blocked
     * ones count as handled, so the kernel delivers them even to process 1. */
    sigfillset(&all);
    for (size_t index = 0; index < sizeof not_passed_on / sizeof *not_passed_on; index++)
        sigdelset(&all, not_passed_on[index]);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = start(program, &before);
    if (pid < 0) {
        fprintf(stderr, "minidock-init: fork: %s\n", strerror(errno));
        return USAGE_ERROR;
    }
    while (!reap(pid, &code)) {
        if (sigwait(&all, &signal_number) == 0 && signal_number != SIGCHLD)
            kill(pid, signal_number);
    }
    return code;
}
