"""exec: one more process in a container, from flags or from a process.json."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from minidock import spec
from minidock.errors import Conflict, UsageError
from minidock.kernel import cgroups
from minidock.kernel.scheduling import ResetAffinity
from minidock.oci import dialect
from minidock.oci.birth import DirectBirth, Inherited
from minidock.oci.bundle import hook_state, passed_on, socket_activation
from minidock.oci.container import Runtime
from minidock.oci.creation import warn_of_rights
from minidock.oci.words import Words
from minidock.runtime import enter
from minidock.steps import Step


def process_of(runtime: Runtime, words: Words) -> spec.Process:
    """What is to run: --process, or the container's own process with the flags' changes. Raises UsageError."""
    config = runtime.config(runtime.read(words.arguments[0]).id)
    if path := words.text("process"):
        try:
            return spec.decode(Path(path).read_bytes(), spec.Process)
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
        ambient = [*caps.ambient, *(name for name in more if name in caps.inheritable)]
        caps = msgspec.structs.replace(caps, **sets, ambient=ambient)
    return msgspec.structs.replace(
        base,
        args=words.arguments[1:],
        cwd=words.text("cwd") or base.cwd,
        env=[*base.env, *words.several("env")],
        terminal=words.yes("tty"),
        user=_user(base.user, words),
        capabilities=caps,
        no_new_privileges=_no_new_privs(base, words),
        apparmor_profile=words.text("apparmor") or base.apparmor_profile,
        selinux_label=words.text("process_label") or base.selinux_label,
    )


def _no_new_privs(base: spec.Process, words: Words) -> bool:
    """`--no-new-privs=false` takes back what the container's own process has, as in runc."""
    if dialect.is_crun() or words.given("no_new_privs"):
        return words.yes("no_new_privs")
    return base.no_new_privileges


def _user(base: spec.User, words: Words) -> spec.User:
    uid, gid, groups = base.uid, base.gid, list(base.additional_gids)
    if asked := words.text("user"):
        first, colon, second = asked.partition(":")
        uid, gid = _id(first, asked), _id(second, asked) if colon else gid
    for text in words.several("additional_gids"):
        if not text.isdigit():
            raise UsageError(f"parsing {text} as int for gid failed: invalid syntax")
        groups.append(_id(text, text))
    return msgspec.structs.replace(base, uid=uid, gid=gid, additional_gids=groups)


def _id(text: str, asked: str) -> int:
    """Digits and nothing else: int() takes "-1" and "1_0" too, and crun's strtol(3) once took what it could read for
    the whole (CVE-2026-30892). 4294967295 is no user but "leave as it is": setresuid(2)."""
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**32 - 1:
        raise UsageError(f"parsing {asked!r} as uid[:gid] failed: {text!r} is no user or group id")
    return int(text)


def execute(runtime: Runtime, words: Words, process: spec.Process, console: int) -> int:
    """The pid of the new process, which runs by then. Raises Conflict when the container doesn't run."""
    from minidock.runtime import support

    warn_of_rights(process, runtime.warn)
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
    process = socket_activation(process)
    group = _group(state.cgroup, words.several("cgroup"), state.pid)
    told = {**hook_state(config, state.id, Path(state.bundle), status), "pid": state.pid}
    made = enter.plan(config, process, state.pid, group, runtime.root / ".seccomp", told)
    made = dialect.streams(made, process)
    if not (process.exec_cpu_affinity or (config.process and config.process.exec_cpu_affinity)):
        place = next((made.child.index(step) + 1 for step in reversed(group.child)), 0)
        made = msgspec.structs.replace(made, child=[*made.child[:place], ResetAffinity(), *made.child[place:]])
    preserved, narrator = passed_on(words.number("preserve_fds")), runtime.entering
    return DirectBirth(made, Inherited(console), -1, preserved, before_exec=lambda _: None, narrator=narrator).start()


def _group(path: str, asked: list[str], first: int) -> cgroups.CgroupPlan:
    """--cgroup: one below the container's, for all hierarchies or by controller. Raises UsageError in runc's words."""
    found = cgroups.discover()
    there = cgroups.membership(found, path, child_joins=True, beside=first)
    if not asked:
        return there
    wanted = _by_controller(asked, path)
    if unknown := [name for name in wanted if name and name not in found.v1 and name not in found.v2_controllers]:
        raise UsageError(f"unknown controller {unknown[0]} in SubCgroupPaths")

    def place(names: list[str]) -> str:
        return next((wanted[name] for name in [*names, ""] if name in wanted), path)

    v2 = f"{found.v2_mount}{place(found.v2_controllers)}" if found.v2_mount else ""
    by_mount: dict[str, list[str]] = {}
    for name, mount in found.v1.items():
        by_mount.setdefault(mount, []).append(name)
    v1 = [mount + place(names) for mount, names in by_mount.items()]
    for directory in [*([v2] if v2 else []), *v1]:
        if not os.path.isdir(directory):
            raise UsageError(f"error adding pid to cgroups: open {directory}/cgroup.procs: no such file or directory")
    joined: list[Step] = [cgroups.BornInCgroup(v2, place([]))] if v2 else []
    child: list[Step] = [cgroups.EnterCgroup(place([]), v1)] if v1 else []
    return msgspec.structs.replace(there, clone_dir=v2, joined=joined, child=child)


def _by_controller(asked: list[str], path: str) -> dict[str, str]:
    """Paths of cgroups by controller; "" is for all others."""
    wanted: dict[str, str] = {}
    for word in asked:
        names, colon, below = word.rpartition(":")
        if not colon and len(asked) != 1:
            raise UsageError(f"invalid --cgroup argument: {word} (missing <controller>: prefix)")
        where = os.path.normpath(f"{path}/{below}")
        if where != path and not where.startswith(path + "/"):
            raise UsageError(f"bad sub cgroup path: {below} is not a sub cgroup path")
        wanted.update(dict.fromkeys(names.split(","), where))
    return wanted
