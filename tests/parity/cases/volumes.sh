# volume create, ls, inspect, rm, prune. Each case names its volumes after itself ($C): other cases have theirs.

### volume-create: made, told, made again
docker volume create $C
docker volume create $C
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
