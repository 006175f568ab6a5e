# Building: what a script sees of it. Docker's client tells its progress on stdout (the classic builder), minidock on
# stderr, as BuildKit does: so only results are compared here; trees and configs in tests/interop/test_build_docker.py.

### build-quiet: -q prints the id alone
printf 'FROM busybox\nLABEL case=quiet\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q . 2> /dev/null | sed 's/[0-9a-f]\{64\}/ID/'

### build-and-run: the image is there under its names
printf 'FROM busybox\nCOPY file /f\nCMD ["cat", "/f"]\n' > Dockerfile
echo content > file
DOCKER_BUILDKIT=0 docker build -q -t $C-image -t $C-image:two . > /dev/null 2>&1
docker run --rm $C-image
docker run --rm $C-image:two
docker rmi $C-image $C-image:two | grep Untagged

### build-file: -f, --build-arg, --label, --target
printf 'FROM busybox AS one\nARG A=1\nENV A=$A\nFROM one AS two\nENV B=2\n' > Other
DOCKER_BUILDKIT=0 docker build -q -f Other --build-arg A=9 --label l=v --target one -t $C-image . > /dev/null 2>&1
docker image inspect --format '{{json .Config.Env}} {{json .Config.Labels}}' $C-image
docker rmi $C-image | grep Untagged

### build-iidfile: --iidfile
printf 'FROM busybox\nLABEL case=iid\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q --iidfile id . > out 2> /dev/null
test "$(cat id)" = "$(cat out)" && echo same

### build-stdin: the Dockerfile on standard input
printf 'FROM busybox\nRUN echo from stdin > /x\n' | DOCKER_BUILDKIT=0 docker build -q -t $C-image - > /dev/null 2>&1
docker run --rm $C-image cat /x
docker rmi $C-image | grep Untagged

### build-no-such-context: a path that isn't there
#~ stderr unable to prepare context: path "nosuch" not found
DOCKER_BUILDKIT=0 docker build nosuch

### build-no-dockerfile: a context without one
#~ stderr (?i)dockerfile.*no such file or directory
DOCKER_BUILDKIT=0 docker build -q .

### build-unknown-instruction: the line is told
#~ stderr (?i)parse error (on )?line 2: unknown instruction: RUNN
printf 'FROM busybox\nRUNN x\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q .

### build-run-fails: RUN's exit code is told, build's is 1
#~ stderr /bin/sh -c exit 7.*7
printf 'FROM busybox\nRUN exit 7\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q . > /dev/null

### build-missing-file: COPY of what isn't there
#~ stderr COPY failed: .*file
printf 'FROM busybox\nCOPY nosuch /x\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q . > /dev/null

### build-no-target: --target of no stage
#~ stderr (?i)target.*nosuch
printf 'FROM busybox\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q --target nosuch .

### build-arguments: one, not none and not two
#~ stderr 'docker build' requires 1 argument
docker build

### build-cached: nothing new, the same id
printf 'FROM busybox\nRUN echo x > /x\nENV A=1\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q . > one 2> /dev/null
DOCKER_BUILDKIT=0 docker build -q . > two 2> /dev/null
cmp one two && echo same
