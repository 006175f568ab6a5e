"""The pictures of the book: drawn from the plan of one container, by what draws the report of --explain=html.

    .venv/bin/python scripts/pictures.py DIRECTORY

The plan is made of values that are the same on every machine: the default instance, its first subnet, cgroups of
version 2. So the files change only when the plan or the drawing does; a test compares them.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from minidock import spec
from minidock.cli.explain import Recorder
from minidock.cli.explain_html import STYLE
from minidock.cli.explain_pictures import pictures
from minidock.engine.bundle import NAMESPACES
from minidock.kernel import cgroups
from minidock.kernel.cgroup_files import Hierarchies
from minidock.kernel.overlay import MountOverlay
from minidock.model.network import EndpointSettings
from minidock.network import endpoint
from minidock.network.addresses import Claim, Published
from minidock.network.endpoint import Endpoint
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.runtime.plan import Extras, plan
from minidock.runtime.planned import Plan

CONTAINER = ("5f2c7d81e0a4" + "9b3e60f7c1d2" * 5)[:64]
NAMES = {"Namespaces": "namespaces", "Layers": "layers", "The cgroup": "cgroup", "The way of a packet": "packet"}
"""What is drawn, and the file for it. The time line isn't: nothing has happened."""


def example(mount: str) -> Plan:
    """The steps of `minidock run -p 8080:80 --memory 64m --cpus 0.5 --pids-limit 100 web`; `mount` is cgroup2's."""
    layout = Layout()
    directory = layout.container(CONTAINER)
    rootfs = str(layout.container_run(CONTAINER) / "rootfs")
    network = Network("bridge", "172.18.0.0/16", "172.18.0.1", "md0")
    claim = Claim("172.18.0.2", CONTAINER, 0, 0, [Published("tcp", "0.0.0.0", 8080, "172.18.0.2", 80)])  # noqa: S104
    end = Endpoint(network, EndpointSettings(), claim)
    layers = [f"{layout.root}/images/layers/{name}/diff" for name in ("9d1c…", "77a0…", "e3b5…")]
    resources = spec.Resources(
        memory=spec.Memory(limit=64 << 20), cpu=spec.Cpu(quota=50000, period=100000), pids=spec.Pids(limit=100)
    )
    config = spec.Spec(
        oci_version="1.2.0",
        process=spec.Process(cwd="/", args=["httpd"]),
        hostname=CONTAINER[:12],
        linux=spec.Linux(namespaces=[spec.Namespace(type=kind) for kind in NAMESPACES], resources=resources),
    )
    return plan(
        config,
        rootfs=rootfs,
        cgroups=cgroups.plan(
            Hierarchies(v2_mount=mount, v2_controllers=["cpu", "memory", "pids"]),
            f"/minidock/{CONTAINER}",
            resources,
            child_joins=True,
        ),
        extras=Extras(
            before=[*endpoint.shared(layout, network), *endpoint.own(layout, end)],
            joined=[endpoint.cable(end, endpoint.mac_of(claim.address))],
            child=endpoint.inside(end),
            root=[MountOverlay([f"{directory}/init", *layers], f"{directory}/upper", f"{directory}/work", rootfs)],
        ),
    )


def drawn() -> dict[str, str]:
    """File name → the picture, as a file of its own."""
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as mount:
        for where, (_, steps) in zip(("host", "container"), example(mount).sections(), strict=True):
            recorder.moved(where)
            for step in steps:
                recorder.done(step, 0)
    made = {title: svg for title, _, svg in pictures(recorder.rows)}
    return {f"{name}.svg": standing_alone(made[title]) for title, name in NAMES.items()}


def standing_alone(svg: str) -> str:
    """With the report's colours and a ground of its own: the page around it may be light or dark."""
    colours = STYLE[: STYLE.index("* {")]
    rules = re.findall(r"svg (?:text|\.[a-z-]+) \{[^}]*\}", STYLE)
    style = f"{colours}{chr(10).join(rules)}\nsvg {{ background: var(--paper); }}"
    opening = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    opening = re.sub(r'viewBox="-2 -2 (\d+) (\d+)"', _with_margin, opening, count=1)
    return opening.replace("<defs>", f"<style>{style}</style><defs>", 1) + "\n"


def _with_margin(found: re.Match[str]) -> str:
    width, height = (int(number) for number in found.groups())
    return f'viewBox="-18 -18 {width + 32} {height + 32}" width="{width + 32}" height="{height + 32}"'


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in drawn().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
