# The rarer flags of run and create: block devices, cgroups, volumes of others, propagation, namespaces.

### device-rates: four ceilings reach the kernel
disk=$(lsblk -dnpo NAME | grep -v -e zram -e loop | head -n 1)
docker run -d --name $C --device-read-bps $disk:1mb --device-write-bps $disk:2097152 \
    --device-read-iops $disk:300 --device-write-iops $disk:400 busybox sleep 100 >/dev/null
limit $C blkio blkio.throttle.read_bps_device io.max
limit $C blkio blkio.throttle.write_bps_device io.max
limit $C blkio blkio.throttle.read_iops_device io.max
limit $C blkio blkio.throttle.write_iops_device io.max

### device-rates-inspect: and are told
docker create --name $C --device-read-bps /dev/null:1mb --device-write-iops /dev/null:4 busybox >/dev/null
docker inspect --format '{{json .HostConfig.BlkioDeviceReadBps}} {{json .HostConfig.BlkioDeviceWriteIOps}}' $C

### device-rate-no-device: a path that isn't below /dev
docker run --rm --device-read-bps sda:1mb busybox true

### device-rate-bad: not a rate
docker run --rm --device-write-bps /dev/sda:fast busybox true

### device-rate-no-rate: nothing behind the path
docker run --rm --device-write-bps /dev/sda busybox true

### device-iops-bad: a negative number
docker run --rm --device-read-iops /dev/sda:-1 busybox true

### device-rate-missing: no such device
docker run --rm --device-read-bps /dev/nosuch:1mb busybox true

### device-rate-not-a-disk: a device, but not one with blocks
#~ stderr [Nn]o such device
docker run --rm --device-read-bps /dev/null:1mb busybox true

### blkio-weight: who goes first when the disk is busy
docker run -d --name $C --blkio-weight 300 busybox sleep 100 >/dev/null
limit $C blkio blkio.bfq.weight io.bfq.weight

### blkio-weight-too-large: 16 bits
docker run --rm --blkio-weight 65536 busybox true

### blkio-weight-word: not a number
docker run --rm --blkio-weight heavy busybox true

### blkio-weight-device-bad: below the range
docker run --rm --blkio-weight-device /dev/sda:4 busybox true

### blkio-weight-device-no-weight: nothing behind the path
docker run --rm --blkio-weight-device /dev/sda busybox true

### cgroup-parent: below a cgroup of one's own
docker run -d --name $C --cgroup-parent /$C busybox sleep 100 >/dev/null
cut -d: -f3 /proc/$(pid $C)/cgroup | sort -u
docker inspect --format '{{.HostConfig.CgroupParent}}' $C
docker rm -f $C
find /sys/fs/cgroup -maxdepth 2 -name $C -exec rmdir {} + 2>/dev/null || :

### memory-swappiness: the kernel's file
#~ feature cgroup-v1
docker run -d --name $C --memory 64m --memory-swappiness 30 busybox sleep 100 >/dev/null
limit $C memory memory.swappiness

### memory-swappiness-range: refused
docker run --rm --memory-swappiness 101 busybox true

### oom-kill-disable: nobody is killed at the limit
#~ feature cgroup-v1
docker run -d --name $C --memory 64m --oom-kill-disable busybox sleep 100 >/dev/null
limit $C memory memory.oom_control | head -n 1

### oom-kill-disable-warning: without a limit that may take the machine down
#~ feature cgroup-v1
docker run --rm --oom-kill-disable busybox true

### cpu-rt-period: real time, counted in periods
#~ feature cgroup-v1
docker run -d --name $C --cpu-rt-period 200000 busybox sleep 100 >/dev/null
limit $C cpu cpu.rt_period_us

### cpu-rt-more-than-all: a runtime above the period
docker run --rm --cpu-rt-runtime 2000000 --cpu-rt-period 1000000 busybox true

### storage-opt-size: not without project quotas
docker run --rm --storage-opt size=10G busybox true

### storage-opt-unknown: no such option
docker run --rm --storage-opt colour=blue busybox true

### storage-opt-bad: not an option
docker run --rm --storage-opt size busybox true

### runtime-unknown: no such runtime
docker run --rm --runtime nosuch busybox true

### runtime-runc: what Docker has of itself may be named
docker run --name $C --runtime runc busybox echo runs
docker inspect -f '{{.HostConfig.Runtime}}' $C

### isolation: default is fine, others are not
docker run --rm --isolation default busybox echo fine
docker run --rm --isolation hyperv busybox true

### content-trust: the default may be said
docker run --rm --disable-content-trust busybox echo fine

