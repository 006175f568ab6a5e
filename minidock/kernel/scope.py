"""A container's cgroup as systemd's scope: its name, where it lies, and its limits in systemd's words.

config.json then says `cgroupsPath: SLICE:PREFIX:NAME`, and the scope is PREFIX-NAME.scope in that slice. A slice's
name tells its place: a-b.slice lies in a.slice. systemd writes the limits that it knows into the cgroup itself, at
the start and at every reload; so it is told the same as we write. Man pages: systemd.scope(5),
systemd.slice(5), systemd.resource-control(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from minidock.errors import UsageError
from minidock.kernel import cpu, device_filter, systemd
from minidock.kernel.cgroup_files import Cgroup
from minidock.kernel.systemd import Property
from minidock.spec import DeviceRule, Resources
from minidock.steps import Live, Step

UNLIMITED = (1 << 64) - 1
ANNOTATION = "org.systemd.property."
WORD = re.compile(r"[A-Za-z0-9:_.\\-]+")


class Scope(msgspec.Struct, frozen=True):
    """`slice` and `unit` as systemd names them, `path` where the cgroup lies."""

    slice: str
    unit: str
    path: str


def scope_of(cgroups_path: str, container_id: str) -> Scope:
    """From config.json's `cgroupsPath`; without one in system.slice. Raises UsageError for one of another form."""
    words = cgroups_path.split(":") if cgroups_path else ["system.slice", "minidock", container_id]
    if len(words) != 3 or not words[2]:
        raise UsageError(
            f'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "{cgroups_path}"'
        )
    slice_name, prefix, name = words[0] or "system.slice", words[1], words[2]
    unit = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    if not WORD.fullmatch(unit) or len(unit) > 255:
        raise UsageError(f"{unit!r} can't be the name of a unit of systemd", hint="systemd.unit(5)")
    return Scope(slice_name, unit, f"{slice_path(slice_name)}/{unit}")


def slice_path(name: str) -> str:
    """Where a slice lies: /a.slice/a-b.slice for a-b.slice. Raises UsageError."""
    stem = name.removesuffix(".slice")
    if name == "-.slice":
        return ""
    parts = stem.split("-")
    if stem == name or not all(parts) or not WORD.fullmatch(stem):
        raise UsageError(
            f"invalid slice name: {name}", hint="such as system.slice or machine-mine.slice: systemd.slice(5)"
        )
    return "".join(f"/{'-'.join(parts[:depth])}.slice" for depth in range(1, len(parts) + 1))


class StartScope(Step, frozen=True):
    """Ask systemd for a scope with the process in it: the cgroup is its, and delegated to us."""

    slice: str
    unit: str
    properties: list[Property]
    man: ClassVar[str] = "systemd.scope(5)"

    def describe(self) -> str:
        return f"ask systemd for the scope {self.unit} in {self.slice}"

    def shell(self) -> str:
        return (
            f"busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "
            f'StartTransientUnit "ssa(sv)a(sa(sv))" {self.unit} replace 3 PIDs au 1 "$PID" Delegate b true '
            f"Slice s {self.slice} 0"
        )

    def undo_shell(self) -> str:
        return f"systemctl stop {self.unit}"

    def apply(self, live: Live) -> None:
        own: list[Property] = [
            ("Description", "s", f"minidock container {self.unit}"),
            ("Slice", "s", self.slice),
            ("PIDs", "au", [live.pid]),
            ("Delegate", "b", True),
            ("DefaultDependencies", "b", False),
        ]
        with systemd.Manager() as manager:
            manager.start_scope(self.unit, [*own, *self.properties])

    def undo(self, live: Live) -> None:
        with systemd.Manager() as manager:
            manager.stop(self.unit)


def properties(cgroup: Cgroup, wanted: Resources, annotations: Mapping[str, str]) -> list[Property]:
    """All that systemd is to know of a new container."""
    accounting = ["CPU", "Memory", "Tasks", "IO" if cgroup.version("io") == 2 else "BlockIO"]
    return [
        *((f"{name}Accounting", "b", True) for name in accounting),
        *limits(cgroup, wanted),
        *_devices(wanted.devices),
        *_annotated(annotations),
    ]


def limits(cgroup: Cgroup, wanted: Resources) -> list[Property]:
    """The limits that systemd knows, too."""
    return [*_memory(cgroup, wanted), *_processor(cgroup, wanted), *_unified(wanted.unified)]


def _memory(cgroup: Cgroup, wanted: Resources) -> Iterator[Property]:
    memory, new = wanted.memory, cgroup.version("memory") == 2
    if memory and memory.limit:
        yield ("MemoryMax" if new else "MemoryLimit", "t", _or_unlimited(memory.limit))
    if memory and memory.reservation and new:
        yield ("MemoryLow", "t", _or_unlimited(memory.reservation))
    if memory and memory.swap and new:  # the specification counts memory and swap together
        swap = memory.swap - max(memory.limit or 0, 0) if memory.swap > 0 else -1
        yield ("MemorySwapMax", "t", _or_unlimited(swap))
    if wanted.pids and wanted.pids.limit:
        yield ("TasksMax", "t", _or_unlimited(wanted.pids.limit))


