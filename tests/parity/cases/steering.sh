# Looking at containers that live, and steering them: pause, rename, top, port, ps, prune.

### pause-state: what inspect and ps say
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C
docker inspect --format '{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{.State.ExitCode}}' $C
docker ps --filter name=$C --filter status=paused --format '{{.Status}} {{.State}}'
docker ps --filter name=$C --filter status=running --format '{{.Status}}'
docker unpause $C
docker inspect --format '{{.State.Status}} {{.State.Paused}}' $C

### pause-stands: it does no work meanwhile
docker run -d --name $C busybox sh -c 'while :; do echo x; sleep 0.1; done' >/dev/null
until_said $C x
docker pause $C
before=$(docker logs $C | wc -l); sleep 0.5; after=$(docker logs $C | wc -l)
echo $((after - before))
docker unpause $C
until [ "$(docker logs $C | wc -l)" -gt "$after" ]; do sleep 0.1; done; echo goes on

### pause-twice: not what is paused, nor what has ended
docker run -d --name $C busybox sleep 100 >/dev/null
docker unpause $C
docker pause $C; docker pause $C
docker kill $C
docker pause $C; docker unpause $C
docker pause $C-nosuch; docker unpause $C-nosuch; docker pause

### pause-several: some work, some don't
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C-nosuch $C; echo $?

### pause-refuses: exec, start and rm of a paused one
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C
docker exec $C true; docker start $C; docker rm $C

### pause-rm-force: rm -f of a paused one
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C; docker rm -f $C; docker ps -aq --filter name=$C

### pause-stop: stop of a paused one wakes it for its signal
docker run -d --name $C busybox sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
until_said $C ready
docker pause $C; docker stop $C
docker inspect --format '{{.State.Status}} {{.State.Paused}} {{.State.ExitCode}}' $C

### pause-kill: any signal wakes it when it has no stop signal of its own
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C; docker kill -s HUP $C
docker inspect --format '{{.State.Paused}}' $C

### pause-kill-other: only its own stop signal when it has one
docker run -d --name $C --stop-signal USR1 busybox sleep 100 >/dev/null
docker pause $C; docker kill -s HUP $C
docker inspect --format '{{.State.Paused}}' $C
docker kill -s USR1 $C
docker inspect --format '{{.State.Paused}}' $C

### pause-events: what is told
docker run -d --name $C busybox sleep 100 >/dev/null
docker pause $C; docker kill -s HUP $C; docker rename $C $C-2; docker top $C-2 >/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --format '{{.Action}} {{.Actor.Attributes.oldName}}' | tail -n 5

### rename-bad: taken, the same, not a name, empty
docker create --name $C busybox true >/dev/null
docker create --name $C-2 busybox true >/dev/null
docker rename $C $C-2; docker rename $C $C; docker rename $C 'bad name'; docker rename $C ''; docker rename '' x
docker rename $C-nosuch x; docker rename $C

### rename-frees: the old name is free
docker create --name $C busybox true >/dev/null
docker rename $C $C-2 && docker create --name $C busybox false >/dev/null
docker inspect --format '{{.Name}} {{.Path}}' $C $C-2

### rename-running: while it runs
docker run -d --name $C busybox sleep 100 >/dev/null
docker rename $C $C-2
docker exec $C-2 echo here; docker inspect $C

### top-default: ps -ef
docker run -d --name $C busybox sh -c 'sleep 100 & sleep 99' >/dev/null
until [ "$(docker top $C | wc -l)" = 3 ]; do sleep 0.1; done
docker top $C | awk '{print $1, $8, $9}'
docker top $C | head -n 1

### top-options: BSD and GNU options of ps
docker run -d --name $C busybox sleep 100 >/dev/null
docker top $C aux | awk '{print $1, $11, $12}'
docker top $C -eo user,pid,args | awk '{print $1, $3, $4}'
docker top $C axo comm,pid | awk '{print $1}'

### top-bad: no PID column, no such option, not running
docker run -d --name $C busybox sleep 100 >/dev/null
docker top $C -o comm; docker top $C --nosuch; docker top $C-nosuch; docker top
docker kill $C >/dev/null; docker top $C

### port-all: all, and one
docker run -d --name $C -p 127.0.0.1:18150:80 -p 127.0.0.1:18151:53/udp -p 127.0.0.1:18152-18153:9000-9001 --expose 1234 busybox sleep 100 >/dev/null
docker port $C
docker port $C 80/tcp; docker port $C 53; docker port $C 1234; docker port $C 80/foo

### port-bad: not a port, not running, no such container
docker run -d --name $C -p 127.0.0.1:18154:80 busybox sleep 100 >/dev/null
docker port $C abc; docker port $C 70000; docker port $C-nosuch; docker port
docker stop -t 0 $C >/dev/null; docker port $C; docker port $C 80

