"""cdi ls and generate: which devices there are for --device vendor.com/class=name and --gpus, and a file for GPUs."""

from __future__ import annotations

import sys

from ..model.cdi import CdiOffer
from . import context
from .commands import Complaint, Entry, Noun, verb
from .flags import boolean, many, text
from .tables import Columns, Listing

cdi = Noun(
    "cdi",
    "See which devices CDI files offer, and make such files",
    {
        "generate": Entry("cdi:generate", "Make a CDI file for the GPUs of this host"),
        "ls": Entry("cdi:ls", "List the devices that containers can be given by name"),
    },
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


@verb(
    "generate",
    "Make a CDI file for the NVIDIA or AMD GPUs of this host, by looking at the driver that is loaded",
    "[OPTIONS]",
    flags=[
        text("vendor", "", "'nvidia' or 'amd', or empty for whose driver is there"),
        text("output", "o", "Write to a file instead of STDOUT"),
        text("driver-root", "", "Where the host's /proc, /dev, /sys and /usr are", default="/"),
    ],
    examples="""
        sudo minidock cdi generate -o /etc/cdi/gpu.json
        minidock cdi generate --vendor amd
    """,
)
def generate(vendor: str, output: str, driver_root: str) -> None:
    """To be made anew after an update of the driver: libraries and numbers are others then."""
    if vendor not in ("", "nvidia", "amd"):
        raise Complaint(f"unknown vendor {vendor}: nvidia or amd", 1)
    made = context.engine().generate_cdi(vendor, driver_root)
    if not output:
        sys.stdout.write(made.decode())
        return
    from pathlib import Path

    from ..files import write_atomic

    try:
        write_atomic(Path(output), made)
    except OSError as error:
        raise Complaint(f"open {output}: {(error.strerror or '').lower()}", 1) from error


def columns(one: CdiOffer) -> Columns:
    return {
        "Name": lambda: one.name,
        "Nodes": lambda: one.device_nodes,
        "Mounts": lambda: one.mounts,
        "Hooks": lambda: one.hooks,
        "File": lambda: one.file,
    }
