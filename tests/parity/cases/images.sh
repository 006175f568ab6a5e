# Images: listed, named, removed, carried.

### images: the table
docker images busybox | awk '{print $1, $2, $3, NF}'

### images-format: --format
docker images --format '{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}}' configured

### images-quiet: -q, --no-trunc
docker images -q configured
docker images -q --no-trunc configured

### images-none: a name that matches nothing
docker images nosuch

### images-filter: reference and label
docker images --filter reference='conf*' --format '{{.Repository}}'
docker images --filter label=kind=test --format '{{.Repository}}:{{.Tag}}'

### image-id: the same image, the same id
docker image inspect --format '{{.Id}}' busybox configured:1.0 | md5sum

### image-inspect: what the configuration says
docker image inspect --format '{{json .Config.Env}} {{json .Config.Cmd}} {{json .Config.Entrypoint}} {{.Config.WorkingDir}} {{.Config.User}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{.Config.StopSignal}}' configured:1.0
docker image inspect --format '{{.Architecture}} {{.Os}} {{json .RepoTags}} {{.Size}} {{json .RootFS}}' configured:1.0

### image-inspect-missing: no such image
docker image inspect nosuch

### tag: another name
docker tag busybox $C:one
docker images --format '{{.Repository}}:{{.Tag}} {{.ID}}' $C
docker rmi $C:one

### tag-missing: no such image
docker tag nosuch $C

### tag-bad: not a name
docker tag busybox 'Bad Name'

### rmi-missing: no such image
docker rmi nosuch

### rmi-untag: a name goes, the image stays
docker tag busybox $C
docker rmi $C
docker image inspect --format '{{json .RepoTags}}' busybox

### rmi-used: refused while a container needs it
docker import -q - $C < ../../images/small.tar >/dev/null 2>&1 || docker import ../../images/small.tar $C >/dev/null
docker create --name $C $C true >/dev/null
docker rmi $C
docker rm $C >/dev/null; docker rmi $C | grep -c -e Untagged -e Deleted

### rmi-removes: the last name takes the image along
docker import ../../images/small.tar $C >/dev/null
docker rmi $C | cut -d: -f1

### missing-image: run of an image that nobody has
#~ stderr (U|u)nable to find image 'nosuch.invalid/nosuch:latest' locally
docker run --rm nosuch.invalid/nosuch true

### missing-image-never: --pull never
docker run --rm --pull never nosuch true

### missing-image-create: create as well
#~ stderr (U|u)nable to find image 'nosuch.invalid/nosuch:latest' locally
docker create nosuch.invalid/nosuch

### bad-image-name: not a reference
docker run --rm 'Bad' true
docker run --rm 'busybox:bad:tag' true

### run-by-id: a short id is a name
docker run --rm $(docker images -q busybox) echo ran

### import-changes: --change makes configuration
docker import --change 'CMD ["readme"]' --change 'ENV A=1' --message words ../../images/small.tar $C >/dev/null
docker image inspect --format '{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}}' $C
docker rmi $C >/dev/null

### import-bad-change: refused
docker import --change 'NOSUCH x' ../../images/small.tar $C

### import-missing: no such file
#~ stderr no such file or directory
docker import nosuch.tar
docker import --platform plan8/amd64 ../../images/small.tar $C

### save-load: there and back
docker tag busybox $C:saved
docker save -o saved.tar $C:saved
docker rmi $C:saved >/dev/null
docker load -i saved.tar
docker rmi $C:saved
docker load -q < saved.tar
docker rmi $C:saved

### save-missing: no such image
docker save -o saved.tar nosuch

### save-to-terminal: refused
#~ stderr (cowardly refusing to save to a terminal|terminal)
script -qec "docker save busybox" /dev/null </dev/null >&2

### load-garbage: not an archive
#~ stderr .
echo garbage > g.tar
docker load -i g.tar

### load-missing: no such file
docker load -i nosuch.tar


### commit: a container's changes as an image
docker run --name $C busybox touch /mark
docker commit -m words $C $C >/dev/null
docker run --rm $C ls /mark
docker rm $C >/dev/null; docker rmi $C >/dev/null
