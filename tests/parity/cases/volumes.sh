# volume create, ls, inspect, rm, prune. Each case names its volumes after itself ($C): other cases have theirs.

### volume-create: made, told, made again
docker volume create $C
docker volume create $C
docker volume create -o type=tmpfs $C
docker volume ls -q --filter name=$C
docker volume rm $C

### volume-create-anonymous: an id for a name
V=$(docker volume create); echo "$V"
docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Options}}' "$V"
docker volume rm "$V"

### volume-create-options: labels and options, as inspect shows them
docker volume create --label b=2 --label a=1 --label bare -o type=tmpfs -o device=tmpfs -o o=size=1m $C >/dev/null
docker volume inspect $C | grep -v -e Mountpoint -e CreatedAt
docker volume rm $C

### volume-create-bad: names and options that can't be
docker volume create a/b
docker volume create x
docker volume create -o nosuch=1 $C
docker volume create -o type=tmpfs $C
docker volume create -o device=/x $C
docker volume create -d nosuch $C
docker volume create --name $C other
docker volume create --nosuch

### volume-and-tmpfs: not both at one place
docker run --rm -v $C:/x --tmpfs /x busybox true
docker run --rm -v /tmp:/x/ --tmpfs /x busybox true

### volume-ls: the table and templates
docker volume create --label kind=$C $C >/dev/null
docker volume ls --filter label=kind=$C
docker volume ls --filter label=kind=$C --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Label "kind"}} {{.Links}} {{.Size}}'
docker volume ls --filter label=kind=$C --format 'table {{.Name}}\t{{.Labels}}'
docker volume ls --filter label=kind=$C --format '{{json .Name}}'
docker volume ls --filter label=kind=$C --format raw
docker volume ls --filter label=kind=other -q
docker volume ls --filter nosuch=1
docker volume ls --filter dangling=perhaps
docker volume ls extra
docker volume rm $C

### volume-dangling: those that no container has
docker volume create $C-1 >/dev/null
docker create --name $C -v $C-2:/v busybox true >/dev/null
docker volume ls -q --filter name=$C --filter dangling=true
docker volume ls -q --filter name=$C --filter dangling=false
docker rm $C >/dev/null
docker volume rm $C-1 $C-2

### volume-inspect: several, a missing one, templates
docker volume create $C >/dev/null
docker volume inspect $C nosuch -f '{{.Name}} {{json .Labels}}'
docker inspect --type volume -f '{{.Name}}' $C
docker inspect -f '{{.Name}}' $C
docker volume rm $C

### volume-rm: in use, missing, forced
docker create --name $C -v $C:/v busybox true >/dev/null
docker volume rm $C
docker volume rm -f $C
docker volume rm nosuch
docker volume rm -f nosuch
docker rm $C >/dev/null
docker volume rm $C nosuch
docker volume rm

### volume-copy-up: an empty volume gets what the image has, once
docker run --rm -v $C:/etc busybox sh -c 'cat /etc/passwd | head -1; echo mine > /etc/passwd'
docker run --rm -v $C:/etc busybox cat /etc/passwd
docker volume rm $C

### volume-tmpfs: a file system in memory, shared by those who run
docker volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,uid=7 $C >/dev/null
docker run -d --name $C -v $C:/v busybox sh -c 'echo kept > /v/file; sleep 100' >/dev/null
docker run --rm -v $C:/w busybox sh -c 'until [ -s /w/file ]; do sleep 0.1; done; cat /w/file; stat -c %u /w; df -k /w | tail -1 | tr -s " " | cut -d" " -f1,2'
docker rm -f $C >/dev/null
docker run --rm -v $C:/w busybox ls -A /w
docker volume rm $C

### volume-bind: a directory of the host by a name
mkdir here; echo one > here/file
docker volume create -o type=none -o o=bind -o device=$PWD/here $C >/dev/null
docker run --rm -v $C:/v busybox sh -c 'cat /v/file; echo two > /v/other'
cat here/other
docker volume rm $C; ls here

### volume-bind-missing: nothing there to mount
#~ stderr error while mounting volume .*failed to mount local volume: mount /nosuch:.*no such file or directory
docker volume create -o type=none -o o=bind -o device=/nosuch $C >/dev/null
docker run --rm -v $C:/v busybox true || echo failed
docker volume rm $C

### volume-anonymous: --rm and rm -v take it along, rm does not
count() { docker volume ls -q --filter name="$1" | wc -l; }
V=$(docker create --name $C -v /data busybox true >/dev/null; docker inspect -f '{{(index .Mounts 0).Name}}' $C)
docker rm $C >/dev/null; count $V; docker volume rm $V >/dev/null
V=$(docker create --name $C -v /data busybox true >/dev/null; docker inspect -f '{{(index .Mounts 0).Name}}' $C)
docker rm -v $C >/dev/null; count $V
V=$(docker create --rm --name $C -v /data busybox true >/dev/null; docker inspect -f '{{(index .Mounts 0).Name}}' $C)
docker start -a $C; sleep 0.5; count $V

### volume-prune-asks: without an answer nothing happens
docker volume prune </dev/null | tail -1
docker volume prune --filter nosuch=1 -f

### volume-help: a noun and its mistakes
docker volume nosuch
docker volume ls --nosuch
docker volume rm --nosuch x

