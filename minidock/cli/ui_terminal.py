"""The same as the page of `minidock ui`, in a terminal: what there is, its parts, and the kernel's own file."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

import msgspec
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ..daemon.ui_view import Card, Meter, Net, State, Thing, View

KEYS = [("↑ ↓", "choose"), ("tab", "next pane"), ("enter", "look again"), ("a", "all facts"),
        ("e", "events"), ("d", "dark, light"), ("q", "quit")]  # fmt: skip
INTERVAL = 1.0
"""Seconds between two looks."""
BAR = 24
EVENTS = "events"
Row = tuple[str, Content, "Thing | str | None"]
"""A line's id, what it shows, and what is behind it: a thing, a text, or nothing, for a heading."""


class Terminal(App[None]):
    """Left what there is, right what the chosen one consists of, below what the kernel says of the chosen thing."""

    TITLE = "minidock"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary; color: $text; padding: 0 1; }
    #keys { height: auto; background: $panel; padding: 0 1; }
    #upper { height: 3fr; }
    #lower { height: 2fr; border: round $secondary; padding: 0 1; }
    #lower:focus { border: round $accent; }
    OptionList { border: round $secondary; height: 1fr; padding: 0; scrollbar-size-vertical: 1; }
    OptionList:focus { border: round $accent; }
    #all { width: 34; }
    #parts { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "everything"),
        Binding("e", "events"),
        Binding("d", "shade"),
        Binding("q", "quit"),
    ]

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self.looking = asyncio.Lock()
        self.shown = State([], [], [], [], 0.0)
        self.behind: dict[str, Thing | str | None] = {}
        self.everything = False

    def compose(self) -> ComposeResult:
        yield Static("asking …", id="title", markup=False)
        with Vertical():
            with Horizontal(id="upper"):
                yield OptionList(id="all")
                yield OptionList(id="parts")
            with VerticalScroll(id="lower"):
                yield Static("", id="said", markup=False)
        yield Static(
            Content("  ").join(Content.assemble((key, "bold $text-accent"), f" {told}") for key, told in KEYS),
            id="keys",
        )

    async def on_mount(self) -> None:
        self.query_one("#all").border_title = "what there is"
        self.query_one("#lower").border_title = "what the kernel says"
        await self.tick()
        self.query_one("#all", OptionList).focus()
        self.set_interval(INTERVAL, self.tick)

    # Looking: in a thread, one at a time, so that keys are answered meanwhile.

    async def tick(self) -> None:
        async with self.looking:
            self.shown = await asyncio.to_thread(self.view.state)
        clock = time.strftime("%H:%M:%S", time.localtime(self.shown.time))
        self.query_one("#title", Static).update(f"minidock · what the kernel has at {clock}")
        refill(self.query_one("#all", OptionList), list(overview(self.shown)))
        self.show_parts()

    def show_parts(self) -> None:
        chosen = highlighted(self.query_one("#all", OptionList))
        of_chosen = parts(self.shown, chosen, everything=self.everything)
        rows = [(f"{chosen}/{name}", shown, thing) for name, shown, thing in of_chosen]
        self.behind = {name: thing for name, _, thing in rows}
        pane = self.query_one("#parts", OptionList)
        pane.border_title = plain(chosen.partition(":")[2] or EVENTS)
        refill(pane, rows)
        if pane.highlighted is None:
            self.query_one("#said", Static).update("")

    @work(exclusive=True)
    async def look(self) -> None:
        chosen = highlighted(self.query_one("#parts", OptionList))
        behind, box = self.behind.get(chosen), self.query_one("#said", Static)
        if not isinstance(behind, Thing):
            box.update(plain(behind or ""))
            return
        async with self.looking:
            try:
                said = await asyncio.to_thread(self.view.look, behind.command)
            except PermissionError:
                said = "it has gone"
        if chosen == highlighted(self.query_one("#parts", OptionList)):
            about = f"{behind.name}: {behind.value}   (man: {behind.man}, code: {behind.source})"
            told = (plain(about) + "\n", "bold"), (f"$ sudo {plain(behind.command)}\n", "$text-accent"), plain(said)
            box.update(Content.assemble(*told))

    # Keys

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_list.id == "all":
            self.show_parts()
        else:
            self.query_one("#lower").scroll_home(animate=False)
            self.look()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_list.id == "all":
            self.query_one("#parts").focus()
        else:
            self.look()

    def action_everything(self) -> None:
        self.everything = not self.everything
        self.show_parts()

    def action_events(self) -> None:
        self.query_one("#all", OptionList).highlighted = self.query_one("#all", OptionList).option_count - 1

    def action_shade(self) -> None:
        self.theme = "textual-light" if self.theme != "textual-light" else "textual-dark"


def highlighted(pane: OptionList) -> str:
    option = pane.highlighted_option
    return (option.id or "") if option else ""


