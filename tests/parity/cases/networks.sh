# network create, ls, inspect, rm, prune, connect, disconnect; names; ports over both families.

# Each case names its networks after itself ($C), and removes them.

### network-create: an id, and once only
docker network create $C; docker network create $C
docker network rm $C; docker network rm $C

### network-create-full: what inspect shows of everything that can be asked for
docker network create --subnet 10.205.0.0/24 --gateway 10.205.0.254 --ip-range 10.205.0.128/25 --aux-address a=10.205.0.130 \
    --label x=y --internal --attachable -o foo=bar --ipam-opt k=v $C >/dev/null
docker network inspect $C
docker network rm $C

### network-create-ipv6: two subnets, one of each family
docker network create --ipv6 --subnet fd00:77:1::/64 --subnet 10.205.1.0/24 $C >/dev/null
docker network inspect $C
docker network rm $C

### network-create-config: a network that is only configuration, and one made from it
docker network create --config-only --subnet 10.205.2.0/24 $C-conf >/dev/null
docker network create --config-from $C-conf $C >/dev/null
docker network inspect -f '{{.ConfigOnly}} {{json .ConfigFrom}} {{json .IPAM.Config}}' $C $C-conf
docker run --rm --network $C busybox ip -o addr show eth0 | grep -o 'inet [^ ]*'
docker network rm $C $C-conf

### network-config-only: what such networks can't have, who they are for, and that they stay while one was made of them
docker network create --config-only --internal $C; docker network create --config-only --scope local $C
docker network create --config-only --subnet 10.205.20.0/24 $C-conf >/dev/null
docker network create --config-only --config-from $C-conf $C
docker network create --config-from $C-conf --label a=b $C; docker network create --config-from $C-conf -o a=b $C
docker network create --config-from nosuch $C
docker network ls --filter name=$C --format '{{.Name}} {{.Driver}}'
docker run --rm --network $C-conf busybox true
docker run -d --name $C busybox sleep 100 >/dev/null; docker network connect $C-conf $C; docker rm -f $C >/dev/null
docker network create --config-from $C-conf $C >/dev/null
docker network create --config-from $C $C-two
docker network rm $C-conf; docker network rm $C
docker network prune -f --filter label!=nobody | grep -c $C-conf; docker network rm $C-conf

### network-create-no-room: pools of both families that meet others, and addresses that nobody can have
docker network create --subnet 10.205.21.0/24 --gateway 10.205.21.0 $C
docker network create --subnet 10.205.21.0/24 --gateway 10.205.21.255 $C
docker network create --subnet 10.205.21.0/31 $C; docker network create --subnet 10.205.21.0/32 $C
docker network create --subnet 10.205.21.0/24 --gateway 10.205.21.9 --aux-address a=10.205.21.9 $C
docker network create --subnet 10.205.21.0/24 --aux-address a=10.205.21.1 $C
docker network create --subnet 10.205.21.0/24 --aux-address a=10.205.21.7 --aux-address b=10.205.21.255 $C
docker network create --ipv6 --subnet 10.205.21.0/24 --subnet fd00:77:5::/64 --gateway fd00:77:5:: $C | grep -c .
docker network create --ipv6 --subnet 10.205.21.0/24 --subnet fd00:77:5::/64 $C >/dev/null
docker network create --ipv6 --subnet 10.205.24.0/24 --subnet fd00:77:5::/64 $C-2
docker network create --ipv6 --subnet 10.205.24.0/24 --subnet fd00:77::/32 $C-2
docker network create --scope nosuch $C-2
docker network rm $C

### network-ip-range: the gateway is its first address, and what was kept back no container gets
docker network create --subnet 10.205.22.0/24 --ip-range 10.205.22.64/26 --aux-address a=10.205.22.66 --aux-address b=10.205.22.5 $C >/dev/null
docker run --rm --network $C busybox ip route
for last in 0 1 5 64 66 127 255; do
    echo $last; docker run --rm --network $C --ip 10.205.22.$last busybox true
done
docker network rm $C

