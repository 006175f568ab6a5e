# The nouns of a swarm: one swarm for all cases, on each side. A case takes away what it makes.

### swarm-nothing-there: what isn't there is named, by every noun
for verb in 'service inspect' 'service ps' 'service rm' 'service logs' 'service update' 'secret inspect' 'config rm' \
    'node inspect' 'node update' 'node ps' 'stack ps' 'stack services' 'stack rm'; do
    docker $verb $C; echo "$verb: $?"
done
docker service scale $C=2; echo $?

### service-create-refused: what can be no service is refused in one line
service() { docker service create -d --no-resolve-image --name $C "$@"; echo $?; }
service --mode foo busybox
service --mode global --replicas 2 busybox
service --network nosuch busybox
service --secret nosuch busybox
service --config nosuch busybox
service --constraint node.foo busybox
service --restart-condition foo busybox
service --update-order foo busybox
service --limit-memory 1 busybox
service --endpoint-mode foo busybox
service --placement-pref foo=bar busybox
service --mode replicated-job --update-order start-first busybox true
service --max-concurrent 2 busybox
service --env-file nosuch busybox
docker service create -d --no-resolve-image --name 'a b' busybox; echo $?

### service-inspect-plain: a service of which nothing is said
docker service create -d -q --no-resolve-image --name $C busybox sleep 999 >/dev/null
docker service inspect --format '{{json .Spec}}' $C
docker service inspect --pretty $C | grep -v Endpoint
docker service create -d --no-resolve-image --name $C busybox; echo $?
docker service rm $C

### service-inspect-full: many flags, and where they stand
printf secret >s
docker secret create $C s >/dev/null; docker config create $C s >/dev/null
docker service create -d --no-resolve-image --name $C --replicas 0 -l b=c -l a=b --container-label c=d -e A=1 \
    --hostname h --mount type=volume,source=vol1,target=/v --limit-cpu .5 --reserve-memory 64m --restart-delay 1s \
    --update-delay 2s --constraint node.role==manager --stop-grace-period 0s -p 8080:80 --secret $C \
    --config source=$C,target=/c --health-cmd true --health-interval 1h --dns 1.1.1.1 --host a:1.2.3.4 \
    --cap-add net_admin --ulimit nofile=10 --user 0 --workdir / --group 5 --sysctl net.core.somaxconn=100 \
    --log-driver json-file --log-opt max-size=1m --placement-pref spread=node.labels.x --entrypoint 'sleep 99' \
    --init --read-only -t --stop-signal TERM --replicas-max-per-node 3 --restart-max-attempts 3 \
    --rollback-order start-first busybox >/dev/null
docker service inspect --format '{{json .Spec}}' $C
docker service inspect --pretty $C | sed '/^Endpoint/,/PublishMode/d'
docker service ls --filter name=$C --format '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}} {{.Ports}}'
docker secret rm $C; echo $?
docker service create -d --no-resolve-image --name $C-2 -p 8080:80 busybox; echo $?
docker service update -d --env-add A=2 --label-rm a --publish-rm 80 --constraint-rm node.role==manager --mount-rm /v \
    --secret-rm $C --dns-rm 1.1.1.1 --args 'a b' --host-rm a:1.2.3.4 $C
docker service inspect --format '{{json .Spec}}' $C
docker service rollback -d $C
docker service inspect --format '{{json .Spec.TaskTemplate.ContainerSpec.Env}} {{.UpdateStatus.Message}}' $C
docker service rm $C; docker secret rm $C; docker config rm $C

### service-scale: up, by several at once, and in vain
docker service create -d -q --no-resolve-image --name $C --replicas 0 busybox sleep 999 >/dev/null
docker service create -d -q --no-resolve-image --name $C-2 --mode global --constraint node.id==x busybox >/dev/null
docker service scale -d $C=0 $C-3=2; echo $?
docker service scale -d $C=x; echo $?
docker service scale -d $C-2=1; echo $?
docker service rollback -d $C-2; echo $?
docker service ls --format '{{.Name}} {{.Mode}} {{.Replicas}}'
docker service ls --filter foo=bar; echo $?
docker service rm $C $C-2

### service-runs: its tasks, their container and what it wrote
docker service create --no-resolve-image -d --name $C --stop-grace-period 0s --hostname '{{.Service.Name}}-{{.Task.Slot}}' \
    busybox sh -c 'hostname; exec sleep 999' >/dev/null
until test "$(docker service ps --filter desired-state=running --format '{{.CurrentState}}' $C | cut -d' ' -f1)" = Running; do
    sleep 0.1
done
docker service ps --format '{{.Name}} {{.Image}} {{.DesiredState}} {{.Error}}{{.Ports}}' $C
docker service ps -q $C | wc -l
docker service logs --raw $C
docker ps --filter label=com.docker.swarm.service.name=$C --format '{{.Image}} {{.Label "com.docker.swarm.task"}}'
docker service rm $C

