"""What `minidock ui` shows, in a browser and in a terminal: one model, read from the engine each second.

Everything in it that the kernel has is a `Thing`: a value, and the command with which one sees the same by hand.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from minidock.engine import Engine
from minidock.errors import MinidockError
from minidock.model.facts import KernelSection

BEFORE = 600.0
"""Seconds into the past for which events are shown."""
EVENTS = 60
TITLES = ["PID", "inside", "user", "state", "command"]
MIB = 1 << 20
DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")
NO_LIMIT = ", no limit"


class Thing(msgspec.Struct, frozen=True):
    """A fact of the kernel's, with who reads it where."""

    name: str
    value: str
    command: str
    man: str
    source: str


class Meter(msgspec.Struct, frozen=True):
    text: str
    share: float | None
    """Of the limit, 0 to 1; None where there is none."""
    thing: Thing


class Process(msgspec.Struct, frozen=True):
    cells: list[str]
    """As TITLES names them."""
    thing: Thing


class Group(msgspec.Struct, frozen=True):
    title: str
    things: list[Thing]


class Card(msgspec.Struct, frozen=True):
    """A container; of one that doesn't run the kernel has no more than its layers."""

    id: str
    name: str
    image: str
    running: bool
    state: str
    namespaces: list[Thing]
    meters: list[Meter]
    processes: list[Process]
    layers: list[Thing]
    ports: list[Thing]
    kernel: list[Group]


class Net(msgspec.Struct, frozen=True):
    name: str
    driver: str
    things: list[Thing]


class State(msgspec.Struct, frozen=True):
    containers: list[Card]
    networks: list[Net]
    events: list[dict[str, Any]]
    """The newest first."""
    titles: list[str]
    time: float


class View:
    """Looks, and remembers of the last look what processors had done by then, and which commands it named."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commands: set[str] = set()
        self.worked: dict[str, tuple[float, float]] = {}
        """By container: when we looked (seconds), and what its processors had worked by then (microseconds)."""

    def state(self) -> State:
        found = [card for row in self.engine.containers(all=True) if (card := self._card(row.id))]
        found.sort(key=lambda card: not card.running)
        networks = [self._net(one) for one in self.engine.networks()]
        now = time.time()
        events = [msgspec.to_builtins(event) for event in self.engine.events(since=now - BEFORE, until=now)]
        state = State(found, networks, events[-EVENTS:][::-1], TITLES, now)
        self.commands = {thing.command for thing in _things(state)}
        self.worked = {card.id: self.worked[card.id] for card in found if card.id in self.worked}
        return state

    def look(self, command: str) -> str:
        """What a command of the last state prints. Raises PermissionError for another."""
        if command not in self.commands:
            raise PermissionError(command)
        return self.engine.look(command)

    def _card(self, identifier: str) -> Card | None:
        """None for one that has gone since it was listed."""
        try:
            facts = self.engine.inspect(identifier)
        except MinidockError:
            return None
        try:
            sections = self.engine.kernel_side(identifier)
        except MinidockError:  # it doesn't run, or no longer
            sections = []
        groups = {section.title: _group(section) for section in sections}
        state = facts["State"]
        return Card(
            id=identifier,
            name=facts["Name"].lstrip("/"),
            image=facts["Config"]["Image"],
            running=bool(sections),
            state=state["Status"] if state["Running"] else f"{state['Status']} ({state['ExitCode']})",
            namespaces=[thing for thing in _of(groups, "Namespaces") if thing.command.startswith("readlink")],
            meters=list(self._meters(identifier, {thing.name: thing for thing in _of(groups, "Cgroup")})),
            processes=list(_processes(_of(groups, "Cgroup"))),
            layers=list(_layers(facts, _of(groups, "Process"))),
            ports=list(_ports(facts["NetworkSettings"]["Ports"] or {}, _of(groups, "Rules"))),
            kernel=list(groups.values()),
        )

    def _meters(self, identifier: str, by: dict[str, Thing]) -> Iterator[Meter]:
        if memory := by.get("memory: current"):
            used, most = int(memory.value), _number(by.get("memory: limit"))
            of = f" of {most / MIB:.1f} MiB" if most else NO_LIMIT
            yield Meter(f"memory {used / MIB:.1f} MiB{of}", used / most if most else None, memory)
        if worked := by.get("cpu: usage"):
            now, before = (time.monotonic(), _number(worked) or 0.0), self.worked.get(identifier)
            self.worked[identifier] = now
            busy = (now[1] - before[1]) / 1e6 / (now[0] - before[0]) if before else 0.0
            most = _number(by.get("cpu: limit"))
            of = f" of {most:g}" if most else NO_LIMIT
            yield Meter(f"cpu {busy:.2f} processors{of}", min(1.0, busy / most) if most else None, worked)
        if pids := by.get("pids: current"):
            count, most = int(pids.value), _number(by.get("pids: limit"))
            of = f" of {most:g}" if most else NO_LIMIT
            yield Meter(f"processes {count}{of}", count / most if most else None, pids)

    def _net(self, network: dict[str, Any]) -> Net:
        try:
            things = _group(self.engine.network_side(network["Id"])).things
        except MinidockError:  # it has gone since
            things = []
        return Net(network["Name"], network["Driver"], things)


def _group(section: KernelSection) -> Group:
    about = section.man, section.source
    return Group(section.title, [Thing(fact.name, fact.value, fact.command, *about) for fact in section.facts])


def _of(groups: dict[str, Group], title: str) -> list[Thing]:
    return groups[title].things if title in groups else []


def _number(thing: Thing | None) -> float | None:
    """The value's first word where it is a number: "no limit" is none."""
    word = thing.value.split()[0] if thing else ""
    return float(word) if re.fullmatch(r"\d+(\.\d+)?", word) else None


