# The life of a container: create, start, stop, look at, go into, remove.

### detached: run -d prints the id
docker run -d --name $C busybox sleep 100
docker ps --filter name=$C --no-trunc --format '{{.ID}} {{.Image}} {{.Command}} {{.Names}} {{.Status}} {{.State}}'

### ps-table: the table
docker run -d --name $C busybox sleep 100 >/dev/null
docker ps --filter name=$C | sed "s/$C/NAME/" | tr -s ' '

### ps-columns: the width of the columns
docker run -d --name $C busybox sh -c 'sleep 100; echo a long command line that is cut' >/dev/null
docker ps --filter name=$C --format 'table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.Ports}}\t{{.Names}}'

### ps-exited: Exited (n)
docker run --name $C busybox sh -c 'exit 42'
docker ps --filter name=$C -q
docker ps -a --filter name=$C --format '{{.Status}} {{.State}}'

### ps-created: Created
docker create --name $C busybox true >/dev/null
docker ps -a --filter name=$C --format '{{.Status}} {{.State}} {{.Ports}}'

### ps-filters: status, label, exited, ancestor
docker run --name $C --label mine=$C busybox sh -c 'exit 3'
docker ps -a --filter label=mine=$C --filter status=exited --format '{{.Names}}'
docker ps -a --filter label=mine=$C --filter exited=3 --format '{{.Names}} {{.Labels}}'
docker ps -a --filter label=mine=$C --filter ancestor=busybox --format '{{.Label "mine"}}'
docker ps -a --filter label=mine=$C --filter status=running --format '{{.Names}}'

### ps-filter-bad: an unknown filter
#~ stderr (i|I)nvalid filter '?nosuch
docker ps --filter nosuch=1

### ps-quiet: -q, --no-trunc
docker run -d --name $C busybox sleep 100 >/dev/null
docker ps -q --filter name=$C
docker ps -q --no-trunc --filter name=$C

### ps-json: --format json's members
docker run -d --name $C busybox sleep 100 >/dev/null
docker ps --filter name=$C --format json | tr ',' '\n' | cut -d: -f1 | tr -d '{' | sort

### name-conflict: a name is taken
docker create --name $C busybox true >/dev/null
docker create --name $C busybox true
docker run --name $C busybox true

### name-invalid: not every word is a name
docker run --rm --name 'bad name!' busybox true

### name-one-letter: one letter is not a name
docker create --name x busybox true

### create-start: created, then started; -a attaches
docker create --name $C busybox sh -c 'echo ran; exit 5' >/dev/null
docker start -a $C
docker start $C; docker wait $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' $C

### start-missing: no such container
docker start $C-nosuch

### start-running: starting twice is fine
docker run -d --name $C busybox sleep 100 >/dev/null
docker start $C

### wait: the exit code on standard output
docker run -d --name $C busybox sh -c 'sleep 0.3; exit 17' >/dev/null
docker wait $C

### wait-missing: no such container
docker wait $C-nosuch

### logs: both streams where they belong
docker run --name $C busybox sh -c 'echo out; sleep 0.2; echo err >&2; sleep 0.2; printf partial' >/dev/null 2>&1
docker logs $C

### logs-tail: --tail
docker run --name $C busybox seq 10 >/dev/null
docker logs --tail 2 $C
docker logs -n 0 $C
docker logs --tail all $C | wc -l

### logs-times: -t
docker run --name $C busybox echo line >/dev/null
docker logs -t $C

### logs-follow: -f ends with the container
docker run -d --name $C busybox sh -c 'echo a; sleep 1; echo b' >/dev/null
docker logs -f $C

### logs-since: --since and --until
docker run --name $C busybox echo line >/dev/null
docker logs --since 10m $C; docker logs --until 10m $C

### logs-missing: no such container
docker logs $C-nosuch

### logs-bad-tail: not a number
docker run --name $C busybox seq 3 >/dev/null
docker logs --tail some $C

