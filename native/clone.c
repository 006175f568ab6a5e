/* The birth of a container's first process.
 *
 * No stack and no CLONE_VM: the child runs on a copy of our memory, exactly as after fork(2), and goes on in Python.
 * The interpreter has to be told on both sides (PyOS_BeforeFork and its two afters): else the child inherits the
 * import lock as somebody else's. The caller must be single-threaded: a lock that another thread holds at this moment
 * stays locked in the child for ever.
 */
#include <Python.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL /* linux/sched.h, since 5.7 */
#endif

long md_clone3(uint64_t flags, int cgroup_fd)
{
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; }
        args = {.flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD}; /* else EINVAL: the parent's counts */

    if (cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd;
    }
    if (args.flags & CLONE_PARENT)
        args.exit_signal = 0; /* our parent's child gets the signal that we were born with; EINVAL for any other */
    /* cffi released the interpreter's lock around this call; the fork hooks need it. */
    PyGILState_STATE state = PyGILState_Ensure();
    PyOS_BeforeFork();
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    int saved = errno;
    if (pid == 0)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent();
    PyGILState_Release(state);
    errno = saved;
    return pid;
}
