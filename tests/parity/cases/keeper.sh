# What goes on while nobody looks: restart policies, health checks, logs; and coming back to a container: attach.

# restart policies

### restart-foreground: the first end is the command's end
docker run --name $C --restart on-failure:1 busybox sh -c 'echo ran; exit 3'; echo "code $?"
until_is $C '{{.State.Status}}' exited
docker logs $C
docker inspect --format '{{.RestartCount}} {{.State.ExitCode}} {{.State.Restarting}}' $C

### restart-waiting: between two runs it is "restarting"
docker run -d --name $C --restart always busybox sh -c 'exit 4' >/dev/null
until_is $C '{{.RestartCount}}' 5; until_is $C '{{.State.Status}}' restarting
docker ps --filter name=$C --format '{{.Status}} {{.State}}'
docker inspect --format '{{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}' $C

### restart-waiting-verbs: what can't be done meanwhile
docker run -d --name $C --restart always busybox sh -c 'exit 4' >/dev/null
until_is $C '{{.RestartCount}}' 6; until_is $C '{{.State.Status}}' restarting
docker exec $C true; echo $?
docker attach $C; echo $?
docker rm $C; echo $?
docker start $C; echo $?

### restart-stop-waiting: stop means stop
docker run -d --name $C --restart always busybox sh -c 'exit 4' >/dev/null
until_is $C '{{.RestartCount}}' 4; until_is $C '{{.State.Status}}' restarting
docker stop $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}' $C
sleep 1; docker ps -a --filter name=$C --format '{{.State}}'

### restart-kill-waiting: kill, too
docker run -d --name $C --restart always busybox sh -c 'exit 4' >/dev/null
until_is $C '{{.RestartCount}}' 4; until_is $C '{{.State.Status}}' restarting
docker kill $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' $C

### restart-rm-waiting: rm -f, too
docker run -d --name $C --restart always busybox sh -c 'exit 4' >/dev/null
until_is $C '{{.RestartCount}}' 3
docker rm -f $C
docker ps -aq --filter name=$C

### restart-kill-running: a container that somebody killed stays dead
docker run -d --name $C --restart always busybox sleep 100 >/dev/null
docker kill $C
docker wait $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' $C

### restart-kill-other-signal: so does one that ends by another signal
docker run -d --init --name $C --restart always busybox sleep 100 >/dev/null
docker kill -s USR1 $C
docker wait $C
docker inspect --format '{{.State.Status}} {{.RestartCount}}' $C

### restart-success: on-failure leaves a success alone
docker run -d --name $C --restart on-failure busybox true >/dev/null
docker wait $C
docker inspect --format '{{.State.Status}} {{.RestartCount}}' $C

### restart-count-reset: a start by hand counts anew
docker run -d --name $C --restart on-failure:1 busybox sh -c 'exit 1' >/dev/null
docker wait $C; docker inspect --format '{{.RestartCount}}' $C
docker start $C >/dev/null; docker wait $C; docker inspect --format '{{.RestartCount}}' $C
docker logs $C

### restart-policy-shown: as it was given
docker create --name $C --restart on-failure:7 busybox >/dev/null
docker create --name $C-2 --restart unless-stopped busybox >/dev/null
docker inspect --format '{{json .HostConfig.RestartPolicy}}' $C $C-2

### restart-policy-bad: counts that can't be
docker create --name $C --restart always:3 busybox; echo $?
docker create --name $C --restart on-failure:x busybox; echo $?
docker create --name $C --restart on-failure:-1 busybox; echo $?
docker create --name $C --restart no:3 busybox; echo $?

### restart-policy-never-started: a command that isn't there is not tried again
#~ stderr executable file not found
docker run -d --name $C --restart always busybox nosuch >/dev/null; echo $?
docker inspect --format '{{.State.Status}} {{.RestartCount}}' $C

### restart-verb-stopped: restart starts what is stopped, and says what isn't there
docker create --name $C busybox sleep 100 >/dev/null
docker restart -t 0 $C $C-nosuch; echo $?
docker inspect --format '{{.State.Status}} {{.RestartCount}}' $C

### restart-verb-rm: a container with --rm survives it
docker run -d --rm --name $C busybox sleep 100 >/dev/null
docker restart -t 0 $C
docker ps -a --filter name=$C --format '{{.Names}} {{.State}}'
docker inspect --format '{{.HostConfig.AutoRemove}}' $C

### restart-verb-arguments: at least one
docker restart

# health checks

### health-failing: starting, then unhealthy
docker run -d --name $C --health-cmd 'echo bad; exit 3' --health-interval 200ms --health-retries 2 busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Status}}'
until_is $C '{{.State.Health.Status}}' unhealthy
docker ps --filter name=$C --filter health=unhealthy --format '{{.Status}}'
docker inspect --format '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $C
docker stop -t 0 $C >/dev/null
docker inspect --format '{{.State.Health.Status}} {{len .State.Health.Log}}' $C | sed 's/[2-5]$/several/'