### logs-tty: with a terminal
docker run -t --name $C busybox echo line </dev/null >/dev/null
docker logs $C | od -c | head -n 1

### inspect-state: State.*
docker run --name $C busybox sh -c 'exit 4'
docker inspect --format '{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{.State.Restarting}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.Pid}} {{.State.ExitCode}} [{{.State.Error}}]' $C

### inspect-running: State.* while it runs
docker run -d --name $C busybox sleep 100 >/dev/null
docker inspect --format '{{.State.Status}} {{.State.Running}} {{.State.FinishedAt}} {{.RestartCount}} {{.Path}} {{json .Args}} {{.Name}}' $C

### inspect-config: Config.*
docker create --name $C -e A=1 -w /tmp -u mail -h given --label k=v --entrypoint echo configured:1.0 words >/dev/null
docker inspect --format '{{json .Config.Env}} {{.Config.WorkingDir}} {{.Config.User}} {{.Config.Hostname}} {{json .Config.Labels}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Config.Image}} {{.Config.StopSignal}} {{json .Config.ExposedPorts}}' $C

### inspect-config-streams: which streams are attached
docker run -i --name $C busybox cat </dev/null
docker inspect --format '{{.Config.AttachStdin}} {{.Config.AttachStdout}} {{.Config.AttachStderr}} {{.Config.OpenStdin}} {{.Config.StdinOnce}} {{.Config.Tty}}' $C

### inspect-host-config: HostConfig.*
docker create --name $C --cap-add NET_ADMIN --cap-drop MKNOD --read-only --tmpfs /t -v /tmp:/d:ro --dns 1.2.3.4 --add-host a:1.2.3.5 --ulimit nofile=10:20 --pids-limit 9 -p 8080:80 --shm-size 1m --sysctl net.ipv4.ip_forward=1 busybox >/dev/null
docker inspect --format '{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}} {{.HostConfig.ReadonlyRootfs}} {{json .HostConfig.Tmpfs}} {{json .HostConfig.Binds}} {{json .HostConfig.Dns}} {{json .HostConfig.ExtraHosts}}' $C
docker inspect --format '{{json .HostConfig.Ulimits}} {{.HostConfig.PidsLimit}} {{json .HostConfig.RestartPolicy}} {{json .HostConfig.PortBindings}} {{.HostConfig.ShmSize}} {{json .HostConfig.Sysctls}} {{.HostConfig.NetworkMode}}' $C

### inspect-host-config-defaults: what nobody asked for
docker create --name $C busybox >/dev/null
docker inspect --format '{{.HostConfig.NetworkMode}} {{.HostConfig.IpcMode}} {{.HostConfig.PidMode}}|{{.HostConfig.UTSMode}}|{{.HostConfig.Privileged}} {{.HostConfig.ShmSize}} {{.HostConfig.AutoRemove}} {{.HostConfig.LogConfig.Type}} {{json .HostConfig.RestartPolicy}} {{.HostConfig.OomScoreAdj}}' $C
docker inspect --format '{{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}' $C | tr ',' '\n'

### inspect-mounts: Mounts
mkdir d
docker create --name $C -v $PWD/d:/d:ro -v named-$C:/n --mount type=tmpfs,target=/t busybox >/dev/null
docker inspect --format '{{range .Mounts}}{{.Type}} {{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}{{println}}{{end}}' $C | sort

### inspect-mounts-names: a member that not every mount has
mkdir d
docker create --name $C -v $PWD/d:/d:ro busybox >/dev/null
docker inspect --format '{{range .Mounts}}{{.Type}}{{.Name}}{{.Driver}}{{end}}' $C

### inspect-network: addresses
docker run -d --name $C busybox sleep 100 >/dev/null
docker inspect --format '{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Networks.bridge.Gateway}} {{.NetworkSettings.Networks.bridge.IPPrefixLen}} {{.NetworkSettings.MacAddress}}' $C

