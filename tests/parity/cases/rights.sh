# Capabilities, system calls, limits: what the kernel lets the command do.

### capabilities: the default set, in all five
docker run --rm busybox grep Cap /proc/self/status

### capabilities-user: a user that isn't root has none in effect
docker run --rm -u mail busybox grep Cap /proc/self/status

### capabilities-add: --cap-add
docker run --rm --cap-add SYS_ADMIN --cap-add net_admin busybox grep Cap /proc/self/status

### capabilities-add-user: added ones for a user that isn't root
docker run --rm -u mail --cap-add NET_ADMIN busybox grep Cap /proc/self/status

### capabilities-prefix: CAP_ may be said
docker run --rm --cap-drop CAP_CHOWN busybox grep CapEff /proc/self/status

### capabilities-drop-all: --cap-drop ALL
docker run --rm --cap-drop ALL busybox grep Cap /proc/self/status

### capabilities-drop-all-but: one is kept
docker run --rm --cap-drop all --cap-add CHOWN busybox grep CapEff /proc/self/status

### capabilities-add-all-but: all but one
#~ feature cap-sys-resource
docker run --rm --cap-add ALL --cap-drop MKNOD busybox sh -c 'grep CapEff /proc/self/status'

### capabilities-unknown: refused
#~ stderr unknown capability.*NOSUCH
docker run --rm --cap-add NOSUCH busybox true

### privileged: everything
#~ feature cap-sys-resource
docker run --rm --privileged busybox sh -c 'grep -E "Cap|Seccomp:|NoNewPrivs" /proc/self/status; test -e /dev/kmsg && echo kmsg'

### privileged-can-mount: mount works
#~ feature cap-sys-resource
docker run --rm --privileged busybox sh -c 'mount -t tmpfs x /tmp && grep -c " /tmp " /proc/mounts'

### seccomp: a filter is on
docker run --rm busybox grep -E 'Seccomp|NoNewPrivs' /proc/self/status

### seccomp-unconfined: or off
docker run --rm --security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status

### seccomp-profile: one's own profile
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}' > profile.json
docker run --rm --security-opt seccomp=profile.json busybox mkdir /tmp/x

### seccomp-missing-file: no such profile
#~ stderr opening seccomp profile \(nosuch\) failed: open nosuch: no such file or directory
docker run --rm --security-opt seccomp=nosuch busybox true

### denied-unshare: no new namespaces
docker run --rm busybox unshare -m true
docker run --rm busybox unshare -U true

### denied-mount: no mounts
docker run --rm busybox mount -t tmpfs x /tmp

### denied-hostname: no new host name
docker run --rm busybox hostname other

### denied-clock: no new time
docker run --rm busybox date -s 2020-01-01 >/dev/null

### denied-sysctl: /proc/sys is read-only
docker run --rm busybox sysctl -w kernel.shmmax=1

### denied-chroot-allowed: chroot is one of the fourteen
docker run --rm busybox chroot / true && echo allowed

### no-new-privileges: the bit is set
docker run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status
docker run --rm --security-opt no-new-privileges=false busybox grep NoNewPrivs /proc/self/status

### security-opt-unknown: refused
docker run --rm --security-opt nosuch=1 busybox true

### ulimit-default: what an engine leaves alone
docker run --rm busybox grep -E 'stack|core|processes' /proc/self/limits

### ulimit: --ulimit soft:hard
docker run --rm --ulimit nofile=100:200 --ulimit core=0 busybox grep -E 'open files|core' /proc/self/limits

### ulimit-unlimited: -1
#~ feature cap-sys-resource
docker run --rm --ulimit memlock=-1:-1 busybox grep -E 'locked memory' /proc/self/limits

### ulimit-one: a single value is both
docker run --rm --ulimit nproc=500 busybox grep processes /proc/self/limits

### ulimit-unknown: refused
docker run --rm --ulimit nosuch=1 busybox true

### ulimit-soft-over-hard: refused
docker run --rm --ulimit nofile=10:5 busybox true

### memory: the limit the kernel was given
docker run -d --name $C --memory 64m busybox sleep 100 >/dev/null
limit $C memory memory.limit_in_bytes memory.max
docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' $C

### memory-swap: both
docker run -d --name $C -m 64m --memory-swap 128m --memory-reservation 32m busybox sleep 100 >/dev/null
limit $C memory memory.memsw.limit_in_bytes memory.swap.max
limit $C memory memory.soft_limit_in_bytes memory.low
docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.MemoryReservation}}' $C

### memory-too-small: refused
#~ stderr Minimum memory limit allowed is
docker run --rm -m 1m busybox true

### memory-bad: not a size
docker run --rm -m lots busybox true

### memory-swap-smaller: refused
#~ stderr Minimum memoryswap limit should be larger than memory limit
docker run --rm -m 64m --memory-swap 32m busybox true

### memory-swap-alone: refused
#~ stderr You should always set the Memory limit when using Memoryswap limit
docker run --rm --memory-swap 64m busybox true

### memory-reservation-larger: refused
#~ stderr Minimum memory limit can not be less than memory reservation limit
docker run --rm -m 32m --memory-reservation 64m busybox true

### out-of-memory: 137, and said so
docker run --name $C -m 20m --memory-swap 20m busybox sh -c 'tail /dev/zero' >/dev/null 2>&1
echo $?
docker inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}' $C