### health-recovers: unhealthy, then healthy
docker run -d --name $C --health-cmd 'test -e /fine' --health-interval 200ms --health-retries 1 busybox sleep 100 >/dev/null
until_is $C '{{.State.Health.Status}}' unhealthy
docker exec $C touch /fine
until_is $C '{{.State.Health.Status}}' healthy
docker ps --filter name=$C --format '{{.Status}}'
docker inspect --format '{{.State.Health.FailingStreak}}' $C

### health-log: the last five
docker run -d --name $C --health-cmd 'echo x >>/n; wc -l </n' --health-interval 50ms busybox sleep 100 >/dev/null
until_is $C '{{len .State.Health.Log}}' 5
docker inspect --format '{{len .State.Health.Log}} {{.State.Health.Status}}' $C

### health-timeout: a check that takes too long
docker run -d --name $C --health-cmd 'sleep 5' --health-interval 100ms --health-timeout 1500ms --health-retries 1 busybox sleep 100 >/dev/null
until_is $C '{{.State.Health.Status}}' unhealthy
docker inspect --format '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $C

### health-long-output: cut at 4096 bytes
docker run -d --name $C --health-cmd 'yes | head -c 9000' --health-interval 100ms busybox sleep 100 >/dev/null
until_is $C '{{.State.Health.Status}}' healthy
docker inspect --format '{{(index .State.Health.Log 0).Output}}' $C | wc -c
docker inspect --format '{{(index .State.Health.Log 0).Output}}' $C | tail -n 2

### health-not-executable: a check that can't be made
docker create --name $C --health-cmd nosuch --health-interval 200ms --health-retries 1 busybox sleep 100 >/dev/null
docker start $C >/dev/null
until_is $C '{{.State.Health.Status}}' unhealthy
docker inspect --format '{{(index .State.Health.Log 0).ExitCode}}' $C

### health-start-period: failures don't count yet
docker run -d --name $C --health-cmd false --health-interval 100ms --health-retries 1 --health-start-period 60s busybox sleep 100 >/dev/null
until_is $C '{{len .State.Health.Log}}' 1 2>/dev/null
docker inspect --format '{{.State.Health.Status}} {{.State.Health.FailingStreak}}' $C

### health-start-period-success: a success ends the start period
docker run -d --name $C --health-cmd 'test -e /late || exit $(rm /early 2>/dev/null; echo $?)' --health-interval 100ms --health-retries 2 --health-start-period 60s busybox sh -c '>/early; sleep 100' >/dev/null
until_is $C '{{.State.Health.Status}}' unhealthy
docker inspect --format '{{.State.Health.Status}}' $C

### health-config: what inspect shows
docker create --name $C --health-cmd 'a b' --health-interval 5s --health-timeout 2s --health-retries 4 --health-start-period 1m busybox >/dev/null
docker create --name $C-2 --no-healthcheck busybox >/dev/null
docker inspect --format '{{json .Config.Healthcheck}}' $C $C-2
docker inspect --format '{{json .State.Health}}' $C

### health-bad: what can't be
docker create --no-healthcheck --health-cmd x busybox; echo $?
docker create --health-interval=-1s busybox; echo $?
docker create --health-retries=-1 busybox; echo $?
docker create --health-timeout 1us busybox; echo $?
docker create --health-start-period 1us busybox; echo $?
docker create --health-interval x busybox; echo $?

### health-events: only changes are told
since=$(date +%s.%N)
docker run -d --name $C --health-cmd 'test -e /fine' --health-interval 200ms --health-retries 1 busybox sleep 100 >/dev/null
until_is $C '{{.State.Health.Status}}' unhealthy
docker exec $C touch /fine
until_is $C '{{.State.Health.Status}}' healthy; sleep 0.5
docker events --since $since --until "$(date +%s.%N)" --filter container=$C --filter event=health_status --format '{{.Action}}'

# attach

### attach-not-running: one line, code 1
docker create --name $C busybox >/dev/null
docker attach $C
docker attach $C-nosuch

### attach-input: -i takes what comes
docker run -d -i --name $C busybox sh -c 'read line; sleep 1; echo "got $line" >&2; sleep 1; exit 6' >/dev/null
echo words | docker attach $C; echo $?

### attach-again: the end of one client's input is not the end of the container's
docker run -d -i --name $C busybox cat >/dev/null
echo one | timeout -s KILL 2 docker attach $C >/dev/null 2>&1
echo two | timeout -s KILL 2 docker attach $C >/dev/null 2>&1
docker logs $C
docker inspect --format '{{.State.Running}}' $C

### attach-no-terminal: a terminal wants one
docker run -d -it --name $C busybox cat >/dev/null
docker attach $C </dev/null; echo $?

