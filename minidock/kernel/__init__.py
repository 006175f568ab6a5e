"""One file, one kernel idea; the only door to system calls, cgroups, netlink, nftables and bpf."""