### network-create-bad-driver: no such driver, or one that there is only one of
# dockerd looks for a plugin for fifteen seconds: for both at once
docker network create -d nosuch $C 2>driver & docker network create --ipam-driver nosuch $C 2>ipam; wait; cat driver ipam >&2
docker network create -d host $C
docker network create -d null $C
docker network create --ingress $C
docker network create --scope swarm $C
docker network create -d macvlan -o parent=lo $C

### network-interface-names: as the network's option begins them, from zero for each beginning
docker network create -o com.docker.network.container_iface_prefix=lan $C >/dev/null
docker network create -o com.docker.network.container_iface_prefix=lan $C-b >/dev/null
docker run -d --name $C --network $C busybox sleep 1000 >/dev/null
docker network connect $C-b $C; docker network connect bridge $C
docker exec $C sh -c 'cd /sys/class/net; echo *'
docker network disconnect $C-b $C; docker exec $C sh -c 'cd /sys/class/net; echo *'
docker rm -f $C >/dev/null; docker network rm $C $C-b

### network-create-bad-option: values that an option can't have
for option in bridge.host_binding_ipv4=zz bridge.enable_icc=x bridge.enable_ip_masquerade=2 bridge.inhibit_ipv4= \
    driver.mtu=zz driver.mtu= driver.mtu=-1 driver.mtu=1e3; do
    docker network create -o com.docker.network.$option $C
done
docker network ls -f dangling=perhaps

### network-create-bad-name: taken, predefined, none
docker network create host
docker network create ''
docker network create
docker network create one two
docker network create --nosuch $C

### network-create-bad-addresses: subnets, gateways, ranges that don't fit
docker network create --subnet bad $C
docker network create --gateway 10.205.3.1 $C
docker network create --subnet 10.205.3.0/24 --gateway 10.206.3.1 $C
docker network create --subnet 10.205.3.0/24 --ip-range 10.206.3.0/24 $C
docker network create --subnet 10.205.3.0/24 --aux-address x=10.206.3.1 $C
docker network create --subnet 10.205.3.0/24 --subnet 10.205.4.0/24 $C
docker network create --subnet 10.205.3.0/24 --subnet 10.205.3.128/25 $C
docker network create --subnet 10.205.3.0/24 $C >/dev/null
docker network create --subnet 10.205.3.0/25 $C-2
docker network rm $C

### network-ls: the table, filters, templates
docker network create --label kind=$C $C >/dev/null
docker network ls --filter name=$C --format '{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}} {{.Label "kind"}}'
docker network ls --filter label=kind=$C --format 'table {{.Name}}\t{{.Driver}}'
docker network ls --filter name=$C
docker network ls --filter name=$C --no-trunc -q
docker network ls --filter type=builtin --filter driver=bridge --format '{{.Name}}'
docker network ls --filter type=builtin --format '{{.Name}} {{.Driver}}'
docker network ls --filter name=$C --filter dangling=true --format '{{.Name}}'
docker network ls --filter nosuch=1
docker network ls --filter type=nosuch
docker network ls extra
docker network rm $C

### network-inspect: several, a missing one, containers
docker network create $C >/dev/null
docker run -d --name $C --network $C busybox sleep 100 >/dev/null
docker network inspect -f '{{.Name}} {{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}}{{end}}' $C nosuch
docker inspect --type network -f '{{.Name}}' $C
docker network inspect -f '{{.Name}} {{.Driver}} {{.Options}} {{json .Labels}}' host none
docker rm -f $C >/dev/null; docker network rm $C

### network-rm: predefined, missing, in use, forced
docker network rm bridge
docker network rm nosuch
docker network rm -f nosuch; echo "$?"
docker network create $C >/dev/null
docker run -d --name $C --network $C busybox sleep 100 >/dev/null
docker network rm $C
docker rm -f $C >/dev/null
docker network rm $C nosuch

### network-prune: those that fit the filter and are not used
docker network create --label $C $C-a >/dev/null
docker network create --label $C $C-b >/dev/null
docker network create $C-c >/dev/null
docker run -d --name $C --network $C-b busybox sleep 100 >/dev/null
docker network prune -f --filter label=$C
docker network prune </dev/null
docker network prune --filter nosuch=1 -f
docker rm -f $C >/dev/null; docker network rm $C-b $C-c

