"""The pictures of --explain=html: each is drawn from the values of the steps that made what it shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .explain import Row

WIDTH = 1080
NAMESPACES = {
    "mount": "which files there are",
    "pid": "which processes there are",
    "network": "interfaces, routes, ports",
    "uts": "the host name",
    "ipc": "shared memory, queues",
    "cgroup": "where the cgroup tree begins",
    "user": "who is root",
    "time": "since when it runs",
}
Picture = tuple[str, str, str]


def pictures(rows: Sequence[Row]) -> Iterator[Picture]:
    """Title, one sentence, the drawing; what didn't happen isn't drawn."""
    draw = (
        ("The time line", "Blue is minidock on the host, green the container's first process. Longer bars took longer.",
         _time_line),
        ("Namespaces", "What the process sees as its own; dashed is what it shares with the host.", _namespaces),
        ("Layers", "The overlay shows all at once; the first lower one is the top. Writes go to the upper one.",
         _layers),
        ("The cgroup", "A directory whose files are the limits. The process is born in it.", _cgroup),
        ("The way of a packet", "From the host's port to the process, and by what.", _packet),
    )  # fmt: skip
    for title, lead, make in draw:
        if svg := make(rows):
            yield title, lead, svg


def _find(rows: Sequence[Row], name: str) -> list[Any]:
    return [row.values for row in rows if row.step == name and row.event == "done"]


def _text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(said)}</text>'


def _box(x: float, y: float, width: float, height: float, kind: str, *lines: str) -> str:
    """A rectangle; its first line is its name, the others are small."""
    middle = y + height / 2 + 5 - 9 * (len(lines) - 1)
    said = "".join(
        _text(x + width / 2, middle + 19 * n, line, "name" if n == 0 else "soft", "middle")
        for n, line in enumerate(lines)
    )
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9" class="{kind}"/>{said}'


def _svg(height: float, *parts: str, label: str) -> str:
    arrow = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="currentColor" opacity=".6"/></marker></defs>'
    )
    size = f"-2 -2 {WIDTH + 4} {height + 4:.0f}"
    return f'<svg viewBox="{size}" role="img" aria-label="{escape(label)}">{arrow}{"".join(parts)}</svg>'


def _shorten(said: str, most: int) -> str:
    return said if len(said) <= most else f"{said[: most // 2 - 1]}…{said[-(most - most // 2) :]}"


def _time_line(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    start = min(row.begun for row in rows)
    whole = max(row.begun + row.seconds for row in rows) - start or 1e-6
    left, right, high = 40.0, WIDTH - 40.0, 30
    scale = (right - left) / whole
    parts = []
    for lane, where in enumerate(("host", "container")):
        y = 34 + lane * 62
        parts.append(_text(left, y - 8, f"on the {where}" if where == "host" else f"in the {where}", "soft"))
        parts.append(f'<path d="M{left} {y + high + 4}H{right}" class="wire" opacity=".35"/>')
        for row in rows:
            if row.where == where:
                kind = "failed" if row.event == "failed" else where
                parts.append(
                    f'<rect x="{left + (row.begun - start) * scale:.1f}" y="{y}" height="{high}" rx="1.5" '
                    f'width="{max(1.6, row.seconds * scale):.1f}" class="bar-{kind}">'
                    f"<title>{escape(row.what)}: {row.seconds * 1000:.2f} ms</title></rect>"
                )
    parts += [
        _text(left + (right - left) * n / 4, 156, f"{whole * 250 * n:.1f} ms", "soft", "middle") for n in range(5)
    ]
    slow = sorted(rows, key=lambda row: -row.seconds)[:4]
    parts.append(_text(left, 192, "the longest:", "soft"))
    for n, row in enumerate(slow):
        said = f"{row.seconds * 1000:6.1f} ms  {_shorten(row.what, 110)}"
        parts.append(_text(left, 217 + n * 22, said, "mono"))
    return _svg(290, *parts, label="the steps on a time line")


def _namespaces(rows: Sequence[Row]) -> str:
    spawned = _find(rows, "Spawn")
    if not spawned:
        return ""
    own = {*spawned[0]["kinds"], *(["cgroup"] if _find(rows, "NewCgroupNamespace") else [])}
    own |= {"user"} if _find(rows, "MapIds") else set()
    born = spawned[0]  # in these, before its own steps begin: nobody can join a pid namespace, only be born there
    joined = {*born["paths"], *(["pid"] if born["pid_path"] else []), *(["user"] if born["user_path"] else [])}
    joined |= {step["kind"] for step in _find(rows, "JoinNamespace")}
    parts = [_box(0, 0, WIDTH, 268, "host"), _text(20, 28, "the host", "name")]
    for n, (kind, meaning) in enumerate(NAMESPACES.items()):
        x, y = 20 + (n % 4) * 262, 46 + (n // 4) * 106
        whose = "its own" if kind in own else "joined: a container's" if kind in joined else "the host's"
        parts.append(_box(x, y, 250, 92, "shared" if whose == "the host's" else "inside", kind, meaning, whose))
    return _svg(268, *parts, label="namespaces of the container")


def _layers(rows: Sequence[Row]) -> str:
    found = _find(rows, "MountOverlay")
    if not found:
        return ""
    upper, lower = found[0]["upper"], found[0]["lower"]
    shown = [(upper, "inside", "upper: the container's own, written to")]
    shown += [(path, "host", f"lower {n}: read only") for n, path in enumerate(lower, start=1)]
    parts = []
    for n, (path, kind, said) in enumerate(shown[:12]):
        y = n * 54
        parts += [
            f'<rect x="{n * 10}" y="{y}" width="{700 - n * 10}" height="46" rx="9" class="{kind}"/>',
            _text(n * 10 + 16, y + 28, _shorten(path, 78), "mono"),
            _text(724, y + 28, said, "soft"),
        ]
    rest = len(shown) - 12
    if rest > 0:
        parts.append(_text(0, 12 * 54 + 14, f"and {rest} more below", "soft"))
    return _svg(min(len(shown), 12) * 54 + (24 if rest > 0 else 0), *parts, label="layers of the overlay")


def _cgroup(rows: Sequence[Row]) -> str:
    made = _find(rows, "MakeCgroup")
    if not made:
        return ""
    names = ["/sys/fs/cgroup", *filter(None, made[0]["path"].split("/"))]
    limits = _find(rows, "WriteCgroupFile")
    parts = []
    for n, name in enumerate(names):
        x, y = n * 44, n * 62
        if n:
            parts.append(f'<path d="M{x - 22} {y - 12}V{y + 24}H{x - 4}" class="wire"/>')
        kind = "inside" if n == len(names) - 1 else "host"
        parts.append(f'<rect x="{x}" y="{y}" width="400" height="48" rx="9" class="{kind}"/>')
        parts.append(_text(x + 16, y + 30, _shorten(name, 46), "mono"))
    for n, limit in enumerate(limits):
        y = 20 + n * 46
        parts.append(_text(580, y, f"{os.path.basename(limit['file'])} = {_shorten(str(limit['value']), 30)}", "mono"))
        parts.append(_text(580, y + 19, limit["what"], "soft"))
    if not limits:
        parts.append(_text(580, 30, "no limits were asked for", "soft"))
    return _svg(max(len(names) * 62, len(limits) * 46 + 14), *parts, label="the container's cgroup")


def _packet(rows: Sequence[Row]) -> str:
    veths = _find(rows, "CreateVeth")
    if not veths:
        return ""
    veth = veths[0]
    bridge = next((step["address"] for step in _find(rows, "AddAddress") if step["name"] == veth["bridge"]), "")
    inside = next((step["address"] for step in _find(rows, "AddAddress") if step["name"] == veth["peer"]), "")
    published = [port for step in _find(rows, "PublishPorts") for port in step["ports"]]
    tables = [step["table"] for step in [*_find(rows, "PublishPorts"), *_find(rows, "SetUpNat")]]
    ports = [
        f"{port['host_port']} → {port['port']}/{port['protocol']}" for port in published if ":" not in port["host_ip"]
    ]
    command = next(iter(_find(rows, "Execute")), {"args": ["?"]})["args"][0]
    stops = [
        ("host", "the host", *(f"port {port['host_port']}" for port in published[:1]), "an interface"),
        ("box", "nftables", *tables[:1], *ports[:2])
        if ports
        else ("box", "nftables", *tables[:1], "masquerade, outwards"),
        ("host", "bridge", veth["bridge"], bridge),
        ("host", "veth", veth["name"], "a cable with two ends"),
        ("inside", veth["peer"], inside, "in the container"),
        ("inside", _shorten(command, 18), "the process"),
    ]
    parts = []
    for n, (kind, *lines) in enumerate(stops):
        x = n * 184
        parts.append(_box(x, 20, 156, 100, kind, *(line for line in lines if line)))
        if n:
            parts.append(f'<path d="M{x - 27} 70H{x - 3}" class="wire" marker-end="url(#tip)"/>')
    return _svg(140, *parts, label="the way of a packet")