### volumes-from: all mounts of another container, as writable as there
docker create --name $C -v $C:/named -v $PWD:/bound:ro withvolume >/dev/null
docker run --rm --volumes-from $C busybox sh -c 'grep -oE " /(named|bound|data) [a-z0-9]+ [a-z]+" /proc/mounts' | sort
docker rm -v $C; docker volume rm $C >/dev/null 2>&1 || :

### volumes-from-ro: read-only, whatever they are there
docker create --name $C -v $C:/named withvolume >/dev/null
docker run --rm --volumes-from $C:ro busybox sh -c 'touch /named/x; touch /data/x'

### volumes-from-inspect: what the container then says
docker create --name $C -v $C:/named:rw -v $PWD:/bound:ro busybox >/dev/null
docker create --name $C-2 --volumes-from $C:ro busybox >/dev/null
docker inspect --format '{{json .HostConfig.VolumesFrom}}' $C-2
docker inspect --format '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{.Mode}} {{.Propagation}}{{println}}{{end}}' $C-2 | sort

### volumes-from-order: one's own mount wins over another's, a later container over an earlier
mkdir one two three; touch one/first two/second three/third
docker create --name $C -v $PWD/one:/a -v $PWD/one:/b busybox >/dev/null
docker create --name $C-2 -v $PWD/two:/a -v $PWD/two:/b busybox >/dev/null
docker run --rm --volumes-from $C --volumes-from $C-2 -v $PWD/three:/b busybox ls /a /b

### volumes-from-tmpfs-over: a tmpfs at the same place wins
docker create --name $C withvolume >/dev/null
docker run --rm --volumes-from $C --tmpfs /data busybox sh -c 'grep -o " /data tmpfs" /proc/mounts'

### volumes-from-kept: what another still uses isn't removed
docker create --name $C withvolume >/dev/null
docker run --name $C-2 --volumes-from $C busybox sh -c 'echo kept >/data/file'
docker rm -v $C-2
docker run --rm --volumes-from $C busybox cat /data/file

### volumes-from-missing: no such container
docker run --rm --volumes-from nosuch busybox true

### volumes-from-mode: not a mode
docker create --name $C busybox >/dev/null
docker run --rm --volumes-from $C:sideways busybox true

### volumes-from-nobody: an empty name
docker run --rm --volumes-from :ro busybox true

### volume-opt-tmpfs: a volume that is a file system
docker run --rm --mount type=volume,src=$C,dst=/v,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=1m busybox \
    sh -c 'grep -o " /v tmpfs rw.*size=1024k" /proc/mounts'

### volume-opt-bind: a volume that is a directory of the host
mkdir here; touch here/it-is
docker run --rm --mount src=$C-b,dst=/v,volume-opt=type=none,volume-opt=device=$PWD/here,volume-opt=o=bind busybox ls /v

### volume-opt-missing: what is to be mounted?
docker run --rm --mount src=$C-m,dst=/v,volume-opt=type=tmpfs busybox true

### volume-opt-unknown: no such option
docker run --rm --mount src=$C-u,dst=/v,volume-opt=colour=blue busybox true

### volume-driver: local is the only one that is built in
docker run --rm --volume-driver local -v /data busybox sh -c 'grep -c " /data " /proc/mounts'

### propagation-not-shared: the host's mount has to be shared
#~ stderr path .* is mounted on .* but it is not a shared mount
docker run --rm -v $PWD:/v:rshared busybox true

### propagation-not-slave: or at least somebody's slave
#~ stderr path .* is mounted on .* but it is not a shared or slave mount
docker run --rm --mount type=bind,src=$PWD,dst=/v,bind-propagation=rslave busybox true

### propagation-shared: a mount in the container appears on the host
mkdir m; mount -t tmpfs case m; mount --make-rshared m; mkdir m/below
docker run --rm --cap-add SYS_ADMIN -v $PWD/m:/v:rshared busybox sh -c 'mount -t tmpfs inner /v/below; touch /v/below/made-inside'
ls m/below
umount m/below; umount m

### propagation-slave: a mount on the host appears in the container, not the reverse
mkdir m; mount -t tmpfs case m; mount --make-rshared m; mkdir m/below m/back
docker run -d --name $C --cap-add SYS_ADMIN -v $PWD/m:/v:rslave busybox sleep 100 >/dev/null
mount -t tmpfs outer m/below; touch m/below/made-outside
docker exec $C sh -c 'ls /v/below; mount -t tmpfs inner /v/back; touch /v/back/stays-inside'
ls m/back
docker rm -f $C >/dev/null
umount m/below; umount m