### network-help: the noun and its mistakes
docker network nosuch
docker network rm
docker network connect $C
docker network ls --nosuch

### network-join: address, routes, resolver and hosts of a container on it
docker network create --subnet 10.205.5.0/24 $C >/dev/null
docker run --rm --network $C --hostname web --ip 10.205.5.77 busybox sh -c 'ip -o addr show eth0; ip route; cat /etc/hosts; cat /sys/class/net/eth0/address' | sed 's/^[0-9]*: //'
docker run --rm --network $C busybox sh -c 'grep -v "^search" /etc/resolv.conf'
docker run --rm --network $C --dns-search corp.test --dns-option ndots:2 busybox cat /etc/resolv.conf
docker network rm $C

### network-join-ipv6: both families inside
docker network create --ipv6 --subnet fd00:77:2::/64 $C >/dev/null
docker run --rm --network $C --ip6 fd00:77:2::99 busybox sh -c 'ip -o -6 addr show eth0 scope global; ip -6 route | grep default; grep fd00 /etc/hosts' | sed 's/^[0-9]*: //'
docker network rm $C

### network-join-internal: no way out
docker network create --internal $C >/dev/null
docker run --rm --network $C busybox sh -c 'ip route | grep -c default; ping -c 1 -W 1 192.0.2.1 2>&1 | tail -1'
docker network rm $C

### network-ip-bad: addresses that can't be had
docker network create --subnet 10.205.6.0/24 $C >/dev/null
docker network create $C-2 >/dev/null
docker run --rm --network $C --ip 10.206.6.1 busybox true
docker run --rm --network $C --ip nonsense busybox true
docker run --rm --network $C-2 --ip 172.30.0.50 busybox true
docker run --rm --ip 172.17.0.9 busybox true
docker run --rm --network host --ip 10.205.6.9 busybox true
docker run -d --name $C --network $C --ip 10.205.6.9 busybox sleep 100 >/dev/null
docker run --rm --network $C --ip 10.205.6.9 busybox true
docker rm -f $C >/dev/null; docker network rm $C $C-2

### network-words: --network with options, and what doesn't go together
docker network create --subnet 10.205.7.0/24 $C >/dev/null
docker run --rm --network name=$C,alias=q1,ip=10.205.7.99 busybox ip -o addr show eth0 | grep -o 'inet [^ ]*'
docker run --rm --network name=$C,foo=bar busybox true
docker run --rm --network alias=x busybox true
docker run --rm --network $C --network $C busybox true
docker run --rm --network $C --network host busybox true
docker run --rm --network-alias x busybox true
docker run --rm --network name=$C,alias=a --network-alias b busybox true
docker run --rm --network name=$C,ip=10.205.7.9 --ip 10.205.7.8 busybox true
docker network rm $C

### network-mode-shown: what inspect keeps of it
docker network create $C >/dev/null
docker create --name $C --network $C --network-alias db --link other:alias busybox true >/dev/null
docker inspect -f '{{.HostConfig.NetworkMode}} {{json .HostConfig.Links}} {{with index .NetworkSettings.Networks "'$C'"}}{{.Links}} {{.Aliases}} {{.IPAddress}}{{end}}' $C
docker rm $C >/dev/null; docker network rm $C

### network-missing-start: made with a network that isn't there
docker create --name $C --network nosuch busybox true >/dev/null
docker start $C

### network-connect: a second interface while it runs
docker network create $C >/dev/null
docker run -d --name $C busybox sleep 100 >/dev/null
docker network connect $C $C
docker network connect $C $C
docker exec $C ip -o addr | grep -o 'eth[0-9] *inet'
docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{ne $v.IPPrefixLen 0}} {{end}}' $C
docker exec $C grep -c "$(docker ps -q --filter name=$C)" /etc/hosts
docker network disconnect $C $C
docker network disconnect $C $C
docker exec $C ip -o addr | grep -o 'eth[0-9] *inet'
docker rm -f $C >/dev/null; docker network rm $C