### volume-nocopy: the image's files stay out, in either form; for volumes only
docker run --rm -v $C:/etc:nocopy busybox ls -A /etc
docker run --rm -v $C:/x busybox ls -A /x
docker volume rm $C
docker run --rm --mount type=volume,source=$C,target=/etc,volume-nocopy busybox ls -A /etc
docker run --rm --mount type=volume,source=$C,target=/etc,volume-nocopy=maybe busybox ls -A /etc
docker run --rm --mount type=bind,source=/tmp,target=/etc,volume-nocopy busybox ls -A /etc
docker volume rm $C

### mount-words: keys that don't go together, values that are none
docker run --rm --mount type=volume,source=$C,target=/d,bind-propagation=rprivate busybox true
docker run --rm --mount type=tmpfs,source=x,target=/d busybox true
docker run --rm --mount type=tmpfs,target=/d,tmpfs-size=lots busybox true
docker run --rm --mount type=tmpfs,target=/d,tmpfs-mode=rwx busybox true
docker run --rm --mount type=tmpfs,target=d busybox true
docker run --rm --mount target=/d,readonly=perhaps busybox true
docker run --rm --mount '' busybox true
docker run --rm --mount type=bind,target=/d busybox true
docker run --rm --mount type=bind,source=relative,target=/d busybox true
docker run --rm --mount type=bind,source=/tmp,target=/d,bind-propagation=nosuch busybox true
docker run --rm --mount type=bind,src=/tmp,dst=/d,ro=true busybox sh -c 'echo x > /d/x'
docker run --rm --mount type=npipe,source=/a,target=/d busybox true
docker run --rm --mount type=volume,source=$C,target=/a --mount type=volume,source=$C,target=/a busybox true

### mount-volume-options: labels and driver options of the volume that is made
docker run --rm --mount type=volume,source=$C,target=/d,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=64k busybox sh -c 'grep " /d " /proc/mounts | cut -d" " -f3'
docker volume inspect -f '{{json .Labels}} {{json .Options}}' $C
docker volume rm $C

### bind-file-kinds: written, not replaced; read-only; deep; by a link; what doesn't fit
#~ stderr (?s)/f: Read-only file system.*not a directory.*Are you.*not a directory.*Are you trying to mount a directory onto a file \(or vice-versa\)
echo a > f
docker run --rm -v $PWD/f:/f busybox sh -c 'echo b >> /f; mv /f /g; rm /f; cat /f'; cat f
docker run --rm -v $PWD/f:/f:ro busybox sh -c 'echo b >> /f'
docker run --rm -v $PWD/f:/new/dir/f busybox cat /new/dir/f
docker run --rm -v $PWD/f:/tmp busybox true; echo $?
mkdir d; docker run --rm -v $PWD/d:/etc/passwd busybox true; echo $?
ln -s f l; docker run --rm -v $PWD/l:/l busybox cat /l
ln -s nowhere dl; docker run --rm -v $PWD/dl:/l busybox true; echo $?; ls

### bind-modes: every word behind the second colon, SELinux's too
mkdir d
for m in ro rw z Z ro,z rw,Z rprivate private rshared shared rslave slave ro,rslave nocopy consistent cached,ro delegated ro,rw z,Z rprivate,rshared ''; do
  docker run --rm -v $PWD/d:/d:$m busybox sh -c 'grep " /d " /proc/mounts | cut -d" " -f4 | cut -d, -f1'; echo "$m $?"
done

### volume-modes: every word for a volume
for m in ro rw z Z nocopy ro,nocopy nocopy,ro rshared rslave consistent ''; do
  docker run --rm -v $C:/d:$m busybox sh -c 'grep " /d " /proc/mounts | cut -d" " -f4 | cut -d, -f1'; echo "$m $?"
done
docker volume rm $C

### volume-owner: the new volume has owner and mode of the directory that it covers
docker run --rm -v $C:/tmp busybox stat -c '%a %u:%g' /tmp
docker run --rm -v $C:/x busybox stat -c '%a %u:%g' /x
docker volume rm $C
docker run --rm -v $C:/var/spool/mail busybox stat -c '%a %u:%g' /var/spool/mail
docker volume rm $C
docker run --rm -v $C:/nothing/there busybox stat -c '%a %u:%g' /nothing/there /nothing
docker volume rm $C

### mount-tmpfs-options: sizes and modes, rights of --tmpfs
for s in 64k 1m 0 1g 100; do docker run --rm --mount type=tmpfs,target=/t,tmpfs-size=$s busybox sh -c 'df -k /t | tail -1 | tr -s " " | cut -d" " -f2'; done
for m in 700 0755 1777 4755 9; do docker run --rm --mount type=tmpfs,target=/t,tmpfs-mode=$m busybox stat -c %a /t; done
docker run --rm --tmpfs /t:mode=0755,uid=7,gid=8,noexec,size=1m,nr_inodes=10 busybox sh -c 'stat -c "%a %u %g" /t; grep " /t " /proc/mounts | cut -d" " -f4'
docker run --rm --tmpfs /t:rw,suid,dev,exec busybox sh -c 'grep " /t " /proc/mounts | cut -d" " -f4'
docker run --rm --tmpfs /t:ro busybox sh -c 'grep " /t " /proc/mounts | cut -d" " -f4'
