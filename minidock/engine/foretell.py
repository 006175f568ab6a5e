"""--dry-run and --as-shell of everything but `run` (script.py): what would be done, told and not done.

What can't be known without doing it stays a comment: an id that is made by lot, a rule that no shell command can write.
"""

from __future__ import annotations

import shlex
from types import CodeType
from typing import ClassVar

import msgspec

from minidock import files, spec
from minidock.engine import execs, script
from minidock.engine.record import Record, Records, refresh
from minidock.errors import Conflict, MinidockError
from minidock.image import reference
from minidock.image.store import ImageStore
from minidock.kernel.cgroup_join import BornInCgroup, EnterCgroup
from minidock.kernel.execute import Execute
from minidock.kernel.namespaces import KINDS, JoinNamespace
from minidock.kernel.workdir import EnterDirectory
from minidock.model.network import NetworkRequest
from minidock.model.requests import ExecRequest
from minidock.network import endpoint, store
from minidock.paths import Layout
from minidock.runtime.planned import Plan
from minidock.steps import Step, from_journal


class Foretold(msgspec.Struct, frozen=True):
    """Steps by where they would happen, and the script that does them by hand."""

    parts: list[tuple[str, list[Step]]]
    script: str

    def sections(self) -> list[tuple[str, list[Step]]]:
        return self.parts


class TakeBack(Step, frozen=True):
    """A step of the container's start, undone: last first."""

    step: Step

    def describe(self) -> str:
        return f"undo: {self.step.describe()}"

    def shell(self) -> str:
        return self.step.undo_shell() or "# goes with the container's processes"

    def code(self) -> CodeType:
        return type(self.step).undo.__code__


class Kill(Step, frozen=True):
    """The shim first, so that it doesn't clean up what the next lines do; with the first process all others go."""

    pid: int
    shim: int
    man: ClassVar[str] = "kill(2)"

    def describe(self) -> str:
        return f"kill the container's first process, {self.pid}, and its shim"

    def shell(self) -> str:
        return f"kill -KILL {self.shim} {self.pid}\nwhile [ -e /proc/{self.pid} ]; do sleep 0.1; done"


class KillFirst(Step, frozen=True):
    """With the first process all others of its pid namespace go."""

    pid: int
    man: ClassVar[str] = "kill(2)"

    def describe(self) -> str:
        return f"kill the container's first process, {self.pid}"

    def shell(self) -> str:
        return f"kill -KILL {self.pid}"


class Forget(Step, frozen=True):
    """What lies on disk of a container. The record goes before the name, so that a removal can be repeated."""

    paths: list[str]
    man: ClassVar[str] = "unlink(2)"

    def describe(self) -> str:
        return "remove the container's files, its record and its name"

    def shell(self) -> str:
        return f"rm -rf {shlex.join(self.paths)}"


def _script(what: str, steps: list[Step], before: str = "") -> str:
    told = "\n".join(f"{comment(step.describe())}\n{step.shell()}" for step in steps)
    return f"#!/bin/sh\n# What `{what}` would do, by hand.\nset -eu\n{before}{told}\n"


def comment(sentence: str) -> str:
    return "\n".join(f"# {line}" for line in sentence.splitlines())


def network(layout: Layout, asked: NetworkRequest) -> Foretold:
    """`network create`. The script makes the bridge and its rules; the network's own record is minidock's alone."""
    steps = endpoint.shared(layout, store.draft(layout, asked))
    return Foretold([("on the host", steps)], _script(f"minidock network create {asked.name}", steps))


def removal(layout: Layout, ref: str, *, force: bool) -> Foretold:
    """`rm`. Raises Conflict for a running one without `force`."""
    record = refresh(layout, Records(layout).find(ref))
    steps: list[Step] = []
    if record.state.running:
        if not force:
            raise Conflict(f"You cannot remove a running container {record.id}. Stop it before or use -f")
        steps.append(Kill(record.state.pid, _parent(record.state.pid)))
    try:
        journal = from_journal((layout.container_run(record.id) / "journal.json").read_bytes())
    except FileNotFoundError:
        journal = []
    steps += [TakeBack(step) for step in reversed(journal)]
    steps.append(forget(layout, record))
    return Foretold([("on the host", steps)], _script(f"minidock rm {'-f ' if force else ''}{ref}", steps))


