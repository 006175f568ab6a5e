"""minidock ui --terminal, played with textual's own pilot: what is chosen is shown, and what the kernel says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from minidock.cli.ui_terminal import Terminal
from minidock.daemon.ui_view import TITLES, Card, Group, Meter, Net, Process, State, Thing, View


def thing(name: str, value: str, command: str) -> Thing:
    return Thing(name, value, command, "namespaces(7)", "minidock/kernel/namespaces.py")


def card(name: str, *, running: bool) -> Card:
    memory = thing("memory: current", "1", "cat /sys/fs/cgroup/memory.current")
    uts = thing("uts", "42, its own", "readlink /proc/7/ns/uts")
    return Card(
        id=name * 8, name=name, image="busybox", running=running, state="running" if running else "exited (3)",
        namespaces=[uts] if running else [],
        meters=[Meter("memory 32.0 MiB of 64.0 MiB", 0.5, memory)] if running else [],
        processes=[Process(["7", "1", "0", "sleeping", "sh \x1b[2J[b]"], thing("process", "7", "cat /proc/7/status"))],
        layers=[thing("own changes", "/upper", "ls -lA /upper")], ports=[],
        kernel=[Group("Namespaces", [uts]), Group("Rights", [thing("seccomp", "off", "grep Seccomp /proc/7/status")])],
    )  # fmt: skip


class Told(View):
    """A view of what the test says; it writes down what is looked at."""

    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.looked: list[str] = []

    def state(self) -> State:
        bridge = Net("bridge", "bridge", [thing("cable", "veth1 ↔ eth0 of web", "ip -d link show veth1")])
        event = {"Type": "container", "Action": "die", "Actor": {"ID": "f" * 64, "Attributes": {"name": "over"}}}
        when: dict[str, Any] = {"time": 1, "timeNano": 1}
        return State(self.cards, [bridge], [event | when], TITLES, 0.0)

    def look(self, command: str) -> str:
        self.looked.append(command)
        return f"said of {command} \x1b[31m"


Played = Callable[[Terminal, Pilot[None]], Awaitable[None]]


def play(view: Told, story: Played) -> None:
    async def played() -> None:
        app = Terminal(view)
        async with app.run_test(size=(110, 40)) as pilot:
            await settle(app, pilot)
            await story(app, pilot)

    asyncio.run(played())


async def settle(app: Terminal, pilot: Pilot[None]) -> None:
    """All that keys have asked for is done: their messages, the looks that follow, and what these have drawn."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def press(app: Terminal, pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(app, pilot)


def pane(app: Terminal, name: str) -> list[str]:
    return [str(option.prompt) for option in app.query_one(f"#{name}", OptionList).options]


def said(app: Terminal) -> str:
    return str(app.query_one("#said", Static).content)


def test_the_chosen_container_is_shown_and_what_the_kernel_says_of_its_first_fact() -> None:
    async def story(app: Terminal, pilot: Pilot[None]) -> None:
        assert pane(app, "all")[:4] == ["containers", "● web  running", "● over  exited (3)", "networks"]
        shown = pane(app, "parts")
        assert "  uts  42, its own" in shown and any("━" * 12 + "─" * 12 in line for line in shown)
        assert said(app).splitlines()[1:] == [
            "$ sudo readlink /proc/7/ns/uts",
            "said of readlink /proc/7/ns/uts \N{REPLACEMENT CHARACTER}[31m",
        ]
        await press(app, pilot, "down")
        assert pane(app, "parts")[0] == "image busybox, exited (3)" and "$ sudo cat /proc/7/status" in said(app)

    play(Told(card("web", running=True), card("over", running=False)), story)


def test_walking_through_the_facts_looks_at_each() -> None:
    view = Told(card("web", running=True))

    async def story(app: Terminal, pilot: Pilot[None]) -> None:
        await press(app, pilot, "enter", "down", "down", "down")
        asked = ["readlink /proc/7/ns/uts", "cat /sys/fs/cgroup/memory.current", "cat /proc/7/status", "ls -lA /upper"]
        assert view.looked == asked
        await press(app, pilot, "enter")
        assert view.looked == [*asked, asked[-1]]

    play(view, story)


def test_what_a_container_calls_itself_steers_nothing() -> None:
    async def story(app: Terminal, pilot: Pilot[None]) -> None:
        [line] = [line for line in pane(app, "parts") if "sleeping" in line]
        assert line.endswith("sh \N{REPLACEMENT CHARACTER}[2J[b]")

    play(Told(card("web", running=True)), story)


def test_keys_show_all_facts_networks_and_events() -> None:
    async def story(app: Terminal, pilot: Pilot[None]) -> None:
        await press(app, pilot, "a")
        assert pane(app, "parts") == ["Namespaces", "  uts  42, its own", "Rights", "  seccomp  off"]
        await press(app, pilot, "a", "down")
        assert pane(app, "parts") == ["  cable  veth1 ↔ eth0 of web"]
        assert "$ sudo ip -d link show veth1" in said(app)
        await press(app, pilot, "e")
        [line] = pane(app, "parts")
        assert line.endswith("container  die  over  ffffffffffff") and '"Action": "die"' in said(app)
        before = app.theme
        await press(app, pilot, "d")
        assert app.theme != before
        keys = str(app.query_one("#keys", Static).content)
        assert all(word in keys for word in ("choose", "next pane", "look again", "quit"))

    play(Told(card("web", running=True)), story)


def test_the_choice_stays_when_others_come_and_go() -> None:
    view = Told(card("web", running=True), card("over", running=False))

    async def story(app: Terminal, pilot: Pilot[None]) -> None:
        await press(app, pilot, "down")
        view.cards.insert(0, card("new", running=True))
        await app.tick()
        await settle(app, pilot)
        chosen = app.query_one("#all", OptionList).highlighted_option
        assert chosen and chosen.id == "c:over" and pane(app, "all")[1] == "● new  running"
        view.cards.clear()
        await app.tick()
        await settle(app, pilot)
        assert pane(app, "all")[0] == "no containers yet"

    play(view, story)
