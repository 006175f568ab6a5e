#!/bin/sh
# What `minidock build` would do for a Dockerfile, by hand. A stage is a stack of directories; RUN, COPY, ADD and WORKDIR
# each put one on top, the upper directory of an overlay mount in which they do their work.
# Needs root, util-linux, tar, awk, curl or git for what is fetched. Leaves the tree in WORK/rootfs.tar: sh SCRIPT [WORK]
# A RUN has the host's network, and more rights than minidock would leave it: no seccomp filter, all capabilities.
set -eu
# The mounts are in a namespace of the script's own, and end with it.
[ -n "${INSIDE-}" ] || INSIDE=1 exec unshare --mount --propagation private sh "$0" "$@"
umask 022
WORK=${1:-$(mktemp -d)}
mkdir -p "$WORK/l" "$WORK/w" "$WORK/root" "$WORK/here" "$WORK/cache" "$WORK/places" "$WORK/trees" "$WORK/secrets"
WORK=$(cd "$WORK" && pwd)
SECRETS=$WORK/secrets
mount -t tmpfs -o mode=700 tmpfs "$SECRETS" # memory: no secret comes on a disk
ROOT=$WORK/root
CONTEXT=@CONTEXT@
cd "$WORK/l" # layers are named from here: mount(2) takes one page of options, and long names fill it
mkdir -p empty
N=0

# Layers that lie elsewhere get short names.
linked() {
    row=
    for each; do
        name=$(printf %s "$each" | md5sum | cut -c 1-12)
        [ -e "$name" ] || ln -s "$each" "$name"
        row=$row${row:+:}$name
    done
    echo "${row:-empty}"
}

base() { LOWER=$(linked "$@"); }

# A layer on top of LOWER, to be filled in ROOT. At the bottom lie places to mount something on, so that none of them is
# in the layer.
layer() {
    N=$((N + 1))
    mkdir "$N" "$WORK/w/$N"
    mount -t overlay overlay -o "lowerdir=$LOWER:$WORK/places,upperdir=$N,workdir=$WORK/w/$N" "$ROOT"
}

laid() {
    umount -R "$ROOT"
    LOWER=$N:$LOWER
    rm -rf "$WORK/places"
    mkdir "$WORK/places"
}

# The files of a stage or an image, to be read.
tree() {
    place=$WORK/trees/$(printf %s "$1" | md5sum | cut -c 1-12)
    [ -d "$place" ] || { mkdir "$place"; mount -t overlay overlay -o "lowerdir=$1:empty" "$place"; }
    echo "$place"
}

# Where a path leads inside ROOT: a symlink's target begins at ROOT again, else a COPY could write to the host.
inside() {
    left=$1 at=
    while [ -n "$left" ]; do
        part=${left%%/*}
        case $left in */*) left=${left#*/} ;; *) left= ;; esac
        case $part in
            '' | .) ;;
            ..) at=${at%/*} ;;
            *)
                if [ -L "$ROOT$at/$part" ]; then
                    link=$(readlink "$ROOT$at/$part")
                    case $link in /*) at= ;; esac
                    left=$link${left:+/$left}
                else
                    at=$at/$part
                fi
                ;;
        esac
    done
    echo "$ROOT$at"
}

# Numbers of USER[:GROUP], by the image's own passwd and group. Without a group: COPY's is the one of the same name or
# number, RUN's and WORKDIR's the user's own.
ids() {
    passwd=$(inside /etc/passwd) groups=$(inside /etc/group) user=${1%%:*} group=
    case $1 in *:*) group=${1#*:} ;; esac
    [ -e "$passwd" ] || passwd=/dev/null
    [ -e "$groups" ] || groups=/dev/null
    uid=$(awk -F: -v u="$user" '$1 == u || $3 == u { print $3; exit }' "$passwd")
    gid=$(awk -F: -v u="$user" '$1 == u || $3 == u { print $4; exit }' "$passwd")
    case $user in
        *[!0-9]*) [ "${2-}" != copy ] || group=${group:-$(awk -F: -v g="$user" '$1 == g { print $1 }' "$groups")} ;;
        *) uid=$user; [ "${2-}" = run ] && gid=${gid:-0} || gid=$user ;;
    esac
    case $group in
        '') ;;
        *[!0-9]*) gid=$(awk -F: -v g="$group" '$1 == g { print $3; exit }' "$groups") ;;
        *) gid=$group ;;
    esac
    echo "${uid:?no such user: $user}:${gid:?no such group: $group}"
}

# mkdir -p; what is new is OWNER's.
directory() {
    [ -d "$1" ] || { directory "${1%/*}" "$2"; mkdir "$1"; chown "$2" "$1"; }
}

# copy TREE SOURCE TARGET OWNER MODE: of a directory what is in it. Directories that are there keep their looks. Without
# OWNER the files keep theirs.
copy() {
    from=$(ROOT=$1; inside "$2") to=$(inside "$3") owner=${4:-0:0}
    if [ -d "$from" ]; then
        [ -d "$to" ] || { directory "$to" "$owner"; [ -z "$5" ] || chmod "$5" "$to"; }
        tar -C "$from" -c --xattrs --xattrs-include='*' --numeric-owner ${4:+--owner=:${4%:*} --group=:${4#*:}} \
            ${5:+--mode="$5"} . | tar -C "$to" -xp --xattrs --xattrs-include='*' --numeric-owner \
            --no-overwrite-dir --keep-directory-symlink
        return
    fi
    case $3 in */) to=$to/${2##*/} ;; *) [ ! -d "$to" ] || to=$to/${2##*/} ;; esac
    directory "${to%/*}" "$owner"
    rm -f "$to"
    cp --preserve=all "$from" "$to"
    [ -z "$4" ] || chown "$4" "$to"
    chmod "$(stat -c %a "$from")" "$to" # chown(2) has cleared setuid bits
    [ -z "$5" ] || chmod "$5" "$to"
}

