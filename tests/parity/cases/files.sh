# Mounts, devices, host names: what the file system looks like from inside.

### mounts: every mount's place, kind and options, in order
# Not compared: devices and numbers, sizes of memory, what the two tell overlayfs, and that Docker's root is a slave.
docker run --rm busybox awk '{ $1 = $2 = $3 = ""; sub(/^ */, ""); print }' /proc/self/mountinfo | grep -v cgroup | sed -E '
    s/ master:[0-9]+//; s/ - overlay .*/ - overlay/; s#^[^ ]*/containers/[^ ]*/#FILE:#
    s/size=[0-9]+k/size=N/; s/,inode64//; s# - ([a-z0-9]+) /dev/[a-z0-9]+ .*# - \1 DISK#'

### mounts-privileged: nothing masked or read-only
#~ feature cap-sys-resource
docker run --rm --privileged busybox awk '{print $5, $6}' /proc/self/mountinfo | grep -v cgroup

### mounts-cgroup: the control groups are there, read-only
docker run --rm busybox sh -c 'ls /sys/fs/cgroup; awk "\$5 ~ /cgroup/ {print \$6}" /proc/self/mountinfo | sort | uniq -c'

### devices: names, kinds, modes, owners, numbers
docker run --rm busybox sh -c 'cd /dev; for f in $(ls); do stat -c "%n %F %a %u:%g %t:%T" $f; done'

### devices-links: where the links point
docker run --rm busybox sh -c 'cd /dev; for f in fd stdin stdout stderr core ptmx; do echo $f $(readlink $f); done; ls pts'

### devices-with-tty: /dev/console exists with -t
docker run --rm -t busybox sh -c 'stat -c "%n %F %a %t:%T" /dev/console /dev/tty; ls /dev/pts' | tr -d '\r'

### device-mknod-allowed: any node may be made
docker run --rm busybox sh -c 'mknod /tmp/x b 8 0 && stat -c %F /tmp/x'

### device-open-denied: not every node may be opened
docker run --rm busybox sh -c 'mknod /tmp/x c 1 1 && cat /tmp/x | head -c 1'

### device-open-allowed: null, zero, full, random, tty
docker run --rm busybox sh -c 'head -c 3 /dev/zero | od -c | head -n 1; echo x > /dev/full; echo x > /dev/null && echo ok; head -c 4 /dev/urandom | wc -c'

### device-flag: --device gives a node with its rights
docker run --rm --device /dev/full:/dev/other:r busybox sh -c 'stat -c "%n %F %t:%T" /dev/other; head -c 1 /dev/other | wc -c; echo x > /dev/other'

### device-missing: no such device on the host
#~ stderr error gathering device information while adding custom device "/dev/nosuch": no such file or directory
docker run --rm --device /dev/nosuch busybox true

### masked: paths that read as empty
docker run --rm busybox sh -c 'for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do test -e $f && echo $f $(head -c 10 $f | wc -c); done; for d in /proc/acpi /proc/scsi /sys/firmware; do test -d $d && echo $d $(ls $d | wc -l); done'

### read-only-paths: parts of /proc that can't be written
docker run --rm busybox sh -c 'for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/mm/transparent_hugepage/enabled; do sh -c "echo x > $f" 2>&1; done'

### hostname: the first twelve digits of the id
docker run --name $C busybox hostname | wc -c
docker run --rm -h given busybox sh -c 'hostname; cat /etc/hostname; cat /proc/sys/kernel/hostname'

### hostname-in-environment: HOSTNAME too
docker run --rm -h given busybox sh -c 'echo $HOSTNAME'

### hostname-dotted: a full name in --hostname
docker run --rm -h a.b.c busybox sh -c 'hostname; cat /etc/hosts | tail -n 1 | cut -f2'

### domainname: --domainname
docker run --rm -h given --domainname example.org busybox sh -c 'hostname; cat /proc/sys/kernel/domainname; tail -n 1 /etc/hosts | cut -f2'

### hosts: /etc/hosts
docker run --rm -h given busybox cat /etc/hosts

### hosts-none: /etc/hosts without a network
docker run --rm -h given --network none busybox cat /etc/hosts

### hosts-added: --add-host
docker run --rm --add-host one:10.1.2.3 --add-host two:fe80::1 busybox grep -e one -e two /etc/hosts

### hosts-added-bad: wrong --add-host
docker run --rm --add-host one busybox true

### hosts-added-bad-address: not an address
docker run --rm --add-host one:nowhere busybox true

### resolv-conf-flags: --dns, --dns-search, --dns-option
docker run --rm --dns 10.9.8.7 --dns 10.9.8.8 --dns-search example.org --dns-option ndots:3 busybox grep -v '^#' /etc/resolv.conf

### resolv-conf-bad: --dns wants an address
docker run --rm --dns nowhere busybox true

### etc-files-owner: who owns the three files and what may be done
docker run --rm busybox stat -c '%n %a %u:%g' /etc/hosts /etc/hostname /etc/resolv.conf
docker run --rm busybox sh -c 'echo 10.0.0.9 written >> /etc/hosts && tail -n 1 /etc/hosts'

### read-only: --read-only lets nothing be written but the usual places
docker run --rm --read-only busybox sh -c 'echo x > /file; echo x > /tmp/file; echo x > /dev/shm/file && echo shm; mkdir /dev/x; echo x >> /etc/hosts && echo hosts'