### inspect-whole: an array of one object, its members
docker create --name $C busybox >/dev/null
docker inspect $C | grep -oE '^        "[A-Za-z]+"' | sort

### inspect-missing: an empty array, and 1
docker inspect $C-nosuch

### inspect-type: --type
docker inspect --type image --format '{{json .RepoTags}}' busybox
docker inspect --type container busybox

### inspect-bad-format: a broken template
#~ stderr template
docker create --name $C busybox >/dev/null
docker inspect --format '{{.Nosuch}}' $C
docker inspect --format '{{.State' $C

### stop: TERM, then KILL: 137
docker run -d --name $C busybox sleep 100 >/dev/null
docker stop -t 1 $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' $C

### stop-handled: TERM handled
docker run -d --name $C busybox sh -c 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker stop $C >/dev/null
docker inspect --format '{{.State.ExitCode}}' $C

### stop-init: with --init TERM ends a program without handlers: 143
docker run -d --init --name $C busybox sleep 100 >/dev/null
docker stop $C >/dev/null
docker inspect --format '{{.State.ExitCode}}' $C

### stop-signal: --stop-signal
docker run -d --stop-signal INT --name $C busybox sh -c 'trap "exit 12" INT; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker stop $C >/dev/null
docker inspect --format '{{.State.ExitCode}} {{.Config.StopSignal}}' $C

### stop-signal-bad: refused
#~ stderr (i|I)nvalid signal: NOSUCH
docker run --rm --stop-signal NOSUCH busybox true

### stop-stopped: stopping twice is fine
docker run --name $C busybox true
docker stop $C

### stop-missing: no such container
docker stop $C-nosuch

### kill: KILL, 137
docker run -d --name $C busybox sleep 100 >/dev/null
docker kill $C
docker wait $C

### kill-signal: another signal, by name and number
docker run -d --name $C busybox sh -c 'trap "echo usr1" USR1; trap "exit 6" HUP; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker kill -s USR1 $C >/dev/null; until_said $C usr1
docker kill --signal 1 $C >/dev/null
docker wait $C

### kill-stopped: not running
docker run --name $C busybox true
docker kill $C

### kill-bad-signal: refused
docker run -d --name $C busybox sleep 100 >/dev/null
docker kill -s NOSUCH $C

### kill-missing: no such container
docker kill $C-nosuch

### rm: its name comes back
docker create --name $C busybox >/dev/null
docker rm $C
docker ps -a --filter name=$C -q

### rm-running: refused
docker run -d --name $C busybox sleep 100 >/dev/null
docker rm $C

### rm-force: -f
docker run -d --name $C busybox sleep 100 >/dev/null
docker rm -f $C
docker inspect $C 2>/dev/null

### rm-missing: no such container
docker rm $C-nosuch

### rm-force-missing: -f of nothing
docker rm -f $C-nosuch

### rm-several: the good ones go, the code tells of the bad
docker create --name $C busybox >/dev/null
docker rm $C-nosuch $C

### run-rm-leaves-nothing: --rm
docker run --rm --name $C busybox true
docker ps -aq --filter name=$C

### run-rm-detached: -d --rm
docker run -d --rm --name $C busybox sleep 0.2 >/dev/null
docker wait $C; sleep 0.5
docker ps -aq --filter name=$C

### run-rm-restart: they exclude each other
docker run --rm --restart always busybox true

### restart: a running container gets a new process
docker run -d --init --name $C busybox sleep 100 >/dev/null
before=$(pid $C)
docker restart $C
test $before != $(pid $C) && echo another

### restart-policy: on-failure:2 tries three times
docker run -d --restart on-failure:2 --name $C busybox sh -c 'echo try; exit 1' >/dev/null || exit
for i in $(seq 50); do test "$(docker inspect --format '{{.State.Status}}' $C)" = exited && break; sleep 0.2; done
docker logs $C
docker inspect --format '{{.RestartCount}} {{.State.ExitCode}}' $C

