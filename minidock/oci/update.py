"""update: other limits for a container that runs."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path

import msgspec

from minidock import files, spec
from minidock.errors import MinidockError, SystemCallFailed, Unsupported, UsageError
from minidock.kernel.cgroup_files import WriteCgroupFile, WriteFirstOf, read_text
from minidock.oci import texts
from minidock.oci.bundle import explicit
from minidock.oci.container import Runtime
from minidock.oci.words import Words
from minidock.steps import Live, Step

SUFFIXES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def update(runtime: Runtime, words: Words) -> int:
    """Write them, then write down what holds now: the next update has to know."""
    from minidock.kernel import cgroups

    state = runtime.read(words.arguments[0])
    if runtime.status(state) == "stopped":
        raise texts.not_running()
    config = runtime.config(state.id)
    if words.text("kernel_memory") or words.text("kernel_memory_tcp"):
        runtime.warn("Kernel memory settings are ignored: Linux has removed them")
    if words.text("l3_cache_schema") or words.text("mem_bw_schema"):
        raise Unsupported("Intel RDT is not supported here")
    before = config.linux.resources or spec.Resources()
    asked = _from_file(words.text("resources")) if words.text("resources") else _from_flags(words)
    if asked.pids:
        asked = msgspec.structs.replace(asked, pids=explicit(asked.pids, config.oci_version))
    asked = _completed(asked, before)
    _apply(cgroups.changes(cgroups.discover(), state.cgroup, asked, before), runtime)
    if os.path.basename(state.cgroup).endswith(".scope"):
        _tell_systemd(state.cgroup, asked)
    after = _merged(before, asked)
    linux = msgspec.structs.replace(config.linux, resources=after)
    changed = msgspec.structs.replace(config, linux=linux)
    files.write_atomic(runtime.root / state.id / "config.json", spec.to_json(changed), mode=0o600, durable=False)
    return 0


def _apply(steps: list[Step], runtime: Runtime) -> None:
    """All of them or none: what was written before one that is refused is put back. Raises what refused it."""
    late: list[Step] = []
    undo: list[WriteCgroupFile] = []
    try:
        for step in steps:
            before = [old for file, value in _writes(step) if (old := _previous(file, value)) is not None]
            try:
                step.apply(Live())
            except SystemCallFailed as error:
                if error.number != errno.EINVAL:
                    raise
                late.append(step)
            undo += before
        # Limits that bind each other (a shorter period makes the old quota too large) are taken in one order only.
        for step in late:
            step.apply(Live())
    except MinidockError:
        for old in reversed(undo):
            try:
                old.apply(Live())
            except MinidockError as error:
                runtime.warn(f"can't {old.describe()}: {error}")
        raise


def _writes(step: Step) -> list[tuple[str, str]]:
    """The files and values of a step; of several for the same the one that is there."""
    if isinstance(step, WriteCgroupFile):
        return [(step.file, step.value)]
    choices = step.choices if isinstance(step, WriteFirstOf) else []
    return [choice for choice in choices if os.path.exists(choice[0])][:1]


def _previous(file: str, value: str) -> WriteCgroupFile | None:
    """What puts the file back. Of a table, such as io.max, only the line that changes; None where it is new there."""
    lines = (read_text(file) or "").splitlines()
    key, table, _ = value.partition(" ")
    if table and len(lines) != 1:
        lines = [line for line in lines if line.startswith(f"{key} ")]
    return WriteCgroupFile(f"put back {os.path.basename(file)}", file, lines[0]) if len(lines) == 1 else None


def _tell_systemd(group: str, asked: spec.Resources) -> None:
    """Where systemd has made the cgroup it would write its own numbers over ours at the next reload."""
    from minidock.kernel import cgroups, scope, systemd

    if not os.path.isdir(systemd.BOOTED):
        return
    with systemd.Manager() as manager:
        try:
            told = scope.limits(cgroups.Cgroup(group, cgroups.discover()), asked)
            manager.change(os.path.basename(group), told)
        except systemd.Refused as refused:
            if not refused.name.endswith(".NoSuchUnit"):  # the path only looks like a scope's
                raise


def _from_file(name: str) -> spec.Resources:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return spec.decode(raw, spec.Resources)
    except FileNotFoundError:
        raise UsageError(f"open {name}: no such file or directory") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"{name}: {error}") from error


def _from_flags(words: Words) -> spec.Resources:
    def number(key: str) -> int | None:
        text = words.text(key)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"invalid value for {key.replace('_', '-')}: {text!r} is not a number") from None

    def size(key: str) -> int | None:
        return bytes_of(key, words.text(key)) if words.text(key) else None

    return spec.Resources(
        memory=spec.Memory(limit=size("memory"), reservation=size("memory_reservation"), swap=size("memory_swap")),
        cpu=spec.Cpu(
            shares=number("cpu_share"),
            quota=number("cpu_quota"),
            period=number("cpu_period"),
            burst=number("cpu_burst"),
            idle=number("cpu_idle"),
            realtime_runtime=number("cpu_rt_runtime"),
            realtime_period=number("cpu_rt_period"),
            cpus=words.text("cpuset_cpus"),
            mems=words.text("cpuset_mems"),
        ),
        # Who writes 0 on a command line means it.
        pids=None if (limit := number("pids_limit")) is None else spec.Pids(limit=limit or 1),
        block_io=spec.BlockIo(weight=words.number("blkio_weight")) if words.number("blkio_weight") else None,
    )


def bytes_of(key: str, text: str) -> int:
    """`64M`, `67108864`, `-1`. Raises UsageError."""
    if text == "-1":
        return -1
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", text.lower())
    if not found:
        raise UsageError(f"invalid value for {key.replace('_', '-')}: invalid size: '{text}'")
    return int(float(found[1]) * SUFFIXES[found[2]])


def _completed(asked: spec.Resources, before: spec.Resources) -> spec.Resources:
    """What belongs to something that isn't asked for: quota and period are one file on version 2, and swap is told
    together with memory."""
    memory = asked.memory
    if memory and memory.swap and not memory.limit and before.memory and before.memory.limit:
        memory = msgspec.structs.replace(memory, limit=before.memory.limit)
        asked = msgspec.structs.replace(asked, memory=memory)
    if asked.cpu is None or before.cpu is None or bool(asked.cpu.quota) == bool(asked.cpu.period):
        return asked
    quota, period = asked.cpu.quota or before.cpu.quota, asked.cpu.period or before.cpu.period
    return msgspec.structs.replace(asked, cpu=msgspec.structs.replace(asked.cpu, quota=quota, period=period))


def _merged(before: spec.Resources, asked: spec.Resources) -> spec.Resources:
    """What was asked for, over what held before; devices are never changed by an update."""
    changes: dict[str, object] = {"unified": {**before.unified, **asked.unified}}
    for name in ("memory", "cpu", "pids", "block_io"):
        old, new = getattr(before, name), getattr(asked, name)
        if new is None:
            continue
        given = {key: value for key in new.__struct_fields__ if (value := getattr(new, key)) not in (None, 0, "", [])}
        changes[name] = msgspec.structs.replace(old, **given) if old is not None else new
    return msgspec.structs.replace(before, **changes)
