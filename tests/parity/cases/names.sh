# Names beyond the ordinary: of networks, and those that links give.

### network-odd-names: a space, a slash, a dot in front, letters of other alphabets, one that is only blanks
for name in "$C my net" "$C/b" ".$C" "$C%2Fb" "$C ümlaut" "$C:8"; do
    docker network create "$name" | grep -c '^................................................................$'
    docker network inspect -f '{{.Name}}' "$name"
    docker network rm "$name"
done
docker network create '   '

### network-name-with-a-space: containers are on it and find each other, by its name too
docker network create "$C my net" >/dev/null
docker run -d --name $C --network "$C my net" busybox sleep 100 >/dev/null
docker run --rm --network "name=$C my net,alias=al" busybox sh -c "nslookup -type=a $C | grep -c 'Address: 1'"
docker inspect -f '{{json .HostConfig.NetworkMode}} {{range $name, $end := .NetworkSettings.Networks}}{{$name}}{{end}}' $C
docker ps --filter "network=$C my net" --format '{{.Names}} {{.Networks}}'
docker network ls --filter "name=$C my" --format '{{.Name}}'
docker network disconnect "$C my net" $C; docker network connect "$C my net" $C
docker exec $C nslookup -type=ptr $(docker exec $C hostname -i) | grep -o 'name = .*'
docker network create "$C my net"
docker network rm "$C my net"
docker rm -f $C >/dev/null; docker network rm "$C my net"

### link-names: a linked container is called by its link too, until that is removed
docker run -d --name $C busybox sleep 100 >/dev/null
docker run -d --name $C-2 --link $C:al busybox sleep 100 >/dev/null
docker run -d --name $C-3 --link $C-2:al --link $C busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Names}}'; docker ps --no-trunc --filter name=$C --format '{{.Names}}'
docker inspect -f '{{.Name}}' $C-2/al /$C-3/al
docker exec $C-2/al echo inside; docker logs $C-2/nope; docker top nope/al
docker rename $C $C-new
docker inspect -f '{{range .HostConfig.Links}}{{println .}}{{end}}' $C-2 $C-3 | sort
docker rm --link $C-2/nope; docker rm -l nope/al; docker rm --link $C-2; docker rm --link /
docker rm --link /$C-2/al $C-3/al
docker inspect -f '{{range .HostConfig.Links}}{{println .}}{{end}}' $C-2 $C-3 | sort
docker exec $C-2 grep -c al$ /etc/hosts; docker exec $C-2 grep -c " $C$" /etc/hosts
docker restart -t 0 $C-2; docker exec $C-2 env | grep -c AL_
docker inspect $C-2/al
docker rm -f $C-3/$C; docker ps -a --filter name=$C --format '{{.Names}}'