def _processor(cgroup: Cgroup, wanted: Resources) -> Iterator[Property]:
    if wanted.cpu is None:
        return
    if wanted.cpu.shares:
        new = cgroup.version("cpu") == 2
        yield ("CPUWeight", "t", cpu.weight(wanted.cpu.shares)) if new else ("CPUShares", "t", wanted.cpu.shares)
    if wanted.cpu.quota:
        yield _quota(wanted.cpu.quota, wanted.cpu.period or 100_000)


def _quota(quota: int, period: int) -> Property:
    """Microseconds in a second. systemd writes back hundredths of a processor: so what is between is rounded up."""
    if quota < 0:
        return ("CPUQuotaPerSecUSec", "t", UNLIMITED)
    return ("CPUQuotaPerSecUSec", "t", -(-quota * 1_000_000 // period // 10_000) * 10_000)


UNIFIED = {
    "memory.max": "MemoryMax", "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
    "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax", "cpu.weight": "CPUWeight",
}  # fmt: skip


def _unified(files: Mapping[str, str]) -> Iterator[Property]:
    """Files of cgroup2 that are properties of systemd as well; the others it leaves alone."""
    for file, text in files.items():
        if name := UNIFIED.get(file):
            yield (name, "t", UNLIMITED if text.strip() == "max" else _number(file, text))
        elif file == "cpu.max":
            quota, _, period = text.strip().partition(" ")
            yield _quota(-1 if quota == "max" else _number(file, quota), _number(file, period or "100000"))


def _number(file: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"invalid value for {file}: {text!r} is not a number") from None


def _or_unlimited(number: int) -> int:
    return UNLIMITED if number < 0 else number


def _devices(rules: list[DeviceRule]) -> list[Property]:
    """What systemd's own filter lets through: at least what ours does, which decides (kernel/device_filter.py)."""
    first, *exceptions = device_filter.effective([*rules, *device_filter.HARMLESS])
    if first.allow:
        return [("DevicePolicy", "s", "auto")]
    allowed = [(place, rule.access) for rule in exceptions if rule.allow for place in _places(rule)]
    return [("DevicePolicy", "s", "strict"), ("DeviceAllow", "a(ss)", allowed)]


def _places(rule: DeviceRule) -> Iterator[str]:
    for kind, word in (("c", "char"), ("b", "block")):
        if rule.type not in (kind, "a"):
            continue
        if rule.major is None:  # a minor number alone can't be said
            yield f"{word}-*"
        elif rule.minor is None:
            yield f"{word}-{rule.major}"
        else:
            yield f"/dev/{word}/{rule.major}:{rule.minor}"


def _annotated(annotations: Mapping[str, str]) -> Iterator[Property]:
    """`org.systemd.property.TimeoutStopUSec: uint64 5`: values as busctl and gdbus write them; runc has it, podman uses
    it. A name that ends in Sec is in seconds, and is USec then."""
    for key, text in annotations.items():
        name = key.removeprefix(ANNOTATION)
        if name == key:
            continue
        signature, value = _variant(key, text.strip())
        if name.endswith("Sec") and not name.endswith("USec"):
            if signature not in SECONDS:
                raise UsageError(f"annotation {key}: {text!r} is no number of seconds")
            name, signature, value = f"{name[:-3]}USec", "t", int(value * 1_000_000)
        yield (name, signature, value)


NUMBERS = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t"}
SECONDS = ("d", *NUMBERS.values())


def _variant(key: str, text: str) -> tuple[str, Any]:
    """(signature, value) of a text in GVariant's notation."""
    if text in ("true", "false"):
        return "b", text == "true"
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return "s", text[1:-1]
    kind, _, digits = text.rpartition(" ")
    try:
        if kind in NUMBERS:
            return NUMBERS[kind], int(digits, 0)
        return ("d", float(text)) if "." in text else ("i", int(text, 0))
    except ValueError:
        raise UsageError(f"annotation {key}: can't read {text!r}", hint="such as: uint64 5, true, 'text'") from None


def demo() -> None:
    """Show where a scope lies, and what systemd would be told of a limit."""
    from minidock.kernel.cgroup_files import discover
    from minidock.spec import Memory

    scope = scope_of("machine-demo.slice:minidock:one", "one")
    print(f"{scope.unit} in {scope.slice} is the cgroup {scope.path}")
    for name, signature, value in properties(
        Cgroup(scope.path, discover()), Resources(memory=Memory(limit=1 << 26)), {}
    ):
        print(f"    {name} ({signature}) {value}")


if __name__ == "__main__":
    demo()
