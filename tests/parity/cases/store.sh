# The store: history, filters of lists, pruning, what takes how much room.

### history-table: the table of an image of many steps
docker history busybox | sed 's/ *$//'
docker history configured:1.0 | head -n 1

### history-formats: -q, --no-trunc, -H=false, templates
docker history -q busybox; docker history -q --no-trunc busybox
docker history -H=false --format '{{.Size}} {{.Comment}} {{.CreatedSince}} {{.CreatedAt}}' busybox
docker history --format json busybox
docker history --format 'table {{.ID}}\t{{.Size}}' busybox
docker history --no-trunc --format '{{.CreatedBy}}' configured:1.0

### history-of-commit: what it was made from has its id
docker run --name $C busybox touch /x
docker commit -m words $C $C:1 >/dev/null
docker history $C:1 | sed 's/ *$//'
docker history -q $C:1 | tail -n 1 | grep -c "$(docker images -q busybox)"
docker rm $C >/dev/null; docker rmi $C:1 >/dev/null

### history-missing: no such image
docker history nosuch; docker history; docker history a b

### images-before-since: by what was made earlier or later
docker import ../../images/small.tar $C:1 >/dev/null; sleep 1.1; docker import ../../images/small.tar $C:2 >/dev/null
docker images --filter since=$C:1 --filter reference=$C --format '{{.Tag}}'
docker images --filter before=$C:2 --filter reference=$C --format '{{.Tag}}'
docker rmi $C:1 $C:2 >/dev/null
docker images --filter before=nosuch

### images-dangling: without a name
docker import --change 'LABEL case=dangling' ../../images/small.tar $C:1 >/dev/null
docker import --change 'LABEL case=dangling' --change 'ENV A=1' ../../images/small.tar $C:1 >/dev/null
docker images --filter dangling=true --filter label=case=dangling --format '{{.Repository}} {{.Tag}}'
docker images --filter dangling=false --filter label=case=dangling --format '{{.Repository}} {{.Tag}}'
docker images --filter dangling=maybe
docker image prune -f --filter label=case=dangling | cut -c1-8
docker rmi $C:1 >/dev/null

### images-bad-filter: not one of Docker's
docker images --filter nosuch=1; docker images --filter nosuch

### images-digests: --digests
docker images --digests --format '{{.Repository}} {{.Digest}}' busybox
docker images --digests busybox | awk '{print $1, $2, $3, NF}'

### rmi-by-id: the id, with one name and with two
docker import --change "LABEL case=$C" ../../images/small.tar $C:1 >/dev/null
docker tag $C:1 $C:2
docker rmi $(docker images -q $C:1); docker rmi $C:2; docker rmi $(docker images -q $C:1) | cut -d: -f1

### rmi-force: by id, all names at once
docker import --change "LABEL case=$C" ../../images/small.tar $C:1 >/dev/null
docker tag $C:1 $C:2
docker rmi -f $(docker images -q $C:1) | sed 's/Deleted:.*/Deleted/' | uniq; docker rmi -f $C:1; echo $?

### rmi-used-by-stopped: refused, then forced; the container still runs
docker import --change "LABEL case=$C" --change 'CMD ["sh"]' ../../images/busybox.tar $C:1 >/dev/null
docker create --name $C $C:1 sh -c 'echo still here' >/dev/null
docker rmi $(docker images -q $C:1)
docker rmi -f $C:1 | sed 's/Deleted:.*/Deleted/' | uniq
docker start -a $C

### rmi-used-by-running: can't be forced by id
docker import --change "LABEL case=$C" ../../images/busybox.tar $C:1 >/dev/null
docker run -d --name $C $C:1 sleep 100 >/dev/null
docker rmi $C:1; docker rmi -f $(docker images -q $C:1); docker rmi -f $C:1
docker rm -f $C >/dev/null

### rmi-parent: what others were made from stays
docker import --change "LABEL case=$C" ../../images/busybox.tar $C:1 >/dev/null
docker run --name $C $C:1 touch /x
docker commit $C $C:2 >/dev/null; docker rm $C >/dev/null
docker rmi $(docker images -q $C:1); docker rmi $C:1
docker images -a --filter label=case=$C --format '{{.Repository}}' | sort; docker images --filter label=case=$C --format '{{.Repository}}'
docker rmi $C:2 | sed 's/sha256:.*/ID/'

