# events: what the verbs tell, in the order and with the attributes of Docker's.
# (Docker tells execDuration of `die` since version 24: it is taken out.)

### events-life: from create to destroy
docker run -d --name $C --label k=v busybox sleep 100 >/dev/null
docker kill --signal HUP $C >/dev/null
docker stop -t 0 $C >/dev/null
docker rm $C >/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C | sed 's/execDuration=[0-9]*, //'

### events-foreground: attach comes before start
docker run --name $C busybox sh -c 'exit 4'
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --format '{{.Action}} {{.Actor.Attributes.exitCode}}'

### events-exec: commands with their words
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C echo two words
docker exec $C sh -c 'exit 3'
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --filter event=exec_create --filter event=exec_die --filter event=exec_start

### events-network: connect and disconnect tell of the container
docker run --name $C busybox true
id=$(docker inspect --format '{{.Id}}' $C)
docker events --since 1m --until "$(date +%s.%N)" --filter type=network | grep "$id"

### events-volume: mount and unmount
docker run --name $C -v $C-v:/data:ro busybox true
id=$(docker inspect --format '{{.Id}}' $C)
docker events --since 1m --until "$(date +%s.%N)" --filter type=volume --filter volume=$C-v | grep "$id"

### events-oom: out of memory
docker run --name $C -m 8m --memory-swap 8m busybox sh -c 'tail /dev/zero' 2>/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --filter event=oom --filter event=die --format '{{.Action}}'

### events-image: tag, untag
docker tag busybox $C:1
docker rmi $C:1 >/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter type=image --filter event=tag --filter event=untag | tail -n 2

### events-json: the members
docker create --name $C busybox true >/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --format json | sed 's/:[0-9]\{10,\}/:N/g'

### events-label: filters by label, and by a part of the id
docker create --name $C --label one=$C busybox true >/dev/null
id=$(docker inspect --format '{{.Id}}' $C | cut -c1-20)
docker events --since 1m --until "$(date +%s.%N)" --filter label=one=$C --format '{{.Action}}'
docker events --since 1m --until "$(date +%s.%N)" --filter label=one=other --format '{{.Action}}'
docker events --since 1m --until "$(date +%s.%N)" --filter container="$id" --format '{{.Type}} {{.Status}} {{.From}}'

### events-no-value: an attribute that isn't there
docker create --name $C busybox true >/dev/null
docker events --since 1m --until "$(date +%s.%N)" --filter container=$C --format '{{.Actor.Attributes.nosuch}}'

### events-bad-time: not a time
docker events --since yesterday
docker events --until "1 2"
docker events --since 20 --until 10

### events-bad-format: a mistake is told before anything happens
docker events --until 5 --format '{{.Nope}}'
docker events --until 5 --format '{{.Type'

### events-bad-filter: a filter without a value
docker events --until 5 --filter nosuch
docker events --until 5 extra

### events-unknown-filter: a filter that there isn't
docker events --until 5 --filter nosuch=1