### network-connect-created: before its first start
docker network create --subnet 10.205.8.0/24 $C >/dev/null
docker create --name $C busybox sh -c 'ip -o addr | grep -o "eth[0-9] *inet"' >/dev/null
docker network connect --ip 10.205.8.9 --alias x $C $C
docker network disconnect bridge $C
docker inspect -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{json $v.IPAMConfig}} {{end}}' $C
docker start -a $C
docker rm $C >/dev/null; docker network rm $C

### network-connect-bad: who can't be connected
docker network create $C >/dev/null
docker network connect nosuch $C
docker run -d --name $C --network host busybox sleep 100 >/dev/null
docker network connect nosuch $C
docker network connect $C $C
docker network disconnect $C $C
docker network disconnect nosuch $C
docker network disconnect -f $C nosuch
docker network connect --driver-opt nothing $C $C
docker run --rm --network name=$C,driver-opt=nothing busybox true
docker create --name $C-new busybox true >/dev/null; docker network disconnect $C $C-new; docker rm $C-new >/dev/null
docker rm -f $C >/dev/null
docker run -d --name $C --network none busybox sleep 100 >/dev/null
docker network connect $C $C
docker run -d --name $C-2 busybox sleep 100 >/dev/null
docker network connect host $C-2
docker network connect none $C-2
docker network connect --ip nonsense $C $C-2
docker network connect --ip 10.1.2.3 $C $C-2
docker rm -f $C $C-2 >/dev/null; docker network rm $C

### network-container: another's interface, and no other network
docker run -d --name $C busybox sleep 100 >/dev/null
docker run -d --name $C-2 --network container:$C busybox sleep 100 >/dev/null
[ "$(docker exec $C ip -o addr)" = "$(docker exec $C-2 ip -o addr)" ] && echo same
docker network create $C >/dev/null
docker network connect $C $C-2
docker rm -f $C $C-2 >/dev/null; docker network rm $C

### network-way-out: which network's gateway is taken
docker network create $C-b >/dev/null; docker network create $C-a >/dev/null; docker network create --internal a-$C >/dev/null
docker run -d --name $C --network $C-b busybox sleep 100 >/dev/null
docker network connect $C-a $C; docker network connect a-$C $C
docker exec $C ip route | grep -c default
docker exec $C ip route | sed -n 's/default.*dev \(eth.\).*/\1/p'
docker network disconnect $C-a $C
docker exec $C ip route | sed -n 's/default.*dev \(eth.\).*/\1/p'
docker rm -f $C >/dev/null; docker network rm $C-a $C-b a-$C

### names: by name, id, alias, link, with the network's name, back
docker network create --subnet 10.205.9.0/24 $C >/dev/null
docker run -d --name $C --network $C --network-alias db --ip 10.205.9.77 busybox sleep 100 >/dev/null
docker run -d --name $C-2 --network $C --link $C:xx busybox sleep 100 >/dev/null
for name in $C db xx $C.$C DB $(docker ps -q --filter name=$C\$); do
    docker exec $C-2 nslookup -type=a $name | grep -e Address | tail -1
done
docker exec $C-2 nslookup -type=ptr 77.9.205.10.in-addr.arpa | grep name
docker exec $C-2 nslookup -type=aaaa $C | grep -c Address
docker exec $C-2 ping -c 1 -W 3 db | grep -c '1 packets received'
docker rm -f $C $C-2 >/dev/null; docker network rm $C

### names-none-by-default: the default network has none
docker run -d --name $C busybox sleep 100 >/dev/null
docker run --rm busybox sh -c 'grep -c 127.0.0.11 /etc/resolv.conf'

### link-default: variables and hosts, on the default network
docker run -d --name $C --expose 99 --expose 200-203 --expose 300-301/udp -e COLOUR=blue busybox sleep 100 >/dev/null
docker run --rm --name $C-2 --link $C:al busybox sh -c 'env | grep ^AL_ | sort; grep al /etc/hosts | grep -v -e local -e ip6'
docker run --rm --link nosuch busybox true
docker create --name $C-2 --link $C:al busybox true >/dev/null
docker inspect -f '{{json .HostConfig.Links}}' $C-2

