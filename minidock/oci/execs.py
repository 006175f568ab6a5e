"""exec: one more process in a container, from flags or from a process.json."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from minidock import spec
from minidock.errors import Conflict, UsageError
from minidock.kernel import cgroups
from minidock.oci.birth import Creation, DirectBirth, Inherited
from minidock.oci.container import Runtime
from minidock.oci.words import Words
from minidock.runtime import enter


def process_of(runtime: Runtime, words: Words) -> spec.Process:
    """What is to run: --process, or the container's own process with the flags' changes. Raises UsageError."""
    config = runtime.config(words.arguments[0])
    if path := words.text("process"):
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=spec.Process)
        except FileNotFoundError:
            raise UsageError(f"open {path}: no such file or directory") from None
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path}: {error}") from error
    if len(words.arguments) == 1:
        raise UsageError("process args cannot be empty")
    base = config.process or spec.Process(cwd="/")
    caps = base.capabilities or spec.Capabilities()
    if more := [name if name.startswith("CAP_") else f"CAP_{name}" for name in words.several("cap")]:
        sets = {name: [*getattr(caps, name), *more] for name in ("bounding", "effective", "permitted")}
        caps = msgspec.structs.replace(caps, **sets)
    return msgspec.structs.replace(
        base,
        args=words.arguments[1:],
        cwd=words.text("cwd") or base.cwd,
        env=[*base.env, *words.several("env")],
        terminal=words.yes("tty"),
        user=_user(base.user, words),
        capabilities=caps,
        no_new_privileges=words.yes("no_new_privs") or base.no_new_privileges,
        apparmor_profile=words.text("apparmor") or base.apparmor_profile,
        selinux_label=words.text("process_label") or base.selinux_label,
    )


def _user(base: spec.User, words: Words) -> spec.User:
    uid, gid, groups = base.uid, base.gid, list(base.additional_gids)
    if asked := words.text("user"):
        first, colon, second = asked.partition(":")
        try:
            uid, gid = int(first), int(second) if colon else gid
        except ValueError as error:
            raise UsageError(f"parsing {asked!r} as uid[:gid] failed: not a number") from error
    for text in words.several("additional_gids"):
        if not text.isdigit():
            raise UsageError(f"parsing {text} as int for gid failed: invalid syntax")
        groups.append(int(text))
    return msgspec.structs.replace(base, uid=uid, gid=gid, additional_gids=groups)


def execute(runtime: Runtime, words: Words, process: spec.Process, console: int) -> int:
    """The pid of the new process, which runs by then. Raises Conflict when the container doesn't run."""
    from minidock.runtime import support

    state = runtime.read(words.arguments[0])
    status = runtime.status(state)
    if status == "stopped":
        raise Conflict("cannot exec in a stopped container")
    if status == "paused" and not words.yes("ignore_paused"):
        raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
    config = runtime.config(state.id)
    support.check(msgspec.structs.replace(config, process=process, mounts=[]))
    if not process.rlimits and config.process:
        process = msgspec.structs.replace(process, rlimits=config.process.rlimits)
    group = _group(state.cgroup, words.several("cgroup"))
    made = enter.plan(config, process, state.pid, group, runtime.root / ".seccomp")
    birth = DirectBirth(made, Inherited(console), -1, words.number("preserve_fds"), before_exec=lambda _: None)
    return birth.start()


def _group(path: str, asked: list[str]) -> cgroups.CgroupPlan:
    """--cgroup: a cgroup below the container's, the same in all hierarchies."""
    below = ""
    for word in asked:
        controllers, colon, below = word.rpartition(":")
        if colon and controllers:
            raise UsageError(f"invalid --cgroup argument: {word} (one cgroup for all controllers, without a prefix)")
    where = os.path.normpath(f"{path}/{below}")
    if where != path and not where.startswith(path + "/"):
        raise UsageError(f"bad sub cgroup path: {below}")
    found = cgroups.discover()
    if where != path:
        missing = [name for name in cgroups.Cgroup(where, found).directories if not os.path.isdir(name)]
        if missing:
            raise UsageError(f"adding pid to cgroup: {missing[0]}: no such file or directory")
    return cgroups.membership(found, where, child_joins=True)


def creation(console: int) -> Creation:
    """For the checks that exec shares with create."""
    return Creation(console=console)
