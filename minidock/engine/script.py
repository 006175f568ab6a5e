"""--dry-run and --as-shell: the plan told instead of done.

The script does by hand what the steps do by system calls, with sh, util-linux, iproute2, nft and hostname. It has the
same three processes: the script itself is A, `unshare --fork` is B, and what it forks becomes the container. Once the
root has been swapped no program of the host can be found any more, so the few that are still needed are lent: copied
with their libraries onto a tmpfs in the container's /dev. In the end that is the current directory, and so still there
for the last two programs, setpriv and env, when it is unmounted already: the command never sees it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from minidock import network
from minidock.engine import create, etc, init_layer, rootless, start, volumes
from minidock.engine.record import Record
from minidock.errors import ImageNotFound, Unsupported
from minidock.image.manifest import ImageConfig, RunConfig
from minidock.image.store import Image
from minidock.kernel import capabilities, credentials, no_new_privs, seccomp
from minidock.kernel.cgroup_join import EnterCgroup
from minidock.kernel.namespaces import KINDS, JoinNamespace, NewCgroupNamespace
from minidock.kernel.pivot import PivotRoot
from minidock.model.requests import CreateRequest
from minidock.paths import Layout
from minidock.runtime.planned import Plan
from minidock.steps import Step

RIGHTS = (
    capabilities.DropBoundingSet,
    capabilities.SetCapabilities,
    credentials.SetUser,
    no_new_privs.SetNoNewPrivs,
)
"""Steps that setpriv(1) does in one go, as it becomes the command."""

STAND_IN = Image(
    id="",
    tags=[],
    digests=[],
    config=ImageConfig(config=RunConfig(cmd=["sh"])),
    diff_ids=[],
    size=0,
    created="",
    manifest_digest="",
    architecture="",
    os="linux",
)
"""The image of a dry run that has none: no layers, nothing configured but a command."""

LENT = "env setpriv mount umount mkdir rmdir touch cat prlimit dirname"

HEAD = """\
#!/bin/sh
# What `minidock run` would do for this container, by hand.
# Needs %(needs)s; says what it does with: sh -x SCRIPT
set -eu
%(become)sRUN=%(run)s
export RUN
mkdir -p "$RUN"
PID=
clean_up() {
    status=$?
    trap '' EXIT INT TERM
    if [ -n "$PID" ]; then
        kill -KILL "$PID" 2>/dev/null || :
        wait 2>/dev/null || :
    fi
%(undo)s
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM
"""

BECOME_ROOT = """\
# An ordinary user's container: all of it happens in a user namespace in which he is root (unshare(1), newuidmap(1)).
[ "$(id -u)" = 0 ] || exec unshare --user --mount --map-root-user %(options)s sh "$0"
PATH=$PATH:/usr/sbin:/sbin # of which an ordinary user's has none
"""

LEND_INTO = """\
# Programs of the host for the time when the host's files are gone: with their loader and libraries.
LENT=%(dev)s/.lent
mkdir "$LENT"
%(mount)sfor tool in %(tools)s; do
    program=$(command -v $tool)
    cp "$program" "$LENT/"
    # ld.so(8): instead of running, the program lists its loader and libraries
    for word in $(LD_TRACE_LOADED_OBJECTS=1 "$program"); do
        case $word in
            /*/ld-*) cp "$word" "$LENT/loader" ;;
            /*) cp -n "$word" "$LENT/" ;;
        esac
    done
done
"""

LENT_CALL = """\
lent() { program=$1; shift; /dev/.lent/loader --library-path /dev/.lent "/dev/.lent/$program" "$@"; }
"""

AFTER_PIVOT = "\n".join(f'{tool}() {{ lent {tool} "$@"; }}' for tool in LENT.split() if tool not in ("env", "setpriv"))

GIVE_BACK = """\
cd /dev/.lent
./loader --library-path . ./umount -l /dev/.lent
./loader --library-path . ./rmdir /dev/.lent"""

BIRTH = """\
mkfifo "$RUN/proceed"
( exec <&3 3<&-; exec %(unshare)s --fork sh "$RUN/child.sh" ) &
SHIM=$!
while :; do
    PID=$(cat "/proc/$SHIM/task/$SHIM/children" 2>/dev/null) || { wait $SHIM; exit; }
    PID=${PID%% }
    [ -z "$PID" ] || break
done
export PID
"""

TAIL = """\
echo proceed > "$RUN/proceed"
status=0
wait $SHIM || status=$?
PID=
exit $status
"""


class ByHand(Layout):
    """The same instance, but for the one container that the script makes: its files lie in directories of their own.

    Any command of minidock would take a directory without a record for what a killed one left, and remove it.
    """

    def __init__(self, layout: Layout, container_id: str) -> None:
        super().__init__(layout.root, user=layout.user)
        self.own = container_id

    def container(self, container_id: str) -> Path:
        return self.root / "by-hand" / container_id if container_id == self.own else super().container(container_id)

    def container_run(self, container_id: str) -> Path:
        if container_id == self.own:
            return self.run / "by-hand" / container_id[:12]
        return super().container_run(container_id)


def dry_run(layout: Layout, request: CreateRequest, say: Callable[[str], None]) -> Plan:
    """The plan of a container that nobody creates. Without the image, or the right to read it, an empty one stands in,
    and `say` is told."""
    try:
        return _prepared(layout, create.draft(layout, request), by_hand=False)[1]
    except ImageNotFound:
        why = "isn't here"
    except PermissionError:
        why = "can't be read without root"
    plan = _prepared(layout, create.draft(layout, request, image=STAND_IN), by_hand=False)[1]
    say(f"the image {request.config.image} {why}: this is the plan for an empty one")
    return plan


def as_shell(layout: Layout, request: CreateRequest) -> str:
    """The whole script. The instance's subnet is chosen now, so that later commands use the one in the script."""
    bridged = request.host_config.network_mode in ("", "default", "bridge") and layout.user is None
    if bridged and os.access(layout.root, os.W_OK):
        network.default_network(layout)
    record, plan, texts = _prepared(layout, create.draft(layout, request), by_hand=True)
    if record.uid_map:
        raise Unsupported(
            "a script can't make this container: Debian's mount(8) knows no idmapped mounts", hint="--userns host"
        )
    place = ByHand(layout, record.id)
    directory, rootfs = place.container(record.id), place.container_run(record.id) / "rootfs"
    made = [f"{directory}/upper", f"{directory}/work", str(rootfs)]
    on_host = [point.source for point in record.mounts if point.type in ("bind", "volume")]
    made += [source for source in on_host if not os.path.lexists(source)]
    undo = [f"    {line}" for step in reversed(plan.before) for line in step.undo_shell().splitlines()]
    undo.append(f"    rm -rf {' '.join(map(shlex.quote, [*_own(record), str(directory), str(rootfs.parent)]))}")
    parents = [str(directory.parent), str(rootfs.parent.parent)]
    undo.append(f"    rmdir {' '.join(map(shlex.quote, parents))} 2>/dev/null || :")
    parts = [
        HEAD
        % {
            "undo": "\n".join(undo),
            "run": shlex.quote(str(rootfs.parent)),
            "needs": "root, util-linux, iproute2, nftables, hostname"
            if layout.user is None
            else "util-linux, uidmap, hostname",
            "become": "" if layout.user is None else BECOME_ROOT % {"options": rootless.unshare_options(layout)},
        },
        "# Files of the container\n" + f"mkdir -p {' '.join(map(shlex.quote, made))}",
        init_layer.shell(directory / "init", record.layers),
        *(_here(f"{directory}/{name}", text) for name, text in texts.items()),
        "\n# On the host",
        *map(_told, plan.before),
        "\n# The first process, which waits until it is told to proceed",
        "exec 3<&0",
        _here("$RUN/child.sh", _child(plan, rootfs), quoted=False),
        _comment(plan.spawn),
        BIRTH % {"unshare": _unshare(plan)},
        *map(_told, plan.joined),
        TAIL,
    ]
    return "\n".join(parts)


def _own(record: Record) -> list[str]:
    """Volumes for this container alone: as with --rm they go with it."""
    named = {bind.split(":", 1)[0] for bind in record.host_config.binds}
    return [
        str(Path(point.source).parent)
        for point in record.mounts
        if point.type == "volume" and len(point.name) == 64 and point.name not in named
    ]


def _prepared(layout: Layout, record: Record, *, by_hand: bool) -> tuple[Record, Plan, dict[str, str]]:
    record = volumes.plan(layout, record).of(record)
    attachment = network.plan(layout, record.id, record.config, record.host_config, record.requested, dry_run=True)
    texts = etc.texts(layout, record, attachment)
    plan, _ = start.prepare(ByHand(layout, record.id) if by_hand else layout, record, attachment)
    return record, plan, texts


def _told(step: Step) -> str:
    return f"{_comment(step)}\n{step.shell()}"


def _comment(step: Step) -> str:
    """What the step says, each line of it behind a #: the command may have several."""
    return "\n".join(f"# {line}" for line in step.describe().splitlines())


def _here(path: str, text: str, *, quoted: bool = True) -> str:
    """A file by a here-document."""
    shown = shlex.quote(path) if quoted else f'"{path}"'
    end = "END-OF-FILE"
    while end in text.splitlines():
        end += "-"
    return f"cat > {shown} <<'{end}'\n{text.rstrip()}\n{end}"


def _unshare(plan: Plan) -> str:
    joined = [step for step in [*plan.spawn.for_children(), *plan.child] if isinstance(step, JoinNamespace)]
    enter = " ".join(f"--{KINDS[step.kind].option}={step.path}" for step in joined)
    options = " ".join(f"--{KINDS[kind].option}" for kind in plan.spawn.kinds)
    return (f"nsenter {enter} " if enter else "") + f"unshare {options}"


def _child(plan: Plan, rootfs: Path) -> str:
    """child.sh: what C does. It starts itself a second time, in its cgroup namespace: that has to be made from inside
    the cgroup, in which it is put by the first half of the script."""
    again = "unshare --cgroup " if any(isinstance(step, NewCgroupNamespace) for step in plan.child) else ""
    lines = [
        "set -eu",
        'if [ -z "${PROCEED-}" ]; then',
        'read -r PROCEED < "$RUN/proceed"',
        "export PROCEED",
        *(_told(step) for step in plan.child if isinstance(step, EnterCgroup)),
        f'exec {again}sh "$RUN/child.sh"',
        "fi",
        "umask 022",
    ]
    for step in plan.child:
        if isinstance(step, (EnterCgroup, JoinNamespace, NewCgroupNamespace, *RIGHTS)):
            continue
        if isinstance(step, PivotRoot):
            mount = 'mount -t tmpfs -o mode=755 tmpfs "$LENT"\n'
            lend = LEND_INTO % {"dev": f"{shlex.quote(str(rootfs))}/dev", "mount": mount, "tools": LENT} + LENT_CALL
            lines += [lend, _told(step).replace("umount", "lent umount"), AFTER_PIVOT]
        elif isinstance(step, seccomp.LoadFilter):
            lines.append(step.shell())
        else:
            lines.append(_told(step))
    return "\n".join([*lines, *_become(plan)]) + "\n"


def _become(plan: Plan) -> list[str]:
    """The last line: setpriv takes the rights away, env gives environment and directory and becomes the command."""
    options = [word for step in plan.child if isinstance(step, RIGHTS) for word in step.setpriv()]
    env = shlex.join(["-i", f"--chdir={plan.execute.cwd}", *plan.execute.env])
    loader = "./loader --library-path ."
    become = f"exec {loader} ./setpriv {shlex.join(options)}" if options else "exec"
    return [GIVE_BACK, _comment(plan.execute), f"{become} {loader} ./env {env} {shlex.join(plan.execute.args)}"]