### network-isolation: networks don't reach each other
docker network create $C >/dev/null
docker run -d --name $C --network $C busybox nc -ll -p 7000 -e echo hello >/dev/null
A=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$C\").IPAddress}}" $C)
sleep 0.5
docker run --rm --network $C busybox nc -w 3 $A 7000
docker run --rm busybox nc -w 1 $A 7000; echo "$?"
nc -w 3 $A 7000 </dev/null
docker rm -f $C >/dev/null; docker network rm $C

### publish-from-everywhere: the host's names and addresses, another container, itself
docker run -d --name $C -p 18150:80 busybox nc -ll -p 80 -e echo hello >/dev/null
G=$(docker inspect -f '{{.NetworkSettings.Gateway}}' $C)
sleep 0.5
for where in 127.0.0.1 localhost ::1 $G; do nc -w 3 $where 18150 </dev/null; done
docker run --rm busybox nc -w 3 $G 18150
docker exec $C nc -w 3 $G 18150

### publish-ipv6-address: on ::1 only
docker run -d --name $C -p '[::1]:18151:80' busybox nc -ll -p 80 -e echo hello >/dev/null
sleep 0.5
nc -w 3 ::1 18151 </dev/null
docker ps --filter name=$C --format '{{.Ports}}'
docker inspect --format '{{json .NetworkSettings.Ports}}' $C

### publish-user-network: across networks, by the host
docker network create $C >/dev/null
docker run -d --name $C --network $C -p 18152:80 busybox nc -ll -p 80 -e echo hello >/dev/null
G=$(docker run --rm busybox ip route | sed -n 's/default via \([^ ]*\).*/\1/p')
sleep 0.5
docker run --rm busybox nc -w 3 $G 18152
nc -w 3 127.0.0.1 18152 </dev/null
docker rm -f $C >/dev/null; docker network rm $C

### network-alpha-rest: what was on the list when it was stopped comes back at the start
docker network create $C >/dev/null
docker run -d --name $C --network $C busybox sleep 100 >/dev/null
docker stop -t 0 $C >/dev/null
docker network inspect -f '{{len .Containers}}' $C
docker network connect bridge $C
docker start $C
docker exec $C ip -o addr | grep -o 'eth[0-9] *inet'
docker rm -f $C >/dev/null; docker network rm $C

### network-options-shown: sorted by name; what each of them does
docker network create -o com.docker.network.bridge.name=pbr0 -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 $C >/dev/null
docker run -d --name $C --network $C -p 18171:80 busybox sleep 100 >/dev/null
docker port $C; ip -o link show pbr0 | grep -o 'mtu [0-9]*'; docker exec $C cat /sys/class/net/eth0/mtu
docker network inspect -f '{{json .Options}}' $C
docker rm -f $C >/dev/null; docker network rm $C; ip link show pbr0 2>&1

### network-internal-closed: nothing comes in from outside, the host and its own members get through
docker network create --internal $C >/dev/null
docker run -d --name $C --network $C -p 18172:80 busybox nc -ll -p 80 -e echo hello >/dev/null
docker port $C
A=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$C\").IPAddress}}" $C)
sleep 0.5
nc -w 2 $A 80 </dev/null; echo $?
docker run --rm --network $C busybox nc -w 2 $C 80; echo $?
nc -w 2 127.0.0.1 18172 </dev/null; echo $?
docker inspect -f '{{json .NetworkSettings.Ports}}' $C; docker ps --filter name=$C --format '{{.Ports}}'
docker run --rm --network $C busybox nslookup example.com >/dev/null; echo $?
docker rm -f $C >/dev/null; docker network rm $C

### network-none-ports: without a network nothing is exposed
docker run -d --name $C --network none --expose 99 busybox sleep 100 >/dev/null
docker inspect -f '{{json .NetworkSettings.Ports}}' $C; docker ps --filter name=$C --format '{{.Ports}}'

### network-attachable: shown, and usable by everybody
docker network create --attachable $C >/dev/null
docker network inspect -f '{{.Attachable}} {{.Internal}} {{.Ingress}}' $C
docker run --rm --network $C busybox true; echo $?
docker network rm $C