### wait-several: codes in the order asked for
docker run -d --name $C busybox sh -c 'sleep 0.3; exit 3' >/dev/null
docker run -d --name $C-2 busybox sh -c 'exit 4' >/dev/null
docker wait $C $C-nosuch $C-2; docker wait

### ps-ports: ranges and single ports in Docker's order
docker run -d --name $C -p 127.0.0.1:18160-18161:18160-18161 -p 127.0.0.1:18162:80 -p 127.0.0.1:18163:18163/udp --expose 1234 --expose 70-72 busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}'

### ps-last: -n and -l include what doesn't run
docker create --name $C busybox true >/dev/null
docker create --name $C-2 busybox true >/dev/null
docker ps -n 2 --format '{{.Names}}'; docker ps -l --format '{{.Names}}'; docker ps -n x

### ps-size: -s
docker run --name $C busybox sh -c 'head -c 12345 /dev/zero >/f'
docker ps -as --filter name=$C --format '{{.Names}} {{.Size}}'
docker inspect -s --format '{{.SizeRw}}' $C

### ps-more-filters: network, expose, publish, exited, before, since, is-task, isolation, health
docker run --name $C --expose 90 busybox sh -c 'exit 2'
docker create --name $C-2 --network none busybox true >/dev/null
for filter in network=bridge network=none network=nosuch expose=90 expose=90/udp expose=80-100 publish=9090 exited=2 before=$C-2 since=$C is-task=false is-task=true isolation=default health=none health=healthy status=created name=^/$C$; do
    echo "$filter: $(docker ps -a --filter name=$C --filter "$filter" --format '{{.Names}}' | tr '\n' ' ')"
done

### ps-bad-filters: values that can't be
docker create --name $C busybox true >/dev/null
docker ps -a --filter exited=x; docker ps -a --filter health=x; docker ps -a --filter before=$C-nosuch; docker ps --filter label!=x
docker ps -a --filter publish=x; docker ps -a --filter expose=x

### prune-asks: no is no
docker create --name $C --label $C busybox true >/dev/null
echo n | docker container prune --filter label=$C; echo
docker container prune --filter label=$C </dev/null; echo
docker ps -a --filter name=$C --format '{{.Names}}'
echo y | docker container prune --filter label=$C; docker ps -aq --filter name=$C

### prune-space: what is removed, and the room that it took; what runs stays
docker run -d --name $C --label $C busybox sleep 100 >/dev/null
docker run --name $C-2 --label $C busybox sh -c 'head -c 100000 /dev/zero >/f'
docker container prune -f --filter label=$C
docker ps -a --filter label=$C --format '{{.Names}}'

### prune-filters: until, label!=
docker create --name $C --label $C busybox true >/dev/null
docker container prune -f --filter label=$C --filter until=1h
docker container prune -f --filter label=$C --filter label!=$C
docker ps -a --filter label=$C --format '{{.Names}}'
docker container prune -f --filter nosuch=1; docker container prune -f --filter until=xyz; docker container prune extra

### update-memory: the kernel, and the record
docker run -d --name $C -m 64m busybox sleep 100 >/dev/null
docker update -m 32m $C; limit $C memory memory.limit_in_bytes memory.max
docker update -m 256m --memory-swap 512m $C; limit $C memory memory.limit_in_bytes memory.max
docker update --memory-reservation 16m $C
docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.MemoryReservation}}' $C

### update-processor: shares, set, quota
docker run -d --name $C busybox sleep 100 >/dev/null
docker update --cpu-shares 100 --cpuset-cpus 0 $C
limit $C cpuset cpuset.cpus cpuset.cpus
docker update --cpu-quota 50000 $C; docker update --cpus 0.5 $C
docker inspect --format '{{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}} {{.HostConfig.CpuQuota}} {{.HostConfig.NanoCpus}}' $C

### update-cpus: half a processor, and what can't be said twice
docker run -d --name $C busybox sleep 100 >/dev/null
docker update --cpus 0.5 $C
docker update --cpu-quota 10000 $C; docker update --cpu-period 20000 $C; docker update --cpus 0.25 $C
docker inspect --format '{{.HostConfig.NanoCpus}}' $C

### update-pids: a number, and any number
docker run -d --name $C --pids-limit 100 busybox sleep 100 >/dev/null
docker update --pids-limit 50 $C; limit $C pids pids.max pids.max
docker update --pids-limit -1 $C; limit $C pids pids.max pids.max
docker inspect --format '{{.HostConfig.PidsLimit}}' $C

### update-stopped: the record only, for several
docker create --name $C busybox true >/dev/null
docker update -m 64m --memory-swap 128m $C $C-nosuch; echo $?
docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.State.Status}}' $C

