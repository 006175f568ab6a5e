"""From samples to a line of the table, and from lines to docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import time

from scripts.rows.engines import FEW, OURS, PODMAN, SCALE, TAR, THEIRS, Bench, Row, Samples


def line(row: Row, samples: Samples) -> str:
    """One row of the table: medians, and the middle half of the samples as a measure of how much they scatter."""
    cells = [_cell(samples.get(who, []), row.unit) for who in (OURS, THEIRS)]
    cells += [_podman(row, samples), _cell(samples.get(SCALE, []), row.unit)]
    # Without Docker: beside runc, or whoever else there is
    other = next((samples[who] for who in (THEIRS, SCALE, FEW, TAR) if samples.get(who)), [])
    ratio = _ratio(samples[OURS], other) if other else ""
    if few := samples.get(FEW) or samples.get(TAR):
        ratio += f" of {_cell(few, row.unit)}"
    return f"| {row.name} | {' | '.join(cells)} | {ratio} | {row.goal} | {len(samples[OURS])} |"


def _podman(row: Row, samples: Samples) -> str:
    """Its time, and minidock's ratio to that; a dash where podman was to take part and isn't installed."""
    if PODMAN not in samples:
        return ""
    taken = samples[PODMAN]
    return f"{_cell(taken, row.unit)}, {_ratio(samples[OURS], taken)}" if taken else "-"


def _ratio(ours: list[float], theirs: list[float]) -> str:
    return f"**{statistics.median(ours) / statistics.median(theirs):.2f}x**"


def _cell(taken: list[float], unit: str) -> str:
    if not taken:
        return ""
    middle = statistics.median(taken)
    digits = 2 if unit == "MiB" else 0
    if len(taken) < 4:
        return f"{middle:.{digits}f} {unit}"
    low, _, high = statistics.quantiles(taken, n=4)
    return f"{middle:.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


HEAD = f"""\
| job | {OURS} | {THEIRS} | {PODMAN}, {OURS} / {PODMAN} | {SCALE} alone | {OURS} / {THEIRS} | goal | samples |
|---|---|---|---|---|---|---|---|"""


def page(lines: list[str], about: str) -> str:
    return f"""\
# Benchmarks

Written by `sudo scripts/bench`. Medians, and in brackets the middle half of the samples; both sides alternate in one
run on one machine, so only the ratios say much. Each minidock command is a new process started by `scripts/minidock`
("cold": there is no daemon), but for "warm" rows; Docker is the real client against a running dockerd. dockerd has a
network namespace of its own, minidock works on the host; image, file system and flags are the same. "runc alone" runs
the config.json that minidock made for the same container, on an unpacked directory: no image, no network, no shim, no
log. Rows of growth put minidock beside itself with few containers or images, that of small files beside GNU tar: the
ratio is to that. podman pulls and pushes too, on a storage of its own, from and to the same registry; a dash means that
it isn't installed.

{HEAD}
{chr(10).join(lines)}

{about}
"""


def about(bench: Bench) -> str:
    template = "dockerd {{.Server.Version}}, client {{.Client.Version}}"
    versions = bench.run(THEIRS, "version", "--format", template).strip()
    processors = os.cpu_count()
    load = os.getloadavg()[0]
    facts = [
        f"Linux {platform.release()}, {processors} processors, load {load:.1f} at the end of the run",
        versions,
        *(_version(tool) for tool in (SCALE, PODMAN) if shutil.which(tool)),
        f"Python {platform.python_version()}",
        time.strftime("%Y-%m-%d"),
    ]
    return "Measured with " + "; ".join(facts) + "."


def _version(tool: str) -> str:
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
