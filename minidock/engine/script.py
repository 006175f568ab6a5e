"""--dry-run and --as-shell: the plan told instead of done.

The script does by hand what the steps do by system calls, with sh, util-linux, iproute2 and nft. It has the same three
processes: the script itself is A, `unshare --fork` is B, and what it forks becomes the container. Once the root has
been swapped no program of the host can be found any more, so the few that are still needed are lent: copied with
their libraries into the container's own /dev, a tmpfs, and taken away when the command runs.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from minidock import network
from minidock.engine import create, etc, start
from minidock.engine.record import Record
from minidock.kernel import capabilities, credentials, no_new_privs, seccomp
from minidock.kernel.cgroup_join import EnterCgroup
from minidock.kernel.namespaces import KINDS, JoinNamespace, NewCgroupNamespace
from minidock.kernel.pivot import PivotRoot
from minidock.model import CreateRequest
from minidock.paths import Layout
from minidock.runtime.plan import Plan
from minidock.steps import Step

RIGHTS = (
    capabilities.DropBoundingSet,
    capabilities.SetCapabilities,
    credentials.SetUser,
    no_new_privs.SetNoNewPrivs,
)
"""Steps that setpriv(1) does in one go, as it becomes the command."""

LENT = "env setpriv mount umount mkdir touch prlimit dirname"

HEAD = """\
#!/bin/sh
# What `minidock run` would do for this container, by hand.
# Needs root, util-linux, iproute2, nftables; says what it does with: sh -x SCRIPT
set -eu
RUN=$(mktemp -d /run/by-hand.XXXXXX)
export RUN
PID=
clean_up() {
    status=$?
    [ -z "$PID" ] || kill -KILL "$PID" 2>/dev/null || :
%(undo)s
    rm -rf "$RUN"
    exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM
"""

LEND = """\
# Programs of the host for the time after the pivot, when the host's files are gone: with their loader and libraries.
LENT=%(rootfs)s/dev/.lent
mkdir "$LENT"
for tool in %(tools)s; do
    program=$(command -v $tool)
    cp "$program" "$LENT/"
    for library in $(ldd "$program" | grep -o '/[^ ]*'); do cp -n "$library" "$LENT/"; done
done
loader=$(ldd "$(command -v mount)" | grep -o '/[^ ]*/ld-[^ ]*')
cp "$loader" "$LENT/loader"
lent() { program=$1; shift; /dev/.lent/loader --library-path /dev/.lent "/dev/.lent/$program" "$@"; }
"""

AFTER_PIVOT = "\n".join(f'{tool}() {{ lent {tool} "$@"; }}' for tool in LENT.split() if tool not in ("env", "setpriv"))

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
# The lent programs go once the command runs, which is when the loader has made place for it.
while [ -e "/proc/$PID/root/dev/.lent" ] && [ ! -e "$RUN/became" ]; do
    case $(readlink "/proc/$PID/exe" 2>/dev/null) in
        */sh|*/dash|*/bash|*/unshare|/dev/.lent/*|*/ld-*|'') [ -d "/proc/$PID" ] || break; sleep 0.01 ;;
        *) rm -rf "/proc/$PID/root/dev/.lent"; break ;;
    esac
done
status=0
wait $SHIM || status=$?
PID=
exit $status
"""


def dry_run(layout: Layout, request: CreateRequest) -> Plan:
    """The plan of a container that nobody creates."""
    return _prepared(layout, request)[1]


def as_shell(layout: Layout, request: CreateRequest) -> str:
    """The whole script."""
    record, plan, texts = _prepared(layout, request)
    directory = layout.container(record.id)
    rootfs = layout.container_run(record.id) / "rootfs"
    made = [f"{directory}/upper", f"{directory}/work", str(rootfs)]
    undo = [f"    {line}" for step in reversed(plan.before) for line in step.undo_shell().splitlines()]
    undo.append(f"    rm -rf {shlex.quote(str(directory))} {shlex.quote(str(rootfs.parent))}")
    parts = [
        HEAD % {"undo": "\n".join(undo)},
        "# Files of the container\n" + f"mkdir -p {' '.join(map(shlex.quote, made))}",
        *(_here(f"{directory}/{name}", text) for name, text in texts.items()),
        "\n# On the host",
        *map(_told, plan.before),
        "\n# The first process, which waits until it is told to proceed",
        "exec 3<&0",
        _here("$RUN/child.sh", _child(plan, rootfs), quoted=False),
        f"# {plan.spawn.describe()}",
        BIRTH % {"unshare": _unshare(plan)},
        *map(_told, plan.joined),
        TAIL,
    ]
    return "\n".join(parts)


def _prepared(layout: Layout, request: CreateRequest) -> tuple[Record, Plan, dict[str, str]]:
    record = create.draft(layout, request)
    attachment = network.plan(layout, record.id, record.config, record.host_config, record.requested, dry_run=True)
    texts = etc.texts(layout, record, attachment)
    plan, _ = start.prepare(layout, record, attachment)
    return record, plan, texts


def _told(step: Step) -> str:
    return f"# {step.describe()}\n{step.shell()}"


def _here(path: str, text: str, *, quoted: bool = True) -> str:
    """A file by a here-document."""
    shown = shlex.quote(path) if quoted else f'"{path}"'
    return f"cat > {shown} <<'END-OF-FILE'\n{text.rstrip()}\nEND-OF-FILE"


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
            lend = LEND % {"rootfs": shlex.quote(str(rootfs)), "tools": LENT}
            lines += [lend, _told(step).replace("umount", "lent umount"), AFTER_PIVOT]
        elif isinstance(step, seccomp.LoadFilter):
            lines.append(step.shell())
        else:
            lines.append(_told(step))
    return "\n".join([*lines, *_become(plan)]) + "\n"


def _become(plan: Plan) -> list[str]:
    """The last line: setpriv takes the rights away and becomes the command, by way of env for a clean environment."""
    options = [word for step in plan.child if isinstance(step, RIGHTS) for word in step.setpriv()]
    env = " ".join(shlex.quote(line) for line in plan.execute.env)
    command = " ".join(shlex.quote(word) for word in plan.execute.args)
    loader = "/dev/.lent/loader --library-path /dev/.lent"
    setpriv = f"{loader} /dev/.lent/setpriv {' '.join(map(shlex.quote, options))}"
    return [f"# {plan.execute.describe()}", f"exec {loader} /dev/.lent/env -i {env} {setpriv} {command}"]