def forget(layout: Layout, record: Record) -> Forget:
    records = Records(layout)
    paths = [layout.container_run(record.id), records.path(record.id), layout.container(record.id)]
    return Forget([str(path) for path in [*paths, records.names / record.name]])


def _parent(pid: int) -> int:
    """proc_pid_stat(5): the fourth field, behind a name that may hold anything."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def pull(layout: Layout, name: str, *, platform: str) -> Foretold:
    """`pull`. The registry is asked for its documents, as only they say what there is to fetch."""
    from minidock.image.registry import pull as pulling

    wanted = reference.parse(name)
    steps = pulling.foretell(ImageStore(layout), wanted if wanted.digest else wanted.tagged(), platform=platform)
    before = (
        'cd "$(mktemp -d)"\nmkdir -p blobs/sha256\n'
        "# A registry that wants to know who asks answers 401, and says where: get a token there, and export TOKEN.\n"
    )
    return Foretold([("over the network, and here", steps)], _script(f"minidock pull {name}", steps, before))


# exec


def execution(layout: Layout, ref: str, request: ExecRequest) -> Foretold:
    """`exec`. Raises Conflict when the container isn't running."""
    record = execs.running(layout, ref)
    config = files.read_json(layout.container_run(record.id) / "config.json", spec.Spec)
    plan, _ = execs.planned(layout, record, config, request)
    return Foretold(plan.sections(), _entering(plan, record.state.pid, shlex.join(["minidock", "exec", ref])))


ENTER = """\
#!/bin/sh
# What `%(what)s` would do, by hand: nsenter enters, setpriv takes the rights away, env becomes the command.
# %(missing)s
set -eu
%(lend)strap 'rm -rf "$LENT"' EXIT
exec 3<&0
(
exec <&3 3<&-
%(before)s
exec nsenter %(enter)s -- %(become)s
) &
status=0
wait $! || status=$?
exit $status
"""


def _entering(plan: Plan, pid: int, what: str) -> str:
    """The order of nsenter(1) is its own: the mount namespace last. The programs that come after it are lent."""
    entered, before = [f"--pid={plan.spawn.pid_path}"], []
    for step in [*plan.joined, *plan.child]:
        if isinstance(step, JoinNamespace):
            entered.append(f"--{KINDS[step.kind].option}={step.path}")
        elif isinstance(step, BornInCgroup):
            before += [comment(step.describe()), step.shell().replace('"$PID"', "0")]
        elif not isinstance(step, (EnterDirectory, *script.RIGHTS)):
            before += [comment(step.describe()), step.shell()]
    if any(isinstance(step, EnterCgroup) for step in plan.child) and not before:
        raise MinidockError("the plan enters a cgroup, and the script doesn't")
    return ENTER % {
        "what": what,
        "missing": "No tool of Debian 12 loads a seccomp filter: that one is missing.",
        "lend": script.LEND_INTO % {"dev": f"/proc/{pid}/root/dev", "mount": "", "tools": "env setpriv"},
        "before": "\n".join(before),
        "enter": " ".join(entered),
        "become": _command(plan),
    }


def _command(plan: Plan) -> str:
    loader = "/dev/.lent/loader --library-path /dev/.lent /dev/.lent"
    options = [word for step in plan.child if isinstance(step, script.RIGHTS) for word in step.setpriv()]
    run: Execute = plan.execute
    env = shlex.join(["-i", f"--chdir={run.cwd}", *run.env, *run.args])
    return f"{loader}/setpriv {shlex.join(options)} {loader}/env {env}"