### cpus: --cpus is quota and period
docker run -d --name $C --cpus 0.5 busybox sleep 100 >/dev/null
limit $C cpu cpu.cfs_quota_us cpu.max
limit $C cpu cpu.cfs_period_us cpu.max
docker inspect --format '{{.HostConfig.NanoCpus}} {{.HostConfig.CpuQuota}}' $C

### cpu-shares: --cpu-shares
docker run -d --name $C --cpu-shares 512 busybox sleep 100 >/dev/null
limit $C cpu cpu.shares cpu.weight

### cpu-quota: --cpu-period and --cpu-quota
docker run -d --name $C --cpu-period 50000 --cpu-quota 25000 busybox sleep 100 >/dev/null
limit $C cpu cpu.cfs_quota_us cpu.max
limit $C cpu cpu.cfs_period_us cpu.max

### cpuset: --cpuset-cpus
docker run -d --name $C --cpuset-cpus 1 --cpuset-mems 0 busybox sleep 100 >/dev/null
limit $C cpuset cpuset.cpus cpuset.cpus
docker exec $C grep Cpus_allowed_list /proc/self/status

### cpus-too-many: refused
#~ stderr (R|r)ange of CPUs is from 0.01 to
docker run --rm --cpus 1000 busybox true

### cpus-bad: not a number
docker run --rm --cpus many busybox true

### cpus-and-quota: they exclude each other
#~ stderr Conflicting options: (Nano CPUs|CPU Quota) and (CPU Quota|Nano CPUs|CPU Period) cannot both be set
docker run --rm --cpus 1 --cpu-quota 1000 busybox true

### cpuset-too-many: refused
#~ stderr Requested CPUs are not available
docker run --rm --cpuset-cpus 900 busybox true

### cpuset-bad: not a list
#~ stderr (Invalid value nosuch for cpuset cpus|failed to parse CPU)
docker run --rm --cpuset-cpus nosuch busybox true

### pids-limit: --pids-limit
docker run -d --name $C --pids-limit 7 busybox sleep 100 >/dev/null
limit $C pids pids.max pids.max
docker exec $C sh -c 'sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 & sleep 5 &' 2>&1 | sort -u

### oom-score-adj: --oom-score-adj
docker run --rm --oom-score-adj 321 busybox cat /proc/self/oom_score_adj
docker run --rm busybox cat /proc/self/oom_score_adj

### oom-score-adj-bad: out of range
#~ stderr Invalid value 2000, range for oom score adj is \[-1000, 1000\]
docker run --rm --oom-score-adj 2000 busybox true

### sysctl: --sysctl in the container's own namespaces
docker run --rm --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=9000 busybox sysctl net.ipv4.ip_forward kernel.msgmax

### sysctl-not-namespaced: refused
#~ stderr (kernel.panic|not.*namespace)
docker run --rm --sysctl kernel.panic=1 busybox true

### sysctl-defaults: what an engine sets by itself
docker run --rm busybox sysctl net.ipv4.ip_unprivileged_port_start net.ipv4.ping_group_range net.ipv4.ip_forward

### namespaces: which ones are the container's own
docker run -d --name $C busybox sleep 100 >/dev/null
for kind in ipc mnt net pid uts user time; do
    test "$(readlink /proc/$(pid $C)/ns/$kind)" = "$(readlink /proc/self/ns/$kind)" && echo $kind host || echo $kind own
done

### namespaces-host: --pid, --ipc, --uts, --network host
docker run -d --name $C --pid host --ipc host --uts host --network host busybox sleep 100 >/dev/null
for kind in ipc mnt net pid uts user; do
    test "$(readlink /proc/$(pid $C)/ns/$kind)" = "$(readlink /proc/self/ns/$kind)" && echo $kind host || echo $kind own
done

### namespaces-of-container: --network, --pid, --ipc container:NAME
docker run -d --name $C --ipc shareable busybox sleep 100 >/dev/null
docker run -d --name $C-2 --pid container:$C --network container:$C --ipc container:$C busybox sleep 101 >/dev/null
for kind in ipc mnt net pid uts; do
    test "$(readlink /proc/$(pid $C)/ns/$kind)" = "$(readlink /proc/$(pid $C-2)/ns/$kind)" && echo $kind shared || echo $kind own
done

### cgroup-namespace: whether the container sees its place in the tree
docker run -d --name $C busybox sleep 100 >/dev/null
test "$(readlink /proc/$(pid $C)/ns/cgroup)" = "$(readlink /proc/self/ns/cgroup)" && echo host || echo own

### open-descriptors: nothing leaks into the command
docker run -d --name $C busybox sleep 100 >/dev/null
ls /proc/$(pid $C)/fd

### open-descriptors-inherited: nor does what the user's shell has open
exec 7</etc/passwd 8>/dev/null
docker run --rm busybox sh -c 'ls /proc/$$/fd'

### nice-and-affinity: the user's own niceness stays outside or comes along
docker run --rm busybox sh -c 'cut -d" " -f19 /proc/$$/stat; grep Cpus_allowed_list /proc/self/status'

### process-facts: session, group, parent's number and dumpable parts of status
docker run -d --name $C busybox sleep 100 >/dev/null
grep -E '^(NSpid|NSsid|NSpgid|Umask|TracerPid|Uid|Gid|Groups)' /proc/$(pid $C)/status | sed -E 's/[0-9]+\t([0-9]+)$/N\t\1/'