### update-restart: the policy is written down
docker create --name $C busybox true >/dev/null
docker update --restart on-failure:3 $C
docker inspect --format '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' $C
docker update --restart nosuch $C; docker update --restart always:3 $C; docker update --restart on-failure:x $C
docker update --restart no $C; docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' $C

### update-bad: nothing given, not a number, too little, too much, no such container
docker create --name $C busybox true >/dev/null
docker update; docker update $C; docker update -m abc $C; docker update -m 5m $C; docker update --cpus 9999 $C
docker update -m 64m $C; docker update -m 64m --memory-swap 32m $C; docker update -m 64m --memory-swap -1 $C-nosuch

### update-event: what is told
docker create --name $C busybox true >/dev/null
docker update --cpu-shares 50 $C
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --format '{{.Action}}'

### stats-table: the columns, and what an idle container has
docker run -d --name $C --network none busybox sleep 100 >/dev/null
docker stats --no-stream $C | awk 'NR == 1 {print; next} {print $2, $3, $6, $NF}' | tr -s ' '
docker stats --no-stream --format '{{.Container}} {{.Name}} {{.PIDs}} {{.NetIO}} {{.CPUPerc}}' $C

### stats-json: the members; --no-trunc
docker run -d --name $C --network none busybox sleep 100 >/dev/null
docker stats --no-stream --format json $C | grep -o '"[A-Za-z]*":' | tr -d '\n'
docker stats --no-stream --no-trunc --format '{{.ID}}' $C

### stats-limit: a share of the limit
docker run -d --name $C -m 64m busybox sleep 100 >/dev/null
docker stats --no-stream --format '{{.MemUsage}}' $C | sed 's/.* //'

### stats-stopped: nothing
docker create --name $C busybox true >/dev/null
docker stats --no-stream $C | sed 's/^[0-9a-f]* *//'
docker stats --no-stream -a --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' | grep "^$C "

### stats-bad: no such container, no such column
docker run -d --name $C busybox sleep 100 >/dev/null
docker stats --no-stream $C-nosuch; docker stats --no-stream $C $C-nosuch
docker stats --no-stream --format '{{.Nope}}' $C
docker stats --no-stream --format 'table {{.Name}}\t{{.PIDs}}' $C

### inspect-omitted: members that JSON leaves out when they are empty, and templates find
docker create --name $C busybox true >/dev/null
docker inspect --format '{{.HostConfig.Init}} {{.HostConfig.Tmpfs}} {{.HostConfig.Sysctls}} {{.HostConfig.Mounts}} {{.SizeRw}} [{{.Config.StopSignal}}] {{.State.Health}} {{.Config.Healthcheck}} {{.Config.StopTimeout}}' $C
docker inspect $C | grep -c -e '"Init"' -e '"Tmpfs"' -e '"Sysctls"' -e '"StorageOpt"' -e SizeRw -e '"Health"' -e StopSignal
docker inspect --format '{{json .HostConfig.Links}} {{json .HostConfig.GroupAdd}} {{json .HostConfig.ExtraHosts}} {{json .HostConfig.VolumesFrom}} {{json .HostConfig.DeviceRequests}} {{json .HostConfig.Dns}} {{json .HostConfig.Devices}} {{.HostConfig.CpuCount}}' $C

### inspect-members: the members at the top, of State, and of NetworkSettings
docker run -d --name $C busybox sleep 100 >/dev/null
docker inspect $C | grep -o '^        "[A-Za-z0-9]*"' | sort
docker inspect --format '{{json .NetworkSettings}}' $C | tr ',{' '\n\n' | grep -o '^"[A-Za-z0-9]*":' | grep -v -e DNSNames -e GwPriority | sort -u

### inspect-binds: a bind has neither name nor driver, a volume has both
docker run -d --name $C -v $C-v:/v -v /tmp:/b:ro busybox sleep 100 >/dev/null
docker inspect --format '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{.Mode}};{{end}}' $C | tr ';' '\n' | sort
docker inspect --format '{{json .Mounts}}' $C | grep -o '"[A-Za-z]*":' | sort | uniq -c

### inspect-kinds: of one kind only
docker create --name $C busybox true >/dev/null
docker inspect --type container --format '{{.Name}}' $C
docker inspect --type container busybox; docker inspect --type nosuch $C

### kill-numbers: numbers of signals that there are, and aren't
docker run -d --name $C busybox sleep 5 >/dev/null
docker kill -s 99 $C; docker kill -s 0 $C; docker kill -s 99 $C-nosuch; docker kill -s sigusr1x $C
docker kill -s RTMAX-3 $C; docker wait $C; docker kill -s '' $C
