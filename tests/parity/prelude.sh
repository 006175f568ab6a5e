# Read before every case's script. $C is the case's own container name; `docker` is one engine or the other.

# nc: the host's one, the same on every machine (some have none, some another).
nc() {
    busybox nc "$@"
}

# pid CONTAINER: its first process, as the host numbers it.
pid() {
    docker inspect --format '{{.State.Pid}}' "$1"
}

# limit CONTAINER CONTROLLER V1_FILE [V2_FILE]: what the kernel was told, read from outside.
limit() {
    _line=$(grep -E "^[0-9]+:$2:" "/proc/$(pid "$1")/cgroup")
    if [ -n "$_line" ]; then
        cat "/sys/fs/cgroup/$2${_line#*:*:}/$3"
    else
        cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pid "$1")/cgroup")/$4"
    fi
}

# until_said CONTAINER TEXT: wait until its log has the text.
until_said() {
    for _ in $(seq 100); do
        docker logs "$1" 2>&1 | grep -q -e "$2" && return 0
        sleep 0.1
    done
    echo "$1 never said $2" >&2
    return 1
}

# until_is CONTAINER TEMPLATE VALUE: wait until inspect says so.
until_is() {
    for _ in $(seq 150); do
        test "$(docker inspect --format "$2" "$1")" = "$3" && return 0
        sleep 0.1
    done
    echo "$1: $2 never became $3, but is $(docker inspect --format "$2" "$1")" >&2
    return 1
}

# on_terminal KEYS COMMAND…: run it on a terminal of its own and type; KEYS as for printf, "|" waits half a second.
on_terminal() {
    _keys=$1; shift
    mkfifo keys && script -qefc "$(printf "'%s' " "$@")" /dev/null <keys >typed 2>&1 &
    _job=$!
    while ! test -p keys; do sleep 0.05; done
    exec 9>keys
    while test -n "$_keys"; do
        _part=${_keys%%|*}
        sleep 0.7; printf "$_part" >&9
        test "$_part" = "$_keys" && break
        _keys=${_keys#*|}
    done
    wait $_job; _code=$?
    exec 9>&-; rm -f keys
    tr -d '\r' <typed
    return $_code
}
