# A container's files: cp in both directions, diff, export, commit.

### cp-in-file: a file, into a directory, under another name, over another
echo hi > f; chown 1234:2345 f
docker create --name $C busybox true >/dev/null
docker cp f $C:/tmp && docker cp f $C:/tmp/g && docker cp f $C:/tmp/g
docker cp $C:/tmp - | tar tv --numeric-owner | awk '{print $1, $2, $3, $6}'

### cp-in-directory: into a directory, as a new one, its contents
mkdir -p d/sub; echo x > d/sub/x
docker create --name $C busybox true >/dev/null
docker cp d $C:/tmp; docker cp d $C:/tmp/new; docker cp d/. $C:/tmp/contents; docker cp d/. $C:/tmp/contents; docker cp d/ $C:/tmp/slash
docker cp $C:/tmp - | tar t

### cp-in-missing: what isn't there
docker create --name $C busybox true >/dev/null
docker cp nosuch $C:/; echo $?
echo x > f
docker cp f $C:/nosuch/x; echo $?
docker cp f $C-2:/tmp

### cp-in-asserted: a slash says that it is a directory
#~ stderr no such directory
echo x > f
docker create --name $C busybox true >/dev/null
docker cp f $C:/nosuch/

### cp-in-directory-over-file: refused
#~ stderr cannot copy directory
mkdir d
docker create --name $C busybox true >/dev/null
docker cp d $C:/etc/passwd

### cp-in-not-a-directory: below a file
echo x > f
docker create --name $C busybox true >/dev/null
docker cp f $C:/etc/passwd/x

### cp-in-file-with-slash: a file that claims to be a directory
echo x > f
docker create --name $C busybox true >/dev/null
docker cp f/ $C:/tmp

### cp-in-file-over-directory: goes into it
mkdir -p d/group; echo x > f
docker create --name $C busybox true >/dev/null
docker cp f $C:/etc/; docker cp $C:/etc/f - | tar t

### cp-in-kinds-differ: a directory within doesn't become a file, nor the reverse
mkdir -p d/passwd
docker create --name $C busybox true >/dev/null
docker cp d/. $C:/etc 2>&1 | grep -o 'cannot overwrite.*'
mkdir e; echo x > e/etc
docker cp e/. $C:/ 2>&1 | grep -o 'cannot overwrite.*'

### cp-in-links: links are links, unless followed
echo hi > f; mkdir d; ln -s f link; ln -s d dlink; ln -s nosuch dangling
docker create --name $C busybox true >/dev/null
docker cp link $C:/tmp/a; docker cp -L link $C:/tmp/b; docker cp dlink $C:/tmp/c; docker cp dlink/ $C:/tmp/d; docker cp -L dlink $C:/tmp/e; docker cp dangling $C:/tmp
docker cp $C:/tmp - | tar tv | awk '{print $1, $6, $7, $8}'
docker cp -L dangling $C:/tmp

### cp-in-through-link: a link in the container is followed in the container
echo hi > f
docker run --name $C busybox sh -c 'ln -s /tmp /way; ln -s ../../../../tmp /up; ln -s /tmp/made /there'
docker cp f $C:/way; docker cp f $C:/up/g; docker cp f $C:/there
docker cp $C:/tmp - | tar t

### cp-in-owner: -a makes files the container's user's
echo hi > f; chown 1234:2345 f
docker create --name $C --user mail busybox true >/dev/null
docker cp f $C:/tmp/kept; docker cp -a f $C:/tmp/given
docker cp $C:/tmp - | tar tv --numeric-owner | awk '{print $1, $2, $6}'

### cp-in-running: a running container sees it at once
echo hi > f; mkdir v
docker run -d --name $C -v $PWD/v:/v busybox sleep 100 >/dev/null
docker cp f $C:/tmp/f; docker cp f $C:/v/f; docker exec $C cat /tmp/f /v/f; cat v/f

### cp-in-mounted-over: nothing is copied over a mount
#~ stderr (unlinkat /etc/hosts: )?device or resource busy
echo hi > f
docker run -d --name $C busybox sleep 100 >/dev/null
docker cp f $C:/etc/hosts
docker exec $C grep -c localhost /etc/hosts

### cp-in-read-only: a read-only root or volume
echo hi > f; mkdir v
docker create --name $C --read-only -v $PWD/v:/v -v $PWD/v:/ro:ro busybox true >/dev/null
docker cp f $C:/; docker cp f $C:/ro; docker cp f $C:/v && cat v/f