def _processes(cgroup: list[Thing]) -> Iterator[Process]:
    """Those of the cgroup, out of /proc: `top` would be told as an event, each second."""
    pids = re.findall(r"\d+", next((thing.value for thing in cgroup if thing.name == "processes"), ""))
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        state = " ".join(status["State"][1:]).strip("()")
        shown = command or f"[{' '.join(status['Name'])}]"
        about = "proc_pid_status(5)", "minidock/kernel/credentials.py"
        thing = Thing("process", f"{pid}: {shown}", f"cat /proc/{pid}/status", *about)
        yield Process([pid, status["NSpid"][-1], status["Uid"][1], state, shown], thing)


def _layers(facts: dict[str, Any], process: list[Thing]) -> Iterator[Thing]:
    """As the kernel was told them, the top first; who looks at the top sees what the container has changed."""
    about = "mount(8)", "minidock/kernel/overlay.py"
    data = (facts.get("GraphDriver") or {}).get("Data") or {}
    directories = [data.get("UpperDir", ""), *data.get("LowerDir", "").split(":")]
    for number, directory in enumerate(filter(None, directories)):
        name = f"layer {number} below" if number else "own changes"
        yield Thing(name, DIGEST.sub(r"\1…", directory), f"ls -lA {shlex.quote(directory)}", *about)
    if process:
        pid = facts["State"]["Pid"]
        yield Thing("mounted as", f"/ of process {pid}", f"grep ' / / ' /proc/{pid}/mountinfo", *about)


def _ports(published: dict[str, Any], rules: list[Thing]) -> Iterator[Thing]:
    """As they were asked for; the rule that does it is the kernel's."""
    command = rules[0].command if rules else "ss -ltunp"  # without root a program listens (docs/rootless.md)
    for inside, outs in published.items():
        for out in outs or ():
            value = f"{out['HostIp']}:{out['HostPort']} → {inside}"
            yield Thing("published port", value, command, "nft(8)", "minidock/kernel/nft.py")


def _things(state: State) -> Iterator[Thing]:
    for card in state.containers:
        yield from (*card.layers, *card.ports)
        yield from (process.thing for process in card.processes)
        for group in card.kernel:
            yield from group.things
    for network in state.networks:
        yield from network.things