### network-isolation-all: ICMP, TCP, the other's gateway, names; and what a connection changes
docker network create $C-a >/dev/null; docker network create $C-b >/dev/null
docker run -d --name $C --network $C-a -p 18170:80 busybox nc -ll -p 80 -e echo hello >/dev/null
docker run -d --name $C-2 --network $C-b busybox sleep 100 >/dev/null
A=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$C-a\").IPAddress}}" $C)
G=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$C-a\").Gateway}}" $C)
docker exec $C-2 ping -c1 -W1 $A | grep -c '0 packets received'
docker exec $C-2 nc -w 1 $A 80; echo $?
docker exec $C-2 nc -w 2 $G 18170; echo $?
docker exec $C-2 ping -c1 -W1 $G | grep -c '1 packets received'
docker exec $C nslookup $C-2 >/dev/null; echo $?
docker network connect $C-a $C-2
docker exec $C-2 nc -w 1 $A 80; echo $?
docker exec $C-2 nc -w 2 $C 80; echo $?
docker network disconnect $C-a $C-2
docker exec $C-2 nc -w 1 $A 80; echo $?
docker rm -f $C $C-2 >/dev/null; docker network rm $C-a $C-b

### network-connect-words: address, aliases and a link of a running container that gets a network
docker network create --subnet 10.206.8.0/24 $C >/dev/null
docker run -d --name $C busybox sleep 100 >/dev/null
docker run -d --name $C-2 --network $C busybox sleep 100 >/dev/null
docker network connect --ip 10.206.8.50 --alias web --alias www --link $C-2:second $C $C; echo $?
docker exec $C-2 nslookup -type=a web | grep -c 10.206.8.50
docker exec $C-2 ping -c1 -W2 www | grep -c '1 packets received'
docker exec $C ping -c1 -W2 second | grep -c '1 packets received'
docker exec $C grep -c 127.0.0.11 /etc/resolv.conf
docker inspect -f "{{json (index .NetworkSettings.Networks \"$C\").IPAMConfig}} {{json (index .NetworkSettings.Networks \"$C\").Links}}" $C
docker network disconnect -f $C $C; docker exec $C-2 nslookup -type=a web >/dev/null; echo $?
docker rm -f $C $C-2 >/dev/null; docker network rm $C

### network-connect-wrong: more that can't be connected
docker network create --subnet 10.206.9.0/24 $C >/dev/null
docker run -d --name $C busybox sleep 100 >/dev/null
docker network connect $C nosuch
docker network connect --ip6 fd00::1 $C $C
docker network connect --ip 10.206.9.1 $C $C
docker network disconnect $C nosuch
docker network disconnect -f $C $C
docker network connect
docker rm -f $C >/dev/null; docker network rm $C

### hosts-kept: what somebody wrote into /etc/hosts survives connecting and disconnecting
docker network create --subnet 10.206.12.0/24 $C >/dev/null
docker run -d --name $C busybox sleep 100 >/dev/null
docker exec $C sh -c 'echo 1.2.3.4 mine >> /etc/hosts'
docker network connect --ip 10.206.12.9 $C $C
docker exec $C sh -c 'tail -2 /etc/hosts'
docker network disconnect $C $C
docker exec $C sh -c 'tail -1 /etc/hosts; grep -c 10.206.12 /etc/hosts'
docker network disconnect bridge $C; docker network connect bridge $C
docker exec $C sh -c 'tail -2 /etc/hosts'
docker rm -f $C >/dev/null; docker network rm $C

### network-container-words: by id, with its names; and what can't go with it
docker run -d --name $C busybox nc -ll -p 80 -e echo hello >/dev/null
I=$(docker ps -q --filter name=$C)
sleep 0.5
docker run --rm --network container:$I busybox nc -w 2 127.0.0.1 80
docker run --rm --network container:$C busybox sh -c 'hostname; cat /etc/hosts' | grep -c $I
docker run --rm --network container:$C -p 80:80 busybox true
docker run --rm --network container:$C --hostname x busybox true
docker run --rm --network container:$C --dns 1.1.1.1 busybox true
docker run --rm --network container:$C --add-host a:1.1.1.1 busybox true
docker run --rm --network container:$C --link $C busybox true
docker run --rm --network host --link $C busybox true
docker run --rm --network container:nosuch busybox true
docker run --rm --network container: busybox true
docker run --rm --network container:$C --network-alias x busybox true
docker run --rm --network container:$C --expose 9 busybox true
docker create --name $C-2 --network container:$C busybox sleep 100 >/dev/null
docker inspect -f '{{json .NetworkSettings.Ports}} {{len .NetworkSettings.Networks}}' $C-2
docker stop -t 0 $C >/dev/null
docker start $C-2