### service-update-pauses: a version that can't start stops the update; a rollback ends it
docker service create --no-resolve-image -d --name $C --stop-grace-period 0s --update-monitor 100ms busybox sleep 999 >/dev/null
state() { docker service inspect --format '{{with .UpdateStatus}}{{.State}}{{end}}' $C; }
docker service update -q -d --args 'nosuch' --no-resolve-image $C
until test "$(state)" = paused; do sleep 0.1; done
docker service inspect --format '{{.UpdateStatus.Message}}' $C | sed 's/task .*/task/'
docker service rollback -q -d $C
until test "$(state)" = rollback_completed; do sleep 0.1; done
docker service inspect --format '{{.UpdateStatus.Message}} {{.Spec.TaskTemplate.ContainerSpec.Args}}' $C
docker service rm $C

### swarm-secrets: make, look, and take away secrets
printf secretword >s; : >empty
docker secret create -l a=b $C s >/dev/null
docker secret create $C s; echo $?
docker secret create 's!' s; echo $?
docker secret create $C-2 empty; echo $?
docker secret create $C-2 nosuch; echo $?
docker secret create $C-2; echo $?
docker secret ls --filter name=$C --format '{{.Name}} {{.Labels}} {{.Driver}}'
docker secret ls --filter foo=bar; echo $?
docker secret ls --filter name=nosuch
docker secret inspect --format '{{json .Spec}}' $C
docker secret inspect --pretty $C
docker secret rm $C

### swarm-configs: make, look, and take away configs
printf word >s; : >empty
docker config create -l a=b $C s >/dev/null
docker config create $C s; echo $?
docker config create $C-2 empty; echo $?
docker config create $C-2 nosuch; echo $?
docker config ls --filter name=$C --format '{{.Name}} {{.Labels}}'
docker config ls --filter foo=bar; echo $?
docker config inspect --format '{{json .Spec}}' $C
docker config inspect --pretty $C
docker config rm $C

### swarm-nodes: labels, availability, and what a manager alone can't do
docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}} {{.TLSStatus}} {{.Self}}'
docker node ls --filter foo=bar; echo $?
docker node ls --filter role=foo; echo $?
docker node update --availability foo self >/dev/null; echo $?
node=$(docker node ls -q)
docker node update --availability foo $node; echo $?
docker node update --label-rm foo $node; echo $?
docker node update --label-add a=b --availability pause $node >/dev/null
docker node inspect --format '{{json .Spec}}' self
docker node update --label-rm a --availability active $node >/dev/null
docker node demote $node; echo $?
docker node promote $node; echo $?
docker node rm -f $node; echo $?
docker swarm leave; echo $?
docker swarm init; echo $?
docker swarm join --token x 127.0.0.1:2377; echo $?
docker swarm join-token foo; echo $?
docker swarm unlock; echo $?
docker swarm unlock-key; echo $?
docker swarm unlock-key --rotate; echo $?
docker swarm update --cert-expiry 1s; echo $?
docker swarm ca --cert-expiry 2h; echo $?

### stack-deploys: a compose file becomes a stack, is deployed again, and goes
printf word >s
cat >compose.yml <<'Y'
version: "3.8"
services:
  web:
    image: busybox
    command: sleep 999
    environment: {A: "1", B: "${WORD:-dflt}"}
    deploy:
      replicas: 0
      labels: {l: m}
      restart_policy: {condition: on-failure, delay: 1s}
      resources: {limits: {cpus: "0.5", memory: 64M}}
    configs: [{source: conf, target: /etc/conf}]
    secrets: [key]
    restart: always
configs: {conf: {file: ./s}}
secrets: {key: {file: ./s}}
Y
docker stack config -c compose.yml
docker stack deploy --resolve-image never -c compose.yml $C
docker stack ls
docker stack services --format '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}' $C
docker service inspect --format '{{json .Spec.TaskTemplate.ContainerSpec.Env}} {{json .Spec.Labels}}' ${C}_web
docker service inspect --format '{{json .Spec.TaskTemplate.Resources}} {{json .Spec.TaskTemplate.RestartPolicy}}' ${C}_web
docker stack deploy --resolve-image never -c compose.yml $C | sed 's/(id.*//'
docker stack rm $C
docker secret ls --filter name=$C -q; docker config ls --filter name=$C -q

### stack-refused: compose files that can't be deployed
deploy() { cat >compose.yml; docker stack deploy --detach=true -c compose.yml $C; echo $?; }
echo 'services: {a: {image: busybox, foo: bar}}' | deploy
printf 'version: "2.4"\nservices: {a: {image: busybox}}' | deploy
echo 'services: {a: {command: ls}}' | deploy
echo '[a]' | deploy
docker stack deploy -c nosuch.yml $C; echo $?
docker stack deploy $C; echo $?
docker stack deploy -c compose.yml ''; echo $?