### pause: frozen and thawed
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C
docker ps --filter name=$C --format '{{.State}}'
docker exec $C true
docker unpause $C

### rename: another name
docker create --name $C busybox >/dev/null
docker rename $C $C-2; docker ps -a --filter name=$C-2 --format '{{.Names}}'

### exec: a second process in the same namespaces
docker run -d --name $C -e A=1 -w /tmp busybox sleep 100 >/dev/null
docker exec $C sh -c 'echo $A; pwd; ps -o comm'

### exec-code: its exit code
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C sh -c 'exit 33'

### exec-environment: -e, -w, -u
docker run -d --name $C -e A=1 busybox sleep 100 >/dev/null
docker exec -e A=2 -e B=3 -w /etc -u mail $C sh -c 'echo $A $B $HOME; pwd; id'

### exec-stdin: -i
docker run -d --name $C busybox sleep 100 >/dev/null
echo words | docker exec -i $C cat
echo words | docker exec $C cat

### exec-streams: both streams
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C sh -c 'echo out; echo err >&2'

### exec-tty: -t
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec -t $C sh -c 'tty; echo $TERM' | tr -d '\r'

### exec-detached: -d
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec -d $C touch /tmp/made; sleep 0.5
docker exec $C ls /tmp

### exec-missing-command: 127
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C nosuch

### exec-not-executable: 126
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C /etc/passwd

### exec-stopped: not running
docker run --name $C busybox true
docker exec $C true

### exec-missing: no such container
docker exec $C-nosuch true

### exec-no-command: too few words
#~ stderr requires at least 2 argument
docker exec $C

### exec-workdir-missing: no such directory
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec -w /nosuch $C true

### exec-user-unknown: no such user
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec -u nosuch $C true

### exec-rights: capabilities and seccomp as the container's
docker run -d --name $C --cap-drop MKNOD busybox sleep 100 >/dev/null
docker exec $C grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status

### exec-privileged: --privileged gives all of them, in a container that has few
#~ feature cap-sys-resource
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec --privileged $C grep -E 'CapEff|Seccomp:' /proc/self/status

### exec-limits: it counts in the container's control group
docker run -d --name $C -m 64m busybox sleep 100 >/dev/null
docker exec -d $C sleep 101; sleep 0.5
limit $C pids pids.current pids.current

### exec-hangup: the end of the container ends it
docker run -d --name $C busybox sleep 1 >/dev/null
docker exec $C sleep 100

### top: processes of the container
docker run -d --name $C busybox sleep 100 >/dev/null
docker top $C -o pid,comm,args | awk '{$1 = ""; print}'

### attach: to a running one
docker run -d --name $C busybox sh -c 'sleep 1; echo late; exit 8' >/dev/null
docker attach --no-stdin $C

### cp: out of and into
docker create --name $C busybox >/dev/null
echo content > f; docker cp -q f $C:/tmp/g; docker cp -q $C:/tmp/g h; cat h

### export: the file system as a tar
docker create --name $C busybox >/dev/null
docker export $C | tar -t | grep -c -e '^etc/passwd$' -e '^bin/busybox$' -e '^dev/console$'

### cidfile: the id, in a file
docker run --cidfile id --name $C busybox true; wc -c < id
test "$(cat id)" = "$(docker inspect --format '{{.Id}}' $C)" && echo same

### cidfile-exists: refused
touch id
docker run --rm --cidfile id busybox true

### label: --label and --label-file
printf 'a=1\nb=2\n' > labels
docker create --name $C --label c=3 --label-file labels busybox >/dev/null
docker inspect --format '{{json .Config.Labels}}' $C

### many-names: several containers at once
docker create --name $C busybox >/dev/null; docker create --name $C-2 busybox >/dev/null
docker rm $C $C-2