### port-forms: the map of ports, told in each way
docker run -d --name $C -p 127.0.0.1:18190:80 -p 18191:81 -p '[::1]:18192:82' -p 18193-18194:83-84/udp busybox sleep 100 >/dev/null
docker port $C
docker port $C 80; docker port $C 80/tcp; docker port $C 80/udp; docker port $C 83/udp; docker port $C abc; docker port $C 81/nosuch
docker port nosuch; docker port; docker port $C 80 81
docker container port $C 81
docker stop -t 0 $C >/dev/null; docker port $C; echo $?

### network-inspect-both: a container in it, with addresses of both families
docker network create --ipv6 --subnet fd00:78:1::/64 --subnet 10.206.10.0/24 $C >/dev/null
docker run -d --name $C --network $C busybox sleep 100 >/dev/null
docker network inspect $C
docker rm -f $C >/dev/null; docker network rm $C

### ip6: asked for, refused, shown, reached, named, and back
docker network create --ipv6 --subnet fd00:78:2::/64 $C >/dev/null
for a in nonsense fd00:99::1 fd00:78:2::1 10.1.1.1; do docker run --rm --network $C --ip6 $a busybox true; done
docker run -d --name $C --network $C --ip6 fd00:78:2:0::00a busybox sleep 100 >/dev/null
docker inspect -f "{{with (index .NetworkSettings.Networks \"$C\")}}{{.GlobalIPv6Address}} {{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}}{{end}}" $C
docker run --rm --network $C busybox ping -6 -c1 -W2 $C | grep -c '1 packets received'
docker run --rm --network $C busybox nslookup -type=aaaa $C | grep -o fd00.*
docker run --rm --network $C busybox nslookup -type=ptr a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.8.7.0.0.0.0.d.f.ip6.arpa | grep name
docker rm -f $C >/dev/null; docker network rm $C

### ip6-none: where the network has no IPv6
docker network create --subnet 10.206.11.0/24 $C >/dev/null
docker run --rm --network $C --ip6 fd00::5 busybox true
docker network rm $C
docker network create --subnet fd00:78:3::/64 $C; echo $?
docker network create --ipv6 $C >/dev/null; echo $?

### link-words: by the other's id, without an alias; nobody, nothing, too much
docker run -d --name $C busybox sleep 100 >/dev/null
I=$(docker ps -q --filter name=$C)
docker run --rm --link $I:byid busybox grep byid /etc/hosts
docker run --rm --link $C busybox grep $C /etc/hosts
docker run --rm --link $C:a:b busybox true
docker run --rm --link :x busybox true
docker stop -t 0 $C >/dev/null
docker run --rm --name $C-2 --link $C:a busybox cat /etc/hosts

### link-variables: the first port by number, tcp before udp; the other's environment
docker run -d --name $C --expose 99 --expose 53/udp --expose 53 -e COLOUR=blue -e 'TWO=a b' busybox sleep 100 >/dev/null
docker run --rm --name $C-2 --link $C:al busybox sh -c 'env | grep AL_ | sort; ping -c1 -W2 al | grep -c "1 packets received"'

### link-user-network: a name for one container alone, no variables
docker network create $C >/dev/null
docker run -d --name $C --network $C --expose 99 busybox sleep 100 >/dev/null
docker run --rm --network $C --link $C:al busybox sh -c 'env | grep -c AL_; grep -c al$ /etc/hosts; ping -c1 -W2 al | grep -c "1 packets received"'
docker run --rm --network $C busybox sh -c 'nslookup -type=a al >/dev/null; echo $?'
docker rm -f $C >/dev/null; docker network rm $C

