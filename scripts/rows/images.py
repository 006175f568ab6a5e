"""Rows about images: listed, unpacked, built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from scripts.rows import growth
from scripts.rows.engines import FEW, OURS, TAR, Bench, Samples, in_turn, milliseconds, same_words


def list_images(bench: Bench, times: int) -> Samples:
    taken: Samples = {OURS: [], FEW: []}
    for who, count in ((FEW, 5), (OURS, 200)):
        with growth.images(bench.layout, count):
            taken[who] = in_turn(times, {OURS: lambda: bench.run(OURS, "images")})[OURS]
    return taken


UNPACK = "import sys; from minidock.image.unpack import unpack; unpack(open(sys.argv[1], 'rb').read, sys.argv[2])"


def unpack_small_files(bench: Bench, times: int) -> Samples:
    """Each time into a new directory, and none is removed until the end (see pull_debian); five rounds are 5 GB."""
    top = bench.directory / "small"
    top.mkdir()
    layer = str(growth.small_files(top / "layer.tar"))
    commands = {OURS: [sys.executable, "-c", UNPACK, layer], TAR: ["tar", "-xpf", layer, "-C"]}
    taken: Samples = {who: [] for who in commands}
    try:
        for number in range(min(times, 5) + 1):
            for who, samples in taken.items():
                into = top / f"{number}-{who[0]}"
                into.mkdir()
                os.sync()
                took = milliseconds(lambda who=who, into=into: subprocess.run([*commands[who], into], check=True))  # type: ignore[misc]
                if number:
                    samples.append(took)
        return taken
    finally:
        shutil.rmtree(top)


BUILD = """\
FROM busybox
ENV A=1
RUN echo one > /one
COPY context.txt /copied
WORKDIR /work
RUN echo two > two
LABEL a=b
RUN cat /one two > three
"""


def _context(bench: Bench) -> str:
    context = bench.directory / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(BUILD)
    (context / "context.txt").write_text("copied\n")
    return str(context)


def build_anew(bench: Bench, times: int) -> Samples:
    return _built(bench, times, "--no-cache")


def build_cached(bench: Bench, times: int) -> Samples:
    return _built(bench, times)


def _built(bench: Bench, times: int, *options: str) -> Samples:
    """Docker's classic builder: its client has no other one without a plugin."""
    bench.environment["DOCKER_BUILDKIT"] = "0"
    words = ("build", "-q", "-t", "built", *options, _context(bench))
    try:
        return same_words(bench, times, *words)
    finally:
        bench.both("rmi", "built")
