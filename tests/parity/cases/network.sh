# Links, addresses, published ports.

### network-none: only the loopback
docker run --rm --network none busybox ip -o link | cut -d: -f2 | grep -v -e tunl -e sit -e gre -e erspan -e ip_vti -e ip6

### network-bridge: the container's link, address and route
docker run --rm busybox ip -o addr show eth0 | grep 'inet ' | sed 's/^.*eth0  */eth0 /'
docker run --rm busybox ip route | cut -d' ' -f1,2,4-

### network-link: state, size, kind of the link
docker run --rm busybox sh -c '
  for i in $(seq 30); do grep -q up /sys/class/net/eth0/operstate && break; sleep 0.1; done # the kernel says it a little later
  cat /sys/class/net/eth0/mtu /sys/class/net/eth0/operstate /sys/class/net/lo/flags'

### network-host: the same links as outside
docker run --rm --network host busybox sh -c 'ls /sys/class/net | grep -c "^lo$"; hostname'

### network-missing: no such network
#~ stderr network nosuch not found
docker run --rm --network nosuch busybox true

### network-gateway: the bridge answers
docker run --rm busybox sh -c 'ping -c 1 -W 3 $(ip route | sed -n "s/default via \([^ ]*\).*/\1/p") | grep -c "1 packets received"'

### containers-talk: one reaches the other
docker run -d --name $C busybox nc -l -p 7000 -e echo hello >/dev/null
sleep 0.5
docker run --rm busybox nc -w 3 $(docker inspect --format '{{.NetworkSettings.Networks.bridge.IPAddress}}' $C) 7000

### publish: a port of the host
docker run -d --name $C -p 127.0.0.1:18123:80 busybox sh -c 'echo served > /index.html; httpd -f -p 80 -h /' >/dev/null
sleep 1
wget -q -O - -T 3 -t 1 http://127.0.0.1:18123/
docker ps --filter name=$C --format '{{.Ports}}'

### publish-any-address: on every address, both families
docker run -d --name $C -p 18124:80 busybox httpd -f -p 80 >/dev/null
docker inspect --format '{{json .NetworkSettings.Ports}}' $C
docker ps --filter name=$C --format '{{.Ports}}'

### publish-chosen: a port that the engine chooses
docker run -d --name $C -p 127.0.0.1::80 busybox httpd -f -p 80 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}' | sed 's/:[0-9]*->/:PORT->/'

### publish-range: ranges, told one by one where the numbers differ
docker run -d --name $C -p 127.0.0.1:18130-18132:80-82 busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}'

### publish-range-same: and as a range where they are the same
docker run -d --name $C -p 127.0.0.1:18140-18142:18140-18142 busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}'

### publish-udp: /udp
docker run -d --name $C -p 127.0.0.1:18125:53/udp busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}'
docker inspect --format '{{json .HostConfig.PortBindings}}' $C

### publish-all: -P publishes what the image exposes
docker run -d -P --name $C --entrypoint sleep configured:1.0 100 >/dev/null
docker inspect --format '{{json .NetworkSettings.Ports}}' $C | grep -o '"[0-9]*/[a-z]*"' | sort
docker inspect --format '{{.HostConfig.PublishAllPorts}}' $C

### expose: --expose is shown, not published
docker run -d --expose 99 --name $C busybox sleep 100 >/dev/null
docker ps --filter name=$C --format '{{.Ports}}'

### publish-taken: a port in use
#~ stderr 127.0.0.1:18126.*(port is already allocated|address already in use)
docker run -d --name $C -p 127.0.0.1:18126:80 busybox sleep 100 >/dev/null
docker run --rm --name $C-2 -p 127.0.0.1:18126:80 busybox true

### publish-bad-port: not a port
docker run --rm -p 99999:80 busybox true
docker run --rm -p nosuch busybox true

### publish-bad-range: ranges of different lengths
docker run --rm -p 1000-1002:80-81 busybox true

### publish-bad-address: not an address
docker run --rm -p nowhere:80:80 busybox true

### publish-bad-protocol: no such protocol
docker run --rm -p 80:80/nosuch busybox true

### port: what docker port says
docker run -d --name $C -p 127.0.0.1:18127:80 -p 127.0.0.1:18128:53/udp busybox sleep 100 >/dev/null
docker port $C | sort
docker port $C 80; docker port $C 53/udp

### port-missing: not published
docker run -d --name $C busybox sleep 100 >/dev/null
docker port $C
docker port $C 80

### network-none-published: ports that lead nowhere
docker run --rm --network none -p 8080:80 busybox true; echo $?
docker run --rm --network host -P -p 8080:80 busybox true; echo $?
docker create --name $C --network none -p 8080:80 -P --expose 81 busybox >/dev/null
docker inspect -f '{{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}}' $C; docker port $C