### link-follows: the other one comes back at another address
docker run -d --name $C busybox sleep 100 >/dev/null
docker run -d --name $C-2 --link $C:al busybox sleep 100 >/dev/null
A=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' $C)
docker stop -t 0 $C >/dev/null
docker run -d --name $C-x busybox sleep 100 >/dev/null
docker start $C >/dev/null
B=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' $C)
[ $A = $B ] && echo "the same address proves nothing"
docker exec $C-2 grep -c "^$B.al" /etc/hosts; docker exec $C-2 grep -c "^$A" /etc/hosts
docker rm -f $C-x >/dev/null

### link-gone-connect: one that is linked to a stopped one gets a network
docker network create $C >/dev/null
docker run -d --name $C busybox sleep 100 >/dev/null
docker run -d --name $C-2 --link $C:al busybox sleep 100 >/dev/null
docker stop -t 0 $C >/dev/null
docker network connect $C $C-2; echo $?
docker network disconnect $C $C-2; echo $?
docker rm -f $C-2 >/dev/null; docker network rm $C

### names-hostname: a container is found by its hostname too, at its start and connected later
docker network create $C >/dev/null
docker run -d --name $C --network $C --hostname hosty.example.org --network-alias a1 busybox sleep 100 >/dev/null
docker run -d --name $C-2 --network $C busybox sleep 100 >/dev/null
docker run -d --name $C-x --hostname later busybox sleep 100 >/dev/null
docker network connect $C $C-x
for n in $C $C-x; do docker inspect -f "{{json (index .NetworkSettings.Networks \"$C\").Aliases}}" $n; done
docker exec $C-2 nslookup -type=a hosty.example.org | grep -c '^Address: 1'
docker exec $C-2 nslookup -type=a later | grep -c '^Address: 1'
docker rm -f $C $C-2 $C-x >/dev/null; docker network rm $C

### names-life: a name moves with a rename, goes with a stop, comes with a start
docker network create $C >/dev/null
docker run -d --name $C --network $C --network-alias under_score busybox sleep 100 >/dev/null
docker run -d --name $C-2 --network $C busybox sleep 100 >/dev/null
q() { docker exec $C-2 nslookup -type=$1 $2 2>&1 | grep -c '^Address: [1-9]'; }
q a $C; q a $C.; q a $C-2; q a UNDER_SCORE; q aaaa $C; q mx $C
docker rename $C $C-x; q a $C-x
docker stop -t 0 $C-x >/dev/null; q a $C-x; docker start $C-x >/dev/null; q a $C-x
docker rm -f $C-x $C-2 >/dev/null; docker network rm $C

### names-several: all behind one alias are told, and one less when one goes
docker network create $C >/dev/null
for i in 1 2 3; do docker run -d --name $C-n$i --network $C --network-alias many busybox sleep 100 >/dev/null; done
many() { docker run --rm --network $C busybox nslookup -type=a many | grep -c '^Address: 1'; }
many; docker rm -f $C-n1 >/dev/null; many; docker network disconnect $C $C-n2; many
docker rm -f $C-n2 $C-n3 >/dev/null; docker network rm $C

### source-addresses: whom a container sees, from each side
docker run -d --name $C -p 18210:80 busybox nc -ll -p 80 -e sh -c 'netstat -tn | grep ":80 " | head -1 | tr -s " " | cut -d" " -f5' >/dev/null
G=$(docker inspect -f '{{.NetworkSettings.Gateway}}' $C)
A=$(docker inspect -f '{{.NetworkSettings.IPAddress}}' $C)
sleep 0.5
seen() { nc -w 3 $1 18210 </dev/null | sed "s/:[0-9]*$//; s/^::ffff://; s/^$G\$/gateway/; s/^$A\$/itself/"; }
seen 127.0.0.1; seen $G; seen ::1
who() { sed "s/:[0-9]*$//; s/^::ffff://; s/^$G\$/gateway/; s/^$A\$/itself/"; }
docker exec $C nc -w 3 $G 18210 </dev/null | who
docker network create $C >/dev/null
docker run --rm --network $C busybox nc -w 3 $G 18210 </dev/null | who
docker network rm $C