### tmpfs: default options
docker run --rm --tmpfs /scratch busybox sh -c 'grep " /scratch " /proc/mounts; stat -c %a /scratch'

### tmpfs-options: size, mode, exec
docker run --rm --tmpfs /scratch:size=64k,mode=700,exec busybox sh -c 'grep " /scratch " /proc/mounts | cut -d" " -f3,4; stat -c %a /scratch; dd if=/dev/zero of=/scratch/f bs=1k count=100 2>&1 | grep -v copied'

### tmpfs-over-files: what the image had there is hidden
docker run --rm --tmpfs /etc busybox ls /etc

### tmpfs-relative: refused
docker run --rm --tmpfs scratch busybox true

### tmpfs-bad-option: refused
#~ stderr nosuch
docker run --rm --tmpfs /scratch:nosuch busybox true

### bind: a directory, both ways
mkdir d; echo outside > d/file
docker run --rm -v $PWD/d:/d busybox sh -c 'cat /d/file; echo inside > /d/new'
cat d/new

### bind-read-only: :ro
mkdir d
docker run --rm -v $PWD/d:/d:ro busybox sh -c 'echo x > /d/new; grep " /d " /proc/mounts | cut -d" " -f4 | cut -d, -f1'

### bind-file: a single file
echo outside > f
docker run --rm -v $PWD/f:/etc/passwd busybox cat /etc/passwd

### bind-missing-source: a directory is made on the host
docker run --rm -v $PWD/made/here:/d busybox ls -ld /d | cut -c1-10
stat -c '%F %a %u' made/here

### bind-new-target: the place is made in the container
mkdir d
docker run --rm -v $PWD/d:/deep/er/place busybox stat -c '%F %a' /deep /deep/er

### bind-relative: a relative source is not a volume's name
docker run --rm -v ./../d/x:/d busybox true; echo $?
docker run --rm -v 'b@d:/d' busybox true

### bind-relative-target: refused
docker run --rm -v /tmp:relative busybox true

### bind-target-root: refused
docker run --rm -v /tmp:/ busybox true

### bind-bad-mode: refused
docker run --rm -v /tmp:/d:nosuch busybox true

### bind-too-many-colons: refused
docker run --rm -v /a:/b:ro:z:x busybox true

### bind-twice: the same target twice
docker run --rm -v /tmp:/d -v /var:/d busybox true

### bind-propagation: private by default
mkdir d
docker run --rm -v $PWD/d:/d busybox sh -c 'grep " /d " /proc/self/mountinfo | cut -d" " -f6-8 | cut -d- -f1'

### mount-bind: --mount type=bind
mkdir d; echo outside > d/file
docker run --rm --mount type=bind,source=$PWD/d,target=/d,readonly busybox sh -c 'cat /d/file; echo x > /d/y'

### mount-bind-missing: --mount makes nothing
#~ stderr bind source path does not exist
docker run --rm --mount type=bind,source=$PWD/nosuch,target=/d busybox true

### mount-bind-no-target: refused
docker run --rm --mount type=bind,source=/tmp busybox true

### mount-bad-type: refused
docker run --rm --mount type=nosuch,source=/tmp,target=/d busybox true

### mount-bad-key: refused
docker run --rm --mount type=bind,source=/tmp,target=/d,nosuch=1 busybox true

### mount-tmpfs: with size and mode
docker run --rm --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0750 busybox sh -c 'grep " /t " /proc/mounts | cut -d" " -f3,4; stat -c %a /t'

### volume-named: kept between containers, filled from the image
docker run --rm -v ${C}-v:/etc busybox sh -c 'test -f /etc/passwd && echo filled; echo kept > /etc/mark'
docker run --rm -v ${C}-v:/d busybox cat /d/mark

### volume-remove: volume rm
docker run --rm -v ${C}-v:/d busybox true
docker volume rm ${C}-v

### volume-image: VOLUME of the image is a mount of its own
docker run --rm withvolume sh -c 'grep -c " /data " /proc/mounts; echo x > /data/y && echo written'

### volume-read-only-root: a volume is writable with --read-only
docker run --rm --read-only -v /data busybox sh -c 'echo x > /data/y && echo written'

### shm: /dev/shm is 64 MiB
docker run --rm busybox sh -c 'df -k /dev/shm | tail -n 1 | awk "{print \$2}"; grep /dev/shm /proc/mounts | cut -d" " -f1,3,4'

### shm-size: --shm-size
docker run --rm --shm-size 1m busybox sh -c 'df -k /dev/shm | tail -n 1 | awk "{print \$2}"'
docker run --rm --shm-size 2g busybox sh -c 'df -k /dev/shm | tail -n 1 | awk "{print \$2}"'

### shm-size-bad: not a size
docker run --rm --shm-size lots busybox true

### root-writable: changes stay with the container
docker run --name $C busybox sh -c 'test -f /file && cat /file; echo mine > /file'
docker start -a $C
docker run --rm busybox ls /file


### root-directory: what / is
docker run --rm busybox sh -c 'stat -c "%a %u:%g" / /tmp /root /proc /dev /dev/shm /dev/mqueue /dev/pts; ls -a /'

### dockerenv: the mark that programs look for
docker run --rm busybox sh -c 'ls -l /.dockerenv | cut -c1-10'
