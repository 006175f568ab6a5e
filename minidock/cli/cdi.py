"""cdi ls: which devices there are for --device vendor.com/class=name and for --gpus."""

from __future__ import annotations

import sys

from ..model import CdiOffer
from . import context
from .commands import Entry, Noun, verb
from .flags import boolean, many, text
from .tables import Columns, Listing

cdi = Noun(
    "cdi",
    "See which devices CDI files offer",
    {"ls": Entry("cdi:ls", "List the devices that containers can be given by name")},
    also={"list": "ls"},
    usage="COMMAND",
)

HEADERS = {"Name": "DEVICE", "Nodes": "NODES", "Mounts": "MOUNTS", "Hooks": "HOOKS", "File": "FILE"}


@verb(
    "ls",
    "List the devices that containers can be given by name (run --device NAME, run --gpus)",
    "[OPTIONS]",
    flags=[
        many("cdi-spec-dir", "", "Look here instead, for files of lowest priority first"),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display names"),
    ],
    aliases=("minidock cdi ls", "minidock cdi list"),
    examples="""
        minidock cdi ls
        minidock cdi ls --cdi-spec-dir /opt/vendor/cdi --format '{{.Name}}: {{.File}}'
    """,
)
def ls(cdi_spec_dir: list[str], format: str, quiet: bool) -> None:
    """Files that can't be used are told on stderr: what they offer is missing in the list."""
    found = context.engine().cdi_devices(cdi_spec_dir or None)
    if quiet and not format:
        for one in found.devices:
            print(one.name)
    else:
        Listing("cdiContext", HEADERS).show([columns(one) for one in found.devices], list(HEADERS), format)
    for where, what in found.problems.items():
        print(f"{where}: {what}" if where.startswith("/") else what, file=sys.stderr)


def columns(one: CdiOffer) -> Columns:
    return {
        "Name": lambda: one.name,
        "Nodes": lambda: one.device_nodes,
        "Mounts": lambda: one.mounts,
        "Hooks": lambda: one.hooks,
        "File": lambda: one.file,
    }
