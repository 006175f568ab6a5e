/* The door to system calls: one function a call, nothing else. Newer calls go through syscall(2) because Debian 12's
 * glibc has no wrappers for all of them; the structures they take are declared here as the kernel's headers have them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int md_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
    return mount(source, target, type, flags, data);
}

int md_umount2(const char *target, int flags)
{
    return umount2(target, flags);
}

int md_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int md_open_tree(int dirfd, const char *path, unsigned int flags)
{
    return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

int md_move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags)
{
    return (int)syscall(SYS_move_mount, from_dirfd, from_path, to_dirfd, to_path, flags);
}

int md_fsopen(const char *fsname, unsigned int flags)
{
    return (int)syscall(SYS_fsopen, fsname, flags);
}

int md_fsconfig(int fd, unsigned int cmd, const char *key, const char *value, int aux)
{
    return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

int md_fsmount(int fs_fd, unsigned int flags, unsigned int attr_flags)
{
    return (int)syscall(SYS_fsmount, fs_fd, flags, attr_flags);
}

int md_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t attr_set, uint64_t attr_clr,
                     uint64_t propagation, uint64_t userns_fd)
{
    struct { uint64_t attr_set, attr_clr, propagation, userns_fd; } attr = {attr_set, attr_clr, propagation, userns_fd};
    return (int)syscall(442 /* mount_setattr, the same number everywhere */, dirfd, path, flags, &attr, sizeof(attr));
}

int md_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct { uint64_t flags, mode, resolve; } how = {flags, mode, resolve};
    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static int fill_file(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno != EINTR)
            return -1;
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

int md_make_file(int dirfd, const char *name, const char *data, size_t at, size_t size, uint32_t uid, uint32_t gid,
                 uint32_t mode, int chmod, int64_t seconds, long nanoseconds)
{
    struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
    int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
    if (fd < 0)
        return -1;
    /* chown first, for it clears setuid bits; the times last, for the others change them */
    int failed = fill_file(fd, data + at, size) != 0 || (uid != UINT32_MAX && fchown(fd, uid, gid) != 0)
                 || (chmod && fchmod(fd, mode) != 0) || futimens(fd, times) != 0;
    int why = errno;
    close(fd);
    errno = why;
    return failed ? -1 : 0;
}

int md_close_range(unsigned int first, unsigned int last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

int md_unshare(int flags)
{
    return unshare(flags);
}

int md_setns(int fd, int nstype)
{
    return setns(fd, nstype);
}

int md_sethostname(const char *name, size_t length)
{
    return sethostname(name, length);
}

int md_setdomainname(const char *name, size_t length)
{
    return setdomainname(name, length);
}

/* linux/capability.h: version 3 has two 32-bit words a set. */
struct cap_header { uint32_t version; int pid; };
struct cap_data { uint32_t effective, permitted, inheritable; };
#define CAPABILITY_VERSION_3 0x20080522

int md_capget(uint64_t sets[3])
{
    struct cap_header header = {CAPABILITY_VERSION_3, 0};
    struct cap_data data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    sets[0] = data[0].effective | (uint64_t)data[1].effective << 32;
    sets[1] = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets[2] = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

int md_capset(const uint64_t sets[3])
{
    struct cap_header header = {CAPABILITY_VERSION_3, 0};
    struct cap_data data[2];
    for (int word = 0; word < 2; word++) {
        data[word].effective = (uint32_t)(sets[0] >> (32 * word));
        data[word].permitted = (uint32_t)(sets[1] >> (32 * word));
        data[word].inheritable = (uint32_t)(sets[2] >> (32 * word));
    }
    return (int)syscall(SYS_capset, &header, data);
}

int md_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)
{
    return prctl(option, arg2, arg3, arg4, arg5);
}

int md_setgroups(size_t count, const uint32_t *groups)
{
    return (int)syscall(SYS_setgroups, count, groups);
}

int md_setresuid(uint32_t real, uint32_t effective, uint32_t saved)
{
    return (int)syscall(SYS_setresuid, real, effective, saved);
}

int md_setresgid(uint32_t real, uint32_t effective, uint32_t saved)
{
    return (int)syscall(SYS_setresgid, real, effective, saved);
}

int md_seccomp_filter(unsigned int flags, const void *filter, unsigned short count)
{
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int md_bpf(int cmd, void *attr, unsigned int size)
{
    return (int)syscall(SYS_bpf, cmd, attr, size);
}

int md_pidfd_open(int pid, unsigned int flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

int md_pidfd_send_signal(int pidfd, int sig)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

long md_join_session_keyring(const char *name)
{
    return syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, name);
}

int md_personality(unsigned long persona)
{
    return personality(persona);
}

int md_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits)
{
    return (int)syscall(SYS_set_mempolicy, mode, nodes, bits);
}

int md_ioprio_set(int which, int who, int ioprio)
{
    return (int)syscall(SYS_ioprio_set, which, who, ioprio);
}

int md_sched_setattr(int pid, void *attr, unsigned int flags)
{
    return (int)syscall(SYS_sched_setattr, pid, attr, flags);
}

int md_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
    return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}

int md_inotify_init1(int flags)
{
    return inotify_init1(flags);
}

int md_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return inotify_add_watch(fd, path, mask);
}
