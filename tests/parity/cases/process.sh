# What runs, with which words and variables, as whom, and how it ends.

### echo: standard output and a zero exit
docker run --rm busybox echo hello world

### both-streams: standard output and error stay apart
docker run --rm busybox sh -c 'echo out; echo err >&2'

### exit-42: the command's exit code is run's
docker run --rm busybox sh -c 'exit 42'

### killed-by-signal: 128+n when the command kills itself
docker run --rm busybox sh -c 'sh -c "kill -9 \$\$"; echo $?'

### killed-from-outside: kill -9 of the first process
docker run -d --name $C busybox sleep 100 >/dev/null
kill -9 $(pid $C)
docker wait $C
docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}' $C

### segfault: a core-dumping signal is 139
docker run --rm --init busybox sh -c 'sh -c "kill -SEGV \$\$"'

### missing-command: 127, and nothing is left
#~ stderr executable file not found in \$PATH
docker run --name $C busybox nosuch

### missing-command-path: 127 for a path as well
#~ stderr no such file or directory
docker run --rm busybox /bin/nosuch

### missing-command-state: the container stays, as created, with the code
docker run --name $C busybox nosuch 2>/dev/null
docker inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}' $C
docker ps -a --filter name=$C --format '{{.Status}}'

### not-executable: 126
#~ stderr permission denied
docker run --rm busybox /etc/passwd

### directory-as-command: 126
#~ stderr (is a directory|permission denied)
docker run --rm busybox /etc

### no-interpreter: a script without #! can't be executed
#~ stderr exec format error
printf 'echo hi\n' > script; chmod +x script
docker run --rm -v $PWD/script:/script busybox /script

### missing-interpreter: the file is there, its interpreter isn't
#~ stderr no such file or directory
printf '#!/bin/bash\n' > script; chmod +x script
docker run --rm -v $PWD/script:/script busybox /script

### no-command: neither the image nor the user says what to run
docker run --rm nothing

### environment: nothing but what image and engine set
docker run --rm --hostname box busybox env | sort

### environment-flag: -e adds and replaces
docker run --rm --hostname box -e A=1 -e PATH=/bin:/usr/bin -e EMPTY= -e 'S=a b' busybox env | sort

### environment-from-host: -e NAME takes the client's own value, or nothing
OUTSIDE=yes docker run --rm -e OUTSIDE -e NOSUCHNAME busybox sh -c 'echo "$OUTSIDE"; env | grep -c NOSUCHNAME'

### environment-file: comments, bare names, quotes that stay
printf '# comment\nA=1\n\nB="quoted"\nOUTSIDE\nNOSUCH\n  C=led by blanks\nD= 4 \n' > list
OUTSIDE=yes docker run --rm --env-file list busybox env | grep -v -e HOSTNAME | sort

### environment-file-bad-name: names with blanks are refused
printf 'A B=1\n' > list
docker run --rm --env-file list busybox env

### environment-file-missing: no such file
docker run --rm --env-file nosuch busybox env

### environment-file-and-flag: -e wins over the file
echo A=file > list
docker run --rm --env-file list -e A=flag busybox sh -c 'echo $A'

### environment-home: HOME follows the user
for user in root mail nobody 1234 33:33; do docker run --rm -u $user busybox sh -c 'echo $HOME'; done

### environment-home-kept: HOME from -e stays
docker run --rm -e HOME=/else busybox sh -c 'echo $HOME'

### environment-term: -t sets TERM
docker run --rm -t busybox sh -c 'echo $TERM' | tr -d '\r'

### image-environment: ENV of the image, replaced by -e
docker run --rm --entrypoint env configured:1.0 | sort | grep -v HOSTNAME
docker run --rm --entrypoint env -e COLOUR=red configured:1.0 | grep COLOUR

### image-command: ENTRYPOINT and CMD
docker run --rm configured:1.0

### image-command-replaced: the command replaces CMD, not ENTRYPOINT
docker run --rm configured:1.0 other words

### entrypoint-flag: --entrypoint drops CMD
docker run --rm --entrypoint /bin/echo configured:1.0
docker run --rm --entrypoint /bin/echo configured:1.0 given

### entrypoint-empty: --entrypoint '' leaves the command alone
docker run --rm --entrypoint '' configured:1.0 echo just this

### entrypoint-empty-alone: then there is no command
docker run --rm --entrypoint '' configured:1.0

### shell-form: a string ENTRYPOINT runs under sh -c
docker inspect --format '{{json .Config.Entrypoint}}' shellform
docker run -d --name $C shellform >/dev/null
sed 's/\x00/ /g' /proc/$(pid $C)/cmdline; echo
docker inspect --format '{{.Path}} {{json .Args}}' $C

### workdir: -w, a missing one is made
docker run --rm -w /tmp busybox pwd
docker run --rm -w /made/here busybox sh -c 'pwd; ls -ld /made /made/here | cut -c1-10'

### workdir-image: WORKDIR of the image
docker run --rm --entrypoint pwd configured:1.0

### workdir-relative: refused
docker run --rm -w some/where busybox pwd

### workdir-file: a file in the way
#~ stderr (not a directory|Cannot mkdir)
docker run --rm -w /etc/passwd busybox pwd

### workdir-owner: a missing one is made as root even for a user
docker run --rm -u mail -w /made busybox stat -c '%u:%g %a' /made

