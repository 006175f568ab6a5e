/* System calls that Python 3.11 has no name for. All return -1 and set errno on failure, as in their man pages. */

/* mounts: mount(2), umount2(2), pivot_root(2), open_tree(2), move_mount(2), fsopen(2), mount_setattr(2) */
int md_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int md_umount2(const char *target, int flags);
int md_pivot_root(const char *new_root, const char *put_old);
int md_open_tree(int dirfd, const char *path, unsigned int flags);
int md_move_mount(int from_dirfd, const char *from_path, int to_dirfd, const char *to_path, unsigned int flags);
int md_fsopen(const char *fsname, unsigned int flags);
int md_fsconfig(int fd, unsigned int cmd, const char *key, const char *value, int aux);
int md_fsmount(int fs_fd, unsigned int flags, unsigned int attr_flags);
int md_mount_setattr(int dirfd, const char *path, unsigned int flags, uint64_t attr_set, uint64_t attr_clr,
                     uint64_t propagation, uint64_t userns_fd);

/* files: openat2(2), close_range(2). md_make_file is a new file from openat(2) to close(2) in one call, for whoever makes
 * a hundred thousand of them; uid 0xffffffff leaves the owner as it is, `chmod` says whether the umask is in the way. */
int md_make_file(int dirfd, const char *name, const char *data, size_t at, size_t size, uint32_t uid, uint32_t gid,
                 uint32_t mode, int chmod, int64_t seconds, long nanoseconds);
int md_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int md_close_range(unsigned int first, unsigned int last, int flags);

/* namespaces: unshare(2), setns(2), sethostname(2), setdomainname(2) */
int md_unshare(int flags);
int md_setns(int fd, int nstype);
int md_sethostname(const char *name, size_t length);
int md_setdomainname(const char *name, size_t length);

/* credentials: capget(2), capset(2), prctl(2), setgroups(2), setresuid(2), setresgid(2).
 * The raw calls: they change the calling thread only, and need no libc state. */
int md_capget(uint64_t sets[3]);       /* effective, permitted, inheritable */
int md_capset(const uint64_t sets[3]);
int md_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5);
int md_setgroups(size_t count, const uint32_t *groups);
int md_setresuid(uint32_t real, uint32_t effective, uint32_t saved);
int md_setresgid(uint32_t real, uint32_t effective, uint32_t saved);

/* seccomp(2) SECCOMP_SET_MODE_FILTER: `filter` is an array of `count` struct sock_filter (8 bytes each).
 * Returns 0, or the listener's descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER. */
int md_seccomp_filter(unsigned int flags, const void *filter, unsigned short count);

/* bpf(2): `attr` is a union bpf_attr of `size` bytes, filled in by the caller. */
int md_bpf(int cmd, void *attr, unsigned int size);

/* processes: pidfd_open(2), pidfd_send_signal(2), keyctl(2) KEYCTL_JOIN_SESSION_KEYRING, sched_setattr(2), ioprio_set(2) */
int md_pidfd_open(int pid, unsigned int flags);
int md_pidfd_send_signal(int pidfd, int sig);
long md_join_session_keyring(const char *name);
int md_personality(unsigned long persona);
int md_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits); /* set_mempolicy(2) */
int md_ioprio_set(int which, int who, int ioprio);
int md_sched_setattr(int pid, void *attr, unsigned int flags);
int md_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);

/* inotify(7): inotify_init1(2), inotify_add_watch(2) */
int md_inotify_init1(int flags);
int md_inotify_add_watch(int fd, const char *path, uint32_t mask);