### cp-in-stream: a tar on standard input
mkdir -p d/sub; echo x > d/sub/x
docker create --name $C busybox true >/dev/null
tar c d | docker cp - $C:/tmp; tar cz d/sub | docker cp - $C:/var; docker cp - $C:/tmp </dev/null
docker cp $C:/tmp - | tar t; docker cp $C:/var - | tar t
tar c d | docker cp - $C:/nosuch; tar c d | docker cp - $C:/etc/passwd

### cp-in-stream-garbage: not a tar
#~ stderr .
docker create --name $C busybox true >/dev/null
echo garbage | docker cp - $C:/tmp

### cp-out-file: into a directory, under another name, over a file
docker create --name $C busybox true >/dev/null
mkdir d; echo old > old
docker cp $C:/etc/passwd . && docker cp $C:/etc/passwd named && docker cp $C:/etc/passwd d && docker cp $C:/etc/passwd old
ls -ln passwd named d/passwd old | awk '{print $1, $3, $4, $5, $9}'

### cp-out-directory: as a new one, into one, its contents
docker create --name $C busybox true >/dev/null
mkdir in contents
docker cp $C:/var new && docker cp $C:/var in && docker cp $C:/var/. contents && docker cp $C:/var/ slash
find . | sort

### cp-out-missing: what isn't there
docker create --name $C busybox true >/dev/null
docker cp $C:/nosuch .; docker cp $C:nosuch .; docker cp $C-2:/x .
docker cp $C:/etc/passwd nosuch/x; docker cp $C:/etc/passwd nosuch/; docker cp $C:/etc/passwd /dev/null
echo x > f; docker cp $C:/etc f

### cp-out-links: links are links, unless followed
docker run --name $C busybox sh -c 'cd /tmp; echo hi > f; ln -s f link; ln -s /etc dir; ln -s nosuch dangling'
docker cp $C:/tmp/link a; docker cp -L $C:/tmp/link b; docker cp $C:/tmp/dir c; docker cp -L $C:/tmp/dir d; docker cp $C:/tmp/dir/ e; docker cp $C:/tmp/dangling f
ls -l | awk '{print $1, $9, $10, $11}' | grep -v total; ls d e | wc -l
docker cp -L $C:/tmp/dangling g

### cp-out-over-links: a link here is followed
docker create --name $C busybox true >/dev/null
mkdir d; echo x > f; ln -s f link; ln -s d dlink; ln -s made dangling
docker cp $C:/etc/group link; docker cp $C:/etc/group dlink; docker cp $C:/etc/group dangling
ls -l link f d/group made | awk '{print $1, $5, $9}'

### cp-out-not-a-directory: a file with a slash
#~ stderr lstat .*: not a directory
docker create --name $C busybox true >/dev/null
docker cp $C:/etc/passwd/ .

### cp-out-stream: to standard output
docker create --name $C busybox true >/dev/null
docker cp $C:/etc/passwd - | tar t; docker cp $C:/var - | tar t; docker cp $C:/var/. - | tar t; docker cp $C:/var/tmp/ - | tar tv | cut -c1-10

### cp-out-volume: a volume and what is in it
mkdir v; echo hi > v/f
docker create --name $C -v $PWD/v:/data/here busybox true >/dev/null
docker cp $C:/data - | tar t; docker cp $C:/data/here/f - | tar xO

### cp-out-running: files of a running container, but not what only it has mounted
docker run -d --name $C --tmpfs /scratch busybox sh -c 'echo hi > /f; echo no > /scratch/f; echo ready; sleep 100' >/dev/null
until_said $C ready
docker cp $C:/f - | tar xO; docker cp $C:/scratch - | tar t; docker cp $C:/etc/hosts - | tar xO | head -n 1
docker cp $C:/proc/cpuinfo .

### cp-words: what the command line can't be
docker cp a b; docker cp x:a y:b; docker cp - -; docker cp x:a; docker cp '' x:/y; docker cp x:/y ''

### cp-sizes: how much was copied, when it is asked for
echo hi > f
docker create --name $C busybox true >/dev/null
docker cp -q=false f $C:/tmp/ 2>&1 | tail -n 1 | sed 's/.*Successfully/Successfully/'
docker cp -q=false $C:/tmp . 2>&1 | tail -n 1 | sed 's/.*Successfully/Successfully/'

### diff-kinds: added, changed, deleted
docker run --name $C busybox sh -c 'echo x > /file; echo x >> /etc/passwd; rm /etc/group; chmod 700 /tmp; mkdir -p /a/b; touch /a/b/c; rm -r /var; ln -s x /link; touch /bin/zz; mkfifo /pipe'
docker diff $C | sort

