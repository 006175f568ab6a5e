# Registries: 127.0.0.1:5000 is open to everybody, 127.0.0.1:5001 to bob, whose password is `secret`.
# Both are docker-registry, in the network namespace of the engine, so that each engine has its own two.

### push: status lines, digest and size
docker tag nothing 127.0.0.1:5000/push
docker push 127.0.0.1:5000/push
docker push 127.0.0.1:5000/push | grep already
docker rmi 127.0.0.1:5000/push >/dev/null

### push-mount: what another repository has is mounted
docker tag nothing 127.0.0.1:5000/mount/a:1; docker tag nothing 127.0.0.1:5000/mount/b:1
docker push -q 127.0.0.1:5000/mount/a:1
docker push 127.0.0.1:5000/mount/b:1 | sed 's/digest: .*//'
docker rmi 127.0.0.1:5000/mount/a:1 127.0.0.1:5000/mount/b:1 >/dev/null

### push-quiet: only the name
docker tag nothing 127.0.0.1:5000/pushq:1; docker tag nothing 127.0.0.1:5000/pushq
docker push -q 127.0.0.1:5000/pushq:1
docker push --quiet 127.0.0.1:5000/pushq
docker rmi 127.0.0.1:5000/pushq:1 127.0.0.1:5000/pushq >/dev/null

### push-all: every tag that is here
docker tag nothing 127.0.0.1:5000/pushall:1; docker tag nothing 127.0.0.1:5000/pushall:2
docker push -a 127.0.0.1:5000/pushall | sed 's/digest: .*//' | grep -v -e Pushed -e exists -e Mounted
docker rmi 127.0.0.1:5000/pushall:1 127.0.0.1:5000/pushall:2 >/dev/null

### push-bad: what can't be pushed
docker push 127.0.0.1:5000/nosuch
docker push nosuch:1
docker push -a 127.0.0.1:5000/nosuch
docker push -a 127.0.0.1:5000/nosuch:1
docker push BAD
docker push 127.0.0.1:5000/x@sha256:0000000000000000000000000000000000000000000000000000000000000000

### pull: an image comes back, with its name, digest and all
docker tag nothing 127.0.0.1:5000/pull; docker push -q 127.0.0.1:5000/pull; docker rmi 127.0.0.1:5000/pull >/dev/null
docker pull 127.0.0.1:5000/pull
docker pull 127.0.0.1:5000/pull:latest
docker pull -q 127.0.0.1:5000/pull
docker image pull --quiet 127.0.0.1:5000/pull
docker images --format '{{.Repository}} {{.Tag}}' 127.0.0.1:5000/pull
docker image inspect --format '{{.RepoTags}}' 127.0.0.1:5000/pull | tr ' ' '\n' | grep -c 5000/pull
docker image inspect --format '{{len .RepoDigests}}' 127.0.0.1:5000/pull | wc -l
docker rmi 127.0.0.1:5000/pull >/dev/null

### pull-fresh: layers that aren't here are told one by one
mkdir fresh; echo fresh >fresh/file; tar --mtime=@1 -C fresh -c . | docker import - 127.0.0.1:5000/fresh:1 >/dev/null
docker push -q 127.0.0.1:5000/fresh:1; docker rmi 127.0.0.1:5000/fresh:1 >/dev/null
# What dockerd is told between the first and the last of a layer it passes on when it finds the time.
docker pull 127.0.0.1:5000/fresh:1 | grep -vE ': (Verifying Checksum|Download complete)$'
docker rmi 127.0.0.1:5000/fresh:1 >/dev/null

### pull-all: every tag
docker tag nothing 127.0.0.1:5000/pullall:1; docker tag nothing 127.0.0.1:5000/pullall:2
docker push -q -a 127.0.0.1:5000/pullall; docker rmi 127.0.0.1:5000/pullall:1 127.0.0.1:5000/pullall:2 >/dev/null
docker pull -a 127.0.0.1:5000/pullall | sort
docker pull -a -q 127.0.0.1:5000/pullall
docker rmi 127.0.0.1:5000/pullall:1 127.0.0.1:5000/pullall:2 >/dev/null