### propagation-word: what the container's mount is
mkdir m; mount -t tmpfs case m; mount --make-rshared m
docker run --rm -v $PWD/m:/v:rslave busybox sh -c 'grep " /v " /proc/self/mountinfo | grep -o " master:"'
docker run --rm -v $PWD/m:/v:rshared busybox sh -c 'grep " /v " /proc/self/mountinfo | grep -o " shared:"'
docker run --rm -v $PWD/m:/v:rprivate busybox sh -c 'grep " /v " /proc/self/mountinfo | grep -c -e shared: -e master:'
umount m

### bind-nonrecursive: what hangs below stays out
mkdir m; mount -t tmpfs case m; mkdir m/below; mount -t tmpfs below m/below; touch m/below/hidden
docker run --rm --mount type=bind,src=$PWD/m,dst=/v,bind-nonrecursive busybox ls -A /v/below
docker run --rm --mount type=bind,src=$PWD/m,dst=/v,bind-recursive=disabled busybox ls -A /v/below
docker run --rm --mount type=bind,src=$PWD/m,dst=/v busybox ls -A /v/below
umount m/below; umount m

### bind-labels: z and Z are taken, whatever the host's security module
docker run --rm -v $PWD:/v:z -v $PWD:/w:ro,Z busybox sh -c 'for m in /v /w; do grep " $m " /proc/mounts | grep -o " r[ow],"; done'

### mount-consistency: a word for other systems
docker run --rm --mount type=bind,src=$PWD,dst=/v,consistency=cached busybox echo fine

### mount-tmpfs-readonly: an empty directory that stays so
docker run --rm --mount type=tmpfs,dst=/v,readonly busybox touch /v/x

### device-directory: all devices in it
docker run --rm --device /dev/net:/dev/inside busybox sh -c 'ls -l /dev/inside | cut -c1-10,30-60 | grep tun | cut -c1-10'

### device-read-only: r alone lets nothing be written
docker run --rm --device /dev/zero:/dev/sub/null:r busybox sh -c 'head -c 1 /dev/sub/null | wc -c; mknod /tmp/z c 1 5; echo x >/tmp/z'

### device-not-a-node: a directory without devices
docker run --rm --device /etc busybox true

### device-bad-mode: not a right
docker run --rm --device /dev/null:/dev/x:rx busybox true

### device-relative: not a path
docker run --rm --device null busybox true

### device-rule: a rule opens what no --device names
docker run --rm --device-cgroup-rule 'c 10:237 rwm' busybox sh -c 'mknod /node c 10 237 && (exec 3<>/node) && echo opened'

### device-rule-bad: not a rule
docker run --rm --device-cgroup-rule 'c 10 rwm' busybox true

### ipc-none: no shared memory
docker run --rm --ipc none busybox sh -c 'grep -c shm /proc/mounts; ls -A /dev/shm'

### ipc-private: a private one isn't joined
docker run -d --name $C busybox sleep 100 >/dev/null
docker run --rm --ipc container:$C busybox true

### ipc-shared-memory: joining one shares /dev/shm
docker run -d --name $C --ipc shareable busybox sh -c 'echo shared >/dev/shm/file; exec sleep 100' >/dev/null
until docker exec $C test -s /dev/shm/file; do sleep 0.1; done
docker run --rm --ipc container:$C busybox cat /dev/shm/file

### uts-of-container: there is no such mode
docker run --rm --uts container:nosuch busybox true

### userns-bad: not a mode
docker run --rm --userns nosuch busybox true

### pid-of-missing: no such container
docker run --rm --pid container:nosuch busybox true

### sysctl-of-the-host: not in a namespace that is the host's
#~ stderr sysctl .net.ipv4.ip_forward. .*not allowed
docker run --rm --network host --sysctl net.ipv4.ip_forward=1 busybox true

### dns-of-loopback: a warning, since nobody listens there in the container
docker run --rm --dns 127.0.0.1 busybox true

### expose-bad: a range without an end
docker run --rm --expose 80- busybox true

### expose-backwards: the end before the start
docker run --rm --expose 82-80 busybox true

### expose-range: each port of it
docker create --name $C --expose 80-82/udp busybox >/dev/null
docker inspect --format '{{json .Config.ExposedPorts}}' $C

### init-and-signals: --init passes a signal on, and its exit code back
docker run -d --name $C --init busybox sh -c 'trap "exit 5" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker kill -s USR1 $C >/dev/null
docker wait $C

### init-unblocks: process 1 that dies of TERM by its child
docker run -d --name $C --init busybox sleep 100 >/dev/null
docker stop --time 60 $C >/dev/null
docker inspect --format '{{.State.ExitCode}} {{.HostConfig.Init}}' $C

### stop-timeout-zero: killed at once
docker run -d --name $C --stop-timeout 0 busybox sh -c 'trap : TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker stop $C >/dev/null
docker inspect --format '{{.State.ExitCode}} {{.Config.StopTimeout}}' $C
