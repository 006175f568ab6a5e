"""Rows about containers: started, entered, listed, removed."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from scripts.rows import growth
from scripts.rows.engines import FEW, OURS, REPOSITORY, SCALE, THEIRS, Bench, Samples, in_turn, milliseconds, same_words


def run_bridge(bench: Bench, times: int) -> Samples:
    return same_words(bench, times, "run", "--rm", "busybox", "true")


def run_none(bench: Bench, times: int) -> Samples:
    """And runc alone, with the config.json that minidock itself made for such a container: what no engine can avoid."""
    bundle = bench.directory / "bundle"
    _make_bundle(bench, bundle)
    words = ("run", "--rm", "--network", "none", "busybox", "true")
    try:
        actions: dict[str, Callable[[], object]] = {
            OURS: lambda: bench.run(OURS, *words),
            THEIRS: lambda: bench.run(THEIRS, *words),
            SCALE: lambda: bench.run(SCALE, "run", "--bundle", str(bundle), "bench"),
        }
        return in_turn(times, actions)
    finally:
        bench.run(OURS, "rm", "-f", "model")


def run_bundle(bench: Bench, times: int) -> Samples:
    """The runtimes alone, on the same bundle."""
    bundle = bench.directory / "bundle"
    _make_bundle(bench, bundle)
    ours = [str(REPOSITORY / "scripts" / "minidock-oci"), f"--root={bench.directory / 'oci-state'}"]
    bench.prefix["minidock-oci"] = ours
    try:
        actions: dict[str, Callable[[], object]] = {
            OURS: lambda: bench.run("minidock-oci", "run", "--bundle", str(bundle), "bench"),
            SCALE: lambda: bench.run(SCALE, "run", "--bundle", str(bundle), "bench"),
        }
        return in_turn(times, actions)
    finally:
        bench.run(OURS, "rm", "-f", "model")


def _make_bundle(bench: Bench, bundle: Path) -> None:
    bench.run(OURS, "run", "-d", "--name", "model", "--network", "none", "busybox", "sleep", "3600")
    identity = bench.run(OURS, "inspect", "--format", "{{.Id}}", "model").strip()
    spec = json.loads((bench.layout.container_run(identity) / "config.json").read_text())
    spec["process"]["args"] = ["true"]
    spec["linux"]["cgroupsPath"] = "/minidock-bench"  # without a parent, which runc would leave
    (bundle / "rootfs").mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-xf", str(bench.directory / "layer.tar"), "-C", str(bundle / "rootfs")], check=True)
    (bundle / "config.json").write_text(json.dumps(spec))


def exec_true(bench: Bench, times: int) -> Samples:
    with bench.containers():
        return same_words(bench, times, "exec", "c0", "true")


def list_ten(bench: Bench, times: int) -> Samples:
    with bench.containers(count=10):
        return same_words(bench, times, "ps")


def fifty(bench: Bench, times: int) -> Samples:
    """50 containers are 50 repetitions already: three rounds of them are enough."""

    def round_of(who: str) -> None:
        names = [f"many{number}" for number in range(50)]
        for name in names:
            bench.run(who, "run", "-d", "--name", name, "busybox", "sleep", "3600")
        bench.run(who, "rm", "-f", *names)

    taken: Samples = {OURS: [], THEIRS: []}
    for _ in range(min(times, 3)):
        for who, samples in taken.items():
            samples.append(milliseconds(lambda who=who: round_of(who)))  # type: ignore[misc]
    return taken


def list_thousand(bench: Bench, times: int) -> Samples:
    taken: Samples = {OURS: [], FEW: []}
    for who, count in ((FEW, 10), (OURS, 1000)):
        with growth.stopped(bench.layout, functools.partial(bench.run, OURS), count):
            taken[who] = in_turn(times, {OURS: lambda: bench.run(OURS, "ps", "-a")})[OURS]
    return taken


def two_hundredth(bench: Bench, times: int) -> Samples:
    """Each of 200 is started once: the first ones against the last ones, as many as there are samples."""
    names = [f"run{number}" for number in range(200)]
    words = ("busybox", "sleep", "3600")
    bench.run(OURS, "run", "--rm", "busybox", "true")  # caches are warm, the bridge is there
    try:
        start = [milliseconds(lambda name=name: bench.run(OURS, "run", "-d", "--name", name, *words)) for name in names]  # type: ignore[misc]
    finally:
        bench.run(OURS, "rm", "-f", *names)
    return {OURS: start[-times:], FEW: start[:times]}