unpack() { # ARCHIVE TARGET
    to=$(inside "$2")
    directory "$to" 0:0
    tar -C "$to" -xpf "$1" --numeric-owner --xattrs --xattrs-include='*'
}

fetch() { # ADDRESS NAME CHECKSUM
    rm -rf "$WORK/fetched"
    mkdir "$WORK/fetched"
    curl -fsSL --remote-time -o "$WORK/fetched/$2" "$1"
    chmod 600 "$WORK/fetched/$2"
    [ -z "$3" ] || echo "${3#sha256:}  $WORK/fetched/$2" | sha256sum -c --quiet
}

clone() { # ADDRESS REF
    rm -rf "$WORK/fetched"
    git clone -q "$1" "$WORK/fetched"
    git -C "$WORK/fetched" checkout -q "$2"
    rm -rf "$WORK/fetched/.git"
}

without_what_is_ignored() {
    mkdir "$WORK/context"
    tar -C "$CONTEXT" --no-recursion -c -T "$WORK/context.names" | tar -C "$WORK/context" -xp
    CONTEXT=$WORK/context
}

# A place to mount something on: a directory, or a file when what is to be mounted is one. A tmpfs looks like its place.
place() {
    path=$WORK/places$1
    if [ -n "${2-}" ] && [ ! -d "$2" ]; then
        mkdir -p "${path%/*}"
        : > "$path"
    else
        mkdir -p "$path"
    fi
}

memory() { # TARGET SIZE
    to=$(inside "$1")
    mount -t tmpfs -o "mode=$(stat -c %a "$to")${2:+,size=$2}" tmpfs "$to"
}

bind() { # SOURCE TARGET ro|rw|copy
    to=$(inside "$2") from=$1
    if [ "$3" = copy ]; then # what the RUN writes there is gone afterwards
        from=$(mktemp -d -p "$WORK")/copy
        cp -a "$1" "$from"
    fi
    mount --bind "$from" "$to"
    [ "$3" != ro ] || mount -o remount,bind,ro "$to"
}

# What every container has: places first, then devices and the way to names.
needed() {
    mkdir -p "$WORK/places/proc" "$WORK/places/sys" "$WORK/places/dev" "$WORK/places/etc"
    : > "$WORK/places/etc/resolv.conf"
}

devices() {
    mount -t sysfs -o ro sysfs "$ROOT/sys"
    mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
    for each in null zero full random urandom tty; do
        : > "$ROOT/dev/$each"
        mount --bind "/dev/$each" "$ROOT/dev/$each"
    done
    mkdir -m 1777 "$ROOT/dev/shm"
    ln -s /proc/self/fd "$ROOT/dev/fd"
    for each in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${each%:*}" "$ROOT/dev/${each#*:}"; done
    if [ -f "$(inside /etc/resolv.conf)" ]; then mount --bind /etc/resolv.conf "$(inside /etc/resolv.conf)"; fi
}

# run UID:GID DIRECTORY [--net] -- NAME=VALUE ... -- COMMAND ...
run() {
    user=$1 where=$2 net=
    shift 2
    [ "$1" = -- ] || { net=$1; shift; }
    shift
    home=$(awk -F: -v u="${user%:*}" '$3 == u { print $6; exit }' "$(inside /etc/passwd)" 2>/dev/null || :)
    set -- "HOME=${home:-/}" "HOSTNAME=$(uname -n)" "$@"
    program=$(command -v unshare)
    left=$#
    while [ "$left" -gt 0 ]; do # the -- between variables and command becomes unshare and its options
        word=$1
        shift
        if [ "$word" = -- ] && [ -n "$program" ]; then
            set -- "$@" "$program" --mount --pid --fork --uts --ipc $net --mount-proc --root="$ROOT" --wd="$where" \
                --setgid="${user#*:}" --setuid="${user%:*}" --
            program=
        else
            set -- "$@" "$word"
        fi
        left=$((left - 1))
    done
    env -i "$@" < /dev/null
}