### user-name: looked up inside the image
docker run --rm -u mail busybox id

### user-root-groups: root's supplementary groups from /etc/group
docker run --rm busybox id
docker run --rm busybox grep Groups /proc/self/status

### user-number: a number needs no entry
docker run --rm -u 4321 busybox id
docker run --rm -u 4321:100 busybox id

### user-and-group-names: user:group
docker run --rm -u mail:daemon busybox id
docker run --rm -u 8:users busybox id

### user-unknown: no such user in the image
#~ stderr unable to find user nosuch: no matching entries in passwd file
docker run --rm -u nosuch busybox id

### group-unknown: no such group in the image
#~ stderr unable to find group nosuch: no matching entries in group file
docker run --rm -u root:nosuch busybox id

### user-out-of-range: beyond 2^31
#~ stderr uids and gids must be in range 0-2147483647
docker run --rm -u 2147483648 busybox id

### user-image: USER of the image
docker run --rm --entrypoint id configured:1.0
docker run --rm --entrypoint id -u root configured:1.0

### group-add: names and numbers
docker run --rm --group-add daemon --group-add 777 busybox id
docker run --rm -u mail --group-add www-data busybox id

### group-add-unknown: no such group
#~ stderr (U|u)nable to find group nosuch
docker run --rm --group-add nosuch busybox id

### stdin-pipe: -i passes standard input and its end
printf 'one\ntwo\n' | docker run --rm -i busybox cat

### stdin-closed: without -i there is nothing to read
printf 'one\n' | docker run --rm busybox sh -c 'cat; echo end'

### stdin-large: a megabyte through -i arrives whole
yes minidock | head -c 1000000 | docker run --rm -i busybox md5sum

### stdout-large: a megabyte comes out whole
docker run --rm busybox sh -c 'yes output | head -c 1000000' | md5sum

### stdin-head: the command ends before its input
yes | head -c 300000 | docker run --rm -i busybox head -n 1

### stdin-kind: what the descriptors are without -i
docker run --rm busybox sh -c 'for fd in 0 1 2; do readlink /proc/$$/fd/$fd | sed "s/[[0-9]*]//"; done'

### attach-one-stream: -a stdout leaves the error stream out
docker run --rm -a stdout busybox sh -c 'echo out; echo err >&2'

### tty-name: the terminal's name and that all three are it
docker run --rm -t busybox sh -c 'tty; test -t 1 && test -t 2 && echo terminal' </dev/null | tr -d '\r'

### tty-merges: with a terminal both streams are one
docker run --rm -t busybox sh -c 'echo out; echo err >&2' 2>/dev/null | tr -d '\r'

### tty-not-a-terminal: -it with a pipe as input
echo | docker run --rm -it busybox true

### tty-size: the size of the client's terminal
{ sleep 3; } | script -qec "stty rows 33 cols 99; docker run --rm -it busybox sh -c 'sleep 0.5; stty size'" /dev/null |
    grep -o '[0-9]* [0-9]*'

### tty-session: typing into a shell, and its exit code
{ sleep 2; printf 'echo typed $((6*7))\n'; sleep 1; printf 'exit 7\n'; sleep 1; } |
    script -qec "docker run --rm -it busybox sh" /dev/null | tr -d '\r' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | grep '^typed'
script -qec "docker run --rm -t busybox sh -c 'exit 7'" /dev/null </dev/null

### tty-carriage-return: a terminal turns line feeds into two characters
docker run --rm -t busybox echo x | od -c | head -n 1

### init: --init is process 1 and reaps
#~ stdout (docker-init|minidock-init|tini)
docker run --rm --init busybox cat /proc/1/comm

### init-child: the command is a child of it, and its code passes
docker run --rm --init busybox sh -c 'echo $PPID; exit 9'

### pid-one: without --init the command is process 1
docker run --rm busybox sh -c 'echo $$ $PPID; ps -o pid,comm | head -n 2'

### signal-to-client: run passes SIGTERM on
docker run --rm --name $C busybox sh -c 'trap "echo got TERM; exit 3" TERM; echo ready; while :; do sleep 0.1; done' &
client=$!
until_said $C ready
kill -TERM $client
wait $client

### signal-sig-proxy-off: --sig-proxy=false keeps it
docker run --sig-proxy=false --name $C busybox sh -c 'trap "echo got TERM; exit 3" TERM; echo ready; for i in $(seq 30); do sleep 0.1; done' >/dev/null &
client=$!
until_said $C ready
kill -TERM $client
wait $client; echo $?
docker wait $C

### first-process-ignores-term: process 1 without a handler survives SIGTERM
docker run -d --name $C busybox sleep 100 >/dev/null
docker kill -s TERM $C >/dev/null
sleep 0.3
docker inspect --format '{{.State.Running}}' $C

### ignored-signals: what the command starts with
docker run --rm busybox grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status

### ignored-signals-nohup: nor what the user's shell ignores
(trap '' HUP QUIT TERM; docker run --rm busybox grep -E '^Sig(Blk|Ign)' /proc/self/status)

### umask: 0022, whatever the user's is
(umask 077; docker run --rm busybox sh -c 'umask; touch /tmp/f; stat -c %a /tmp/f')

### flags-end: what follows the image is the command's
docker run --rm busybox echo --rm -e A=1