def refill(pane: OptionList, rows: list[Row]) -> None:
    """What is new, with the choice left where it was; nothing is drawn anew that is the same."""
    names = [name for name, _, _ in rows]
    if [option.id for option in pane.options] == names:
        for name, shown, _ in rows:
            if pane.get_option(name).prompt != shown:
                pane.replace_option_prompt(name, shown)
        return
    chosen, top = highlighted(pane), pane.scroll_offset.y
    pane.clear_options()
    pane.add_options([Option(shown, id=name, disabled=thing is None) for name, shown, thing in rows])
    usable = [number for number, (_, _, thing) in enumerate(rows) if thing is not None]
    pane.highlighted = names.index(chosen) if chosen in names else next(iter(usable), None)
    if chosen in names:
        pane.scroll_to(y=top, animate=False)


# What stands in the panes


def overview(state: State) -> list[Row]:
    """Every container, every network, and what happened."""
    rows: list[Row] = [heading("containers" if state.containers else "no containers yet")]
    for card in state.containers:
        dot = ("● ", "$text-success" if card.running else "$text-muted")
        rows.append((f"c:{card.name}", Content.assemble(dot, plain(card.name), (f"  {plain(card.state)}", "dim")), ""))
    rows.append(heading("networks"))
    for net in state.networks:
        shown = Content.assemble(plain(net.name), (f"  {plain(net.driver)}", "dim"))
        rows.append((f"n:{net.name}", shown, ""))
    rows += [heading("minidock's own"), (EVENTS, Content("events"), "")]
    return rows


def parts(state: State, chosen: str, *, everything: bool) -> list[Row]:
    kind, _, name = chosen.partition(":")
    if kind == EVENTS:
        return happened(state)
    for card in state.containers:
        if kind == "c" and card.name == name:
            return of_container(card, state.titles, everything=everything)
    for net in state.networks:
        if kind == "n" and net.name == name:
            return of_network(net)
    return []


def of_container(card: Card, titles: list[str], *, everything: bool) -> list[Row]:
    if everything and card.kernel:
        return [row for group in card.kernel for row in (heading(group.title), *lines(group.title, group.things))]
    rows: list[Row] = [heading(f"image {card.image}, {card.state}")]
    if card.namespaces:
        rows += [heading("namespaces"), *lines("namespaces", card.namespaces)]
    if card.meters:
        rows += [heading("cgroup"), *((f"m{n}", gauge(meter), meter.thing) for n, meter in enumerate(card.meters))]
    if card.processes:
        rows.append(heading("processes: " + columns(titles)))
        for process in card.processes:
            rows.append((f"p{process.cells[0]}", Content(f"           {plain(columns(process.cells))}"), process.thing))
    rows += [heading("layers, the top first"), *lines("layers", card.layers)]
    if card.ports:
        rows += [heading("ports"), *lines("ports", card.ports)]
    return rows


def of_network(net: Net) -> list[Row]:
    return lines(net.name, net.things) or [heading("the kernel has nothing of it now")]


def happened(state: State) -> list[Row]:
    """The newest first; behind each line the whole event, as `minidock events --format json` has it."""
    rows: list[Row] = []
    for event in state.events:
        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        actor = event["Actor"]
        words = event["Type"], event["Action"], actor["Attributes"].get("name", ""), actor["ID"][:12]
        whole = msgspec.json.format(msgspec.json.encode(event)).decode()
        rows.append((f"e{event['timeNano']}{words}", Content(f"{clock}  {plain('  '.join(words))}"), whole))
    return rows or [heading("nothing in the last ten minutes")]


def heading(text: str) -> Row:
    return (f"h:{text}", Content.styled(plain(text), "bold $text-accent"), None)


def lines(group: str, things: list[Thing]) -> list[Row]:
    width = max((len(thing.name) for thing in things), default=0)
    found: list[Row] = []
    for number, thing in enumerate(things):
        style = "$text-success" if "its own" in thing.value else ""
        shown = Content.assemble(f"  {plain(thing.name):<{width}}  ", (plain(thing.value), style))
        found.append((f"{group}/{number}/{thing.name}", shown, thing))
    return found


def gauge(meter: Meter) -> Content:
    """The text, and below it a bar where there is a limit."""
    if meter.share is None:
        return Content(f"  {plain(meter.text)}")
    full = round(BAR * min(1.0, meter.share))
    bar = ("━" * full, "$text-error" if meter.share > 0.9 else "$text-success"), ("─" * (BAR - full), "dim")
    return Content.assemble("  ", *bar, f"  {plain(meter.text)}")


def columns(cells: list[str]) -> str:
    widths = (8, 8, 6, 10, 0)
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))


def plain(text: str) -> str:
    """Without what would steer the terminal: names of processes are whatever a container's programs want."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text.expandtabs())