### pull-digest: by digest
docker tag nothing 127.0.0.1:5000/digest; docker push -q 127.0.0.1:5000/digest
D=$(docker image inspect --format '{{join .RepoDigests "\n"}}' 127.0.0.1:5000/digest | grep 5000/digest)
docker pull $D
docker pull -q $D
docker rmi 127.0.0.1:5000/digest >/dev/null

### pull-missing: unknown tags, repositories, digests
docker tag nothing 127.0.0.1:5000/there:1; docker push -q 127.0.0.1:5000/there:1
docker pull 127.0.0.1:5000/there:nosuch
docker pull 127.0.0.1:5000/nosuch
docker pull -q 127.0.0.1:5000/nosuch:1
docker pull -a 127.0.0.1:5000/nosuch
docker pull 127.0.0.1:5000/there@sha256:0000000000000000000000000000000000000000000000000000000000000000
docker rmi 127.0.0.1:5000/there:1 >/dev/null

### pull-dead: nobody listens
docker pull 127.0.0.1:5999/x

### pull-unauthorized: who are you?
docker pull 127.0.0.1:5001/x
docker tag nothing 127.0.0.1:5001/x; docker push 127.0.0.1:5001/x >/dev/null
docker rmi 127.0.0.1:5001/x >/dev/null

### pull-bad-name: not a reference
docker pull BAD
docker pull a:b:c
docker pull -a 127.0.0.1:5000/x:1
docker pull 127.0.0.1:5000/x@sha256:abc

### pull-platform: of the only image there is
docker tag nothing 127.0.0.1:5000/platform; docker push -q 127.0.0.1:5000/platform
docker pull --platform linux/s390x 127.0.0.1:5000/platform
docker rmi 127.0.0.1:5000/platform >/dev/null

### pull-arguments: how many
docker pull
docker pull a b
docker push
docker search

### run-pulls: run of what isn't here
docker tag busybox 127.0.0.1:5000/runs; docker push -q 127.0.0.1:5000/runs; docker rmi 127.0.0.1:5000/runs >/dev/null
docker run --rm 127.0.0.1:5000/runs echo ran
docker run --rm --pull always 127.0.0.1:5000/runs echo again
docker run --rm --pull always -q 127.0.0.1:5000/runs echo quiet
docker run --rm --pull never 127.0.0.1:5000/runs:other echo never
docker run --rm 127.0.0.1:5000/runs:nosuch echo never
docker rmi -f 127.0.0.1:5000/runs >/dev/null

### create-pulls: create of what isn't here
docker tag busybox 127.0.0.1:5000/creates; docker push -q 127.0.0.1:5000/creates; docker rmi 127.0.0.1:5000/creates >/dev/null
docker create --name $C 127.0.0.1:5000/creates true
docker create --name $C-2 --quiet --pull always 127.0.0.1:5000/creates true
docker create 127.0.0.1:5000/nosuch true
docker rm $C $C-2 >/dev/null; docker rmi -f 127.0.0.1:5000/creates >/dev/null

### login: in and out
export DOCKER_CONFIG=$PWD/config
docker login -u bob -p wrong 127.0.0.1:5001
echo wrong | docker login -u bob --password-stdin 127.0.0.1:5001
echo secret | docker login -u bob --password-stdin 127.0.0.1:5001
cat config/config.json; stat -c %a config config/config.json
docker login -u bob -p secret 127.0.0.1:5001
docker login 127.0.0.1:5001
docker tag nothing 127.0.0.1:5001/mine; docker push -q 127.0.0.1:5001/mine; docker pull -q 127.0.0.1:5001/mine
docker rmi 127.0.0.1:5001/mine >/dev/null
docker logout 127.0.0.1:5001
cat config/config.json
docker logout 127.0.0.1:5001
docker logout nosuch.example
docker pull -q 127.0.0.1:5001/mine

### login-bad: what can't be
export DOCKER_CONFIG=$PWD/config
docker login --password-stdin 127.0.0.1:5001
docker login -p x --password-stdin 127.0.0.1:5001
docker login -p x 127.0.0.1:5001
docker login -u bob 127.0.0.1:5001
docker login 127.0.0.1:5001
docker login -u bob --password-stdin 127.0.0.1:5001
docker login -u bob -p secret 127.0.0.1:5999