### attach-bad-keys: what isn't a key
#~ stderr (?i)invalid|unable|unknown
docker run -d --name $C busybox sleep 100 >/dev/null
docker attach --detach-keys nosuch $C >/dev/null; test $? != 0 && echo refused

### attach-two: both see everything
docker run -d -i --name $C busybox sh -c 'read line; sleep 1; echo "got $line"; sleep 1; exit 6' >/dev/null
docker attach --no-stdin $C >other & job=$!
sleep 1
echo words | docker attach $C; echo $?
wait $job; echo $?; cat other

### detach-run: run leaves without a word
on_terminal '\020\021' docker run -it --name $C busybox cat; echo "code $?"
docker inspect --format '{{.State.Running}}' $C

### detach-attach: attach says that it was left
docker run -d -it --name $C busybox cat >/dev/null
on_terminal '\020\021' docker attach $C; echo "code $?"
docker inspect --format '{{.State.Running}}' $C

### detach-own-keys: --detach-keys
docker run -d -it --name $C busybox cat >/dev/null
on_terminal '\001x' docker attach --detach-keys ctrl-a,x $C; echo "code $?"
docker inspect --format '{{.State.Running}}' $C

### detach-exec: exec says it, too, and runs on
docker run -d --name $C busybox sleep 100 >/dev/null
on_terminal '\020\021' docker exec -it $C cat; echo "code $?"
docker exec $C pidof cat >/dev/null && echo 'still there'

### attach-interrupt: ^C on a terminal is for the program
docker run -d -it --name $C busybox sh -c 'trap "exit 9" INT; while :; do sleep 0.1; done' >/dev/null
on_terminal '\003' docker attach $C >/dev/null; echo "code $?"

# exec

### exec-detached-on: -d says nothing, and goes on
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec -d $C sh -c 'echo $$ >/pid; sleep 50'; echo $?
for i in $(seq 50); do docker exec $C test -s /pid && break; sleep 0.1; done
docker exec $C sh -c 'kill -0 $(cat /pid)' && echo running

### exec-signal-code: 128 + n
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C sh -c 'kill -9 $$'; echo $?

# logs

### log-details: labels, variables and tag
docker run --name $C --label a=b --label 'c=d e' -e FOO=1 --log-opt labels=a,c --log-opt env=FOO --log-opt 'tag={{.Name}}/{{.ImageName}}' busybox echo one
docker logs --details $C

### log-details-none: without attributes there is a space
docker run --name $C busybox echo one
docker logs --details $C

### log-attributes-in-file: as Docker writes them
docker run --name $C --label a=b --log-opt labels=a --log-opt tag=t busybox echo one
cat "$(docker inspect --format '{{.LogPath}}' $C)"

### log-local: the driver `local`
docker run --name $C --log-driver local busybox sh -c 'echo out; sleep 0.1; echo err >&2; sleep 0.1; printf "no end"' >/dev/null 2>&1
docker logs $C
docker logs -n 1 $C
docker inspect --format '[{{.LogPath}}] {{json .HostConfig.LogConfig}}' $C

### log-none: nothing to read
docker run --name $C --log-driver none busybox echo hi
docker logs $C; echo $?

### log-options-bad: options that nobody knows
docker create --log-opt foo=bar busybox; echo $?
docker create --log-driver local --log-opt tag=x busybox; echo $?
docker create --log-driver none --log-opt max-size=1k busybox; echo $?
docker create --log-driver nosuch busybox; echo $?
docker create --log-opt mode=x busybox; echo $?
docker create --log-opt max-buffer-size=1m busybox; echo $?

### log-non-blocking: a buffer between the container and its log
docker run --name $C --log-opt mode=non-blocking --log-opt max-buffer-size=64k busybox sh -c 'seq 500; echo end >&2; printf rest' | md5sum
docker logs $C 2>/dev/null | md5sum
docker logs $C 2>&1 >/dev/null
docker inspect --format '{{json .HostConfig.LogConfig}}' $C

### log-non-blocking-bad: buffers that can't be
docker create --log-opt mode=non-blocking --log-opt max-buffer-size=abc busybox; echo $?
docker create --log-opt mode=blocking --log-opt max-buffer-size=1m busybox; echo $?
docker create --log-opt mode=maybe busybox; echo $?

### log-rotated: a rotated and compressed log is read as one
docker run --name $C --log-opt max-size=4k --log-opt max-file=50 --log-opt compress=true busybox sh -c 'for i in $(seq 200); do echo line $i; test $((i % 40)) = 0 && sleep 0.2; done' >/dev/null
docker logs $C | md5sum
docker logs -n 150 $C | md5sum

### log-restarted: the next run goes on in the same log
docker run --name $C busybox echo once >/dev/null
docker start $C >/dev/null; docker wait $C
docker logs $C

### log-follow-restart: a followed log and a restart
docker run -d --name $C --restart on-failure:1 busybox sh -c 'echo begin; sleep 0.3; echo end; exit 1' >/dev/null
docker logs -f $C
