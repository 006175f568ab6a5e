/* clone3(2) as a fork that returns twice into Python: 0 in the child, the child's pid in the parent, -1 with errno.
 * `flags` are CLONE_* bits; `cgroup_fd` a directory of a cgroup2 hierarchy to be born in, or -1. */
long md_clone3(uint64_t flags, int cgroup_fd);