### rmi-several: each is told
docker import ../../images/small.tar $C:1 >/dev/null; docker tag $C:1 $C:2
docker rmi $C:1 nosuch $C:2 | sed 's/Deleted:.*/Deleted/' | uniq; docker rmi

### image-prune: only what has no name, only with the label
docker import --change "LABEL case=$C" ../../images/small.tar $C:1 >/dev/null
docker image prune -f --filter label=case=$C
docker image prune -a -f --filter label=case=$C | sed 's/: .*//' | uniq
docker images -q $C

### image-prune-used: what a container needs stays
docker import --change "LABEL case=$C" ../../images/busybox.tar $C:1 >/dev/null
docker create --name $C $C:1 true >/dev/null
docker image prune -a -f --filter label=case=$C; docker images --format '{{.Tag}}' $C
docker rm $C > /dev/null; docker image prune -a -f --filter label=case=$C --filter until=1h
docker rmi $C:1 >/dev/null

### image-prune-asks: and takes no answer for no
docker image prune </dev/null; echo $?; echo n | docker image prune -a; echo $?

### image-prune-bad-filter: refused
docker image prune -f --filter nosuch=1

### system-prune-asks: what it says first
docker system prune </dev/null; echo $?
docker system prune -a --volumes --filter label=x </dev/null; echo n | docker system prune --filter 'label!=y' --filter label=b

### system-prune-until-volumes: refused together
docker system prune --volumes --filter until=1h

### system-prune-bad-filter: refused
docker system prune -f --filter nosuch=1

### system-prune: containers and images with the label, and nothing else
docker import --change "LABEL case=$C" ../../images/busybox.tar $C:1 >/dev/null
docker run --name $C $C:1 sh -c 'echo hello > /f'; docker run -d --name $C-2 $C:1 sleep 100 >/dev/null
docker system prune -f --filter label=case=$C
docker rm -f $C-2 >/dev/null
docker system prune -a -f --filter label=case=$C | sed 's/: .*//' | uniq

### system-df: the table
docker builder prune -af >/dev/null 2>&1
docker system df | awk '{print $1}'; docker system df --format '{{.Type}}'
docker system df | grep Build

### system-df-verbose: its headings
docker builder prune -af >/dev/null 2>&1
docker system df -v | grep -e usage: -e '^[A-Z ]*$' | tr -s ' '

### system-df-containers: what a container wrote
docker run --name $C busybox sh -c 'head -c 5000 /dev/zero > /f'
docker system df -v | grep " $C\$" | awk '{print $2, $3, $5}'

### save-several: shared layers once
docker save busybox configured:1.0 shellform > s.tar
test $(stat -c %s s.tar) -lt 6000000 && echo small
docker load -q < s.tar | sort

### save-by-id: without a name
docker save -o s.tar $(docker images -q nothing); docker load -q -i s.tar

### import-stdin: from standard input, with changes and a message
cat ../../images/small.tar | docker import -c 'CMD ["x"]' -m words - $C | cut -c1-7
docker image inspect -f '{{json .Config.Cmd}} {{.Comment}}' $C; docker history --format '{{.Comment}}|{{.CreatedBy}}' $C
docker rmi $C >/dev/null

### import-bad-name: refused before anything is read
docker import ../../images/small.tar Bad; docker import; docker import a b c

### import-url: from a web server
busybox httpd -f -p 127.0.0.1:8099 -h ../../images & server=$!
for _ in $(seq 200); do busybox wget -q -O /dev/null http://127.0.0.1:8099/small.tar && break; sleep 0.1; done
docker import http://127.0.0.1:8099/small.tar $C | tail -n 1 | cut -c1-7
docker image inspect -f '{{.Comment}}' $C; docker rmi $C >/dev/null
docker import http://127.0.0.1:8099/nosuch.tar > out 2>&1; echo $?; grep -q 404 out && echo refused
kill $server

### import-refused-url: nobody there
#~ stderr connection refused
docker import http://127.0.0.1:1/x.tar