### login-keeps: what else is in the file
export DOCKER_CONFIG=$PWD/config
mkdir config; printf '{"psFormat":"{{.ID}}","auths":{"other.example":{"auth":"YTpi"}},"detachKeys":"ctrl-x"}' >config/config.json
docker login -u bob -p secret 127.0.0.1:5001 2>/dev/null
python3 -c 'import json; print(json.dumps(json.load(open("config/config.json")), sort_keys=True, indent=1))'
docker logout 127.0.0.1:5001
python3 -c 'import json; print(json.dumps(json.load(open("config/config.json")), sort_keys=True, indent=1))'

### login-helper: a credential helper keeps it
export DOCKER_CONFIG=$PWD/config PATH=$PWD/helpers:$PATH
mkdir config helpers; echo '{"credsStore":"box"}' >config/config.json
cat >helpers/docker-credential-box <<'END'
#!/bin/sh
cd "${0%/*}"
case $1 in
    get) if [ -s box ]; then cat box; else echo credentials not found in native keychain; exit 1; fi ;;
    store) cat >box ;;
    erase) rm -f box ;;
    list) echo '{}' ;;
esac
END
chmod +x helpers/docker-credential-box
docker pull -q 127.0.0.1:5001/nosuch
docker login -u bob -p secret 127.0.0.1:5001
cat helpers/box config/config.json
docker pull -q 127.0.0.1:5001/nosuch
docker logout 127.0.0.1:5001
ls helpers; cat config/config.json

### manifest-inspect: what a registry has
mkdir m; echo m >m/file; tar --mtime=@1 -C m -c . | docker import - 127.0.0.1:5000/manifest:1 >/dev/null
docker push -q 127.0.0.1:5000/manifest:1; docker rmi 127.0.0.1:5000/manifest:1 >/dev/null
docker manifest inspect --insecure 127.0.0.1:5000/manifest:1 | sed 's/"size": .*/"size"/'
docker manifest inspect --insecure -v 127.0.0.1:5000/manifest:1 | grep -v -e '"size"' -e '"Raw"'
docker manifest inspect --insecure 127.0.0.1:5000/nosuch:1
docker manifest inspect --insecure BAD

### manifest-lists: several images under one name
short() { sed -e 's/sha256:[0-9a-f]*/DIGEST/g' -e 's/"size": .*/"size"/'; }
for n in one two; do
    mkdir $n; echo $n >$n/file; tar --mtime=@1 -C $n -c . | docker import - 127.0.0.1:5000/$n:1 >/dev/null
    docker push -q 127.0.0.1:5000/$n:1; docker rmi 127.0.0.1:5000/$n:1 >/dev/null
done
docker manifest create --insecure 127.0.0.1:5000/list:1 127.0.0.1:5000/one:1 127.0.0.1:5000/two:1
docker manifest create --insecure 127.0.0.1:5000/list:1 127.0.0.1:5000/one:1
docker manifest create --insecure --amend 127.0.0.1:5000/list:1 127.0.0.1:5000/one:1
docker manifest annotate --arch arm64 --variant v8 --os-features a,b 127.0.0.1:5000/list:1 127.0.0.1:5000/two:1
docker manifest annotate --os beos 127.0.0.1:5000/list:1 127.0.0.1:5000/two:1
docker manifest annotate --os beos 127.0.0.1:5000/list:1 127.0.0.1:5000/three:1
docker manifest inspect 127.0.0.1:5000/list:1 | short
docker manifest inspect 127.0.0.1:5000/list:1 127.0.0.1:5000/one:1 | short
docker manifest inspect 127.0.0.1:5000/list:1 127.0.0.1:5000/three:1
docker manifest push --insecure --purge 127.0.0.1:5000/list:1 | short
docker manifest push --insecure 127.0.0.1:5000/list:1
docker manifest inspect --insecure 127.0.0.1:5000/list:1 | short
docker manifest create --insecure 127.0.0.1:5000/more:1 127.0.0.1:5000/list:1
docker manifest create --insecure 127.0.0.1:5000/more:1 127.0.0.1:5000/nosuch:1
docker manifest create --insecure 127.0.0.1:5000/more:1 127.0.0.1:5000/one:1
docker manifest create BAD 127.0.0.1:5000/one:1
docker manifest rm 127.0.0.1:5000/more:1 127.0.0.1:5000/more:1 BAD

### search-bad: what can't be
docker search --limit 200 x
docker search --filter nosuch=1 x
docker search 127.0.0.1:5000/x