### diff-nothing: a container that changed nothing
docker run --name $C busybox cat /etc/passwd >/dev/null
docker diff $C

### diff-replaced: a directory made anew hides what was below, and a file what was a directory
docker run --name $C busybox sh -c 'rm -r /etc; mkdir /etc; echo x > /etc/new; rm -r /var; echo x > /var; rm /bin/sh; mkdir /bin/sh'
docker diff $C | sort

### diff-same: what is written back as it was is no change but for its time
docker run --name $C busybox sh -c 'touch -r /etc/passwd /time; cp /etc/passwd /x; cat /x > /etc/passwd; touch -r /time /etc/passwd; rm /x /time; mkdir /home/a; rmdir /home/a'
docker diff $C | sort

### diff-running: of a running one, with a volume
docker run -d --name $C -v /data busybox sh -c 'echo x > /data/f; echo x > /f; echo ready; sleep 100' >/dev/null
until_said $C ready
docker diff $C | sort

### diff-words: no container, none named, none there
docker diff; docker diff nosuch; docker diff a b

### export-tree: names, kinds, modes, owners
docker run --name $C busybox sh -c 'echo hi > /f; ln /f /hard; ln -s f /link; mkfifo /pipe; rm -r /var; chown 5:6 /f; chmod 4755 /f'
docker export $C | tar tv --numeric-owner | grep -v -e ' bin/' -e ' usr/' | awk '{print $1, $2, $3, $6, $7, $8, $9, $10}'

### export-volume: what is in a volume is not exported
mkdir v; echo x > v/f
docker run -d --name $C -v $PWD/v:/v --tmpfs /t busybox sh -c 'echo x > /t/f; echo ready; sleep 100' >/dev/null
until_said $C ready
docker export $C | tar t | grep -e '^v/' -e '^t/'

### export-output: -o, and where it can't
docker create --name $C busybox true >/dev/null
docker export -o out.tar $C; tar tf out.tar | grep -c .; docker export -o nosuch/x $C; docker export -o . $C; docker export -o gone.tar nosuch; ls

### export-words: no container
docker export; docker export nosuch | wc -c

### commit-config: -a, -m and -c
docker run --name $C busybox touch /mark
docker commit -a me -m words -c 'CMD ["ls", "/mark"]' -c 'ENV A=1' --change 'LABEL k=v' $C $C:1 | cut -c1-7
docker image inspect --format '{{.Author}} {{.Comment}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Labels}}' $C:1
docker run --rm $C:1
docker history --format '{{.CreatedBy}}|{{.Comment}}|{{.Size}}' $C:1
docker rmi $C:1 | cut -d: -f1

### commit-nothing: nothing changed is no layer
docker create --name $C busybox true >/dev/null
docker commit $C $C:1 >/dev/null
test "$(docker image inspect -f '{{.RootFS}}' $C:1)" = "$(docker image inspect -f '{{.RootFS}}' busybox)" && echo same
docker history --format '{{.CreatedBy}}|{{.Size}}' $C:1
docker rm $C >/dev/null; docker rmi $C:1 | cut -d: -f1

### commit-running: paused meanwhile, and running after
docker run -d --name $C busybox sh -c 'echo x > /f; echo ready; sleep 100' >/dev/null
until_said $C ready
docker commit $C $C:1 >/dev/null; docker commit -p=false $C $C:2 > /dev/null
docker inspect -f '{{.State.Status}}' $C; docker run --rm $C:1 cat /f; docker run --rm $C:2 cat /f
docker rm -f $C >/dev/null; docker rmi $C:1 $C:2 | grep -c Untagged

### commit-deletes: what was deleted is gone in the image
docker run --name $C busybox sh -c 'rm /etc/group; rm -r /var; mkdir /var; echo x > /var/new'
docker commit $C $C:1 >/dev/null
docker run --rm $C:1 sh -c 'ls /etc/group /var'
docker rm $C >/dev/null; docker rmi $C:1 | grep -c Untagged

### commit-words: bad names, bad changes, no container
docker create --name $C busybox true >/dev/null
docker commit $C Bad; docker commit $C a:b:c; docker commit -c 'NOSUCH x' $C; docker commit -c 'RUN x' $C; docker commit nosuch; docker commit

### export-owner-names: owners by number only
docker create --name $C busybox true >/dev/null
docker export $C | tar tv | grep etc/passwd | awk '{print $2}'
