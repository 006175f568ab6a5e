# The command line itself: flags, help, errors.

### unknown-flag: 125 for run, and where help is
docker run --nosuch busybox true

### unknown-short-flag: one letter
docker run -Z busybox true

### unknown-flag-ps: 125 everywhere
docker ps --nosuch

### unknown-command: 1
docker nosuch

### missing-value: a flag without its value
docker run --name

### missing-image-word: no image
docker run

### bad-boolean: not a truth value
docker run --rm=perhaps busybox true

### boolean-false: --flag=false
docker run --rm=true --init=false busybox sh -c 'echo $$'

### bad-number: not a number
docker run --pids-limit many busybox true

### short-flags-joined: -it as one, -eA=1, -e=A=1
docker run --rm -ieA=1 busybox sh -c 'echo $A' </dev/null
docker run --rm --env=A=2 busybox sh -c 'echo $A'

### detached-and-rm: fine together
docker run -d --rm --name $C busybox sleep 100 | wc -c

### detached-and-attached: not together
docker run -d -a stdout busybox true

### container-noun: the long names of commands
docker container run --rm busybox echo long
docker container create --name $C busybox >/dev/null
docker container ls -a --filter name=$C --format '{{.Names}}'
docker container inspect --format '{{.Name}}' $C
docker container rm $C

### image-noun: the long names for images
docker image ls --format '{{.Repository}}' busybox
docker image tag busybox $C; docker image rm $C

### stop-no-words: too few
docker stop

### rm-no-words: too few
docker rm

### ps-words: too many
docker ps word

### security-opt-equals-colon: a name alone is refused
docker run --rm --security-opt seccomp busybox true

### restart-bad: no such policy
#~ stderr (invalid restart policy|nosuch)
docker run --restart nosuch busybox true

### env-bad: an empty name
docker run --rm -e =x busybox true

### label-bad: an empty name
docker run --rm --label =x busybox true

### isolation-of-h: -h is the host name, not help
docker run --rm -h name busybox hostname

### pull-bad: no such policy
docker run --rm --pull sometimes busybox true

### network-and-hostname: host network's name is kept for one's own
docker run --rm --network host -h own busybox hostname

### log-driver-none: nothing is kept
#~ stderr configured logging driver does not support reading
docker run --name $C --log-driver none busybox echo line
docker logs $C

### pid-bad: not a mode
docker run --rm --pid nosuch busybox true

### ipc-bad: not a mode
docker run --rm --ipc nosuch busybox true

### container-network-missing: no such container to join
docker run --rm --network container:nosuch busybox true
