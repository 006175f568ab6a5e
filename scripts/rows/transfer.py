"""Rows about registries: an image pulled and pushed by minidock, Docker and podman, and the memory that it takes."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from minidock.image.store import ImageStore
from scripts.rows.engines import OURS, PODMAN, THEIRS, Bench, Samples, prepared
from tests.support import tarforge
from tests.support.registry import Registry


@contextlib.contextmanager
def registry_for_all(bench: Bench) -> Iterator[Registry]:
    """docker-registry on the loopback of dockerd's network namespace, where minidock's and podman's commands run
    meanwhile, too."""
    registry = Registry(bench.directory / "registry", network=bench.docker.pid)
    inside = ["nsenter", f"--net=/proc/{bench.docker.pid}/ns/net"]
    plain = dict(bench.prefix)
    with podman(bench) as third:
        registry.start()
        bench.prefix = {who: [*inside, *words] for who, words in {**plain, **third}.items()}
        try:
            yield registry
        finally:
            bench.prefix = plain
            registry.stop()


@contextlib.contextmanager
def podman(bench: Bench) -> Iterator[dict[str, list[str]]]:
    """Its command, on a storage of its own, with overlay as the others have it; nothing where it isn't installed."""
    program, place = shutil.which("podman"), bench.directory / "p"  # short: it puts sockets there
    if program is None:
        yield {}
        return
    (place / "spool").mkdir(parents=True)
    where = [f"--root={place / 'root'}", f"--runroot={place / 'run'}", f"--tmpdir={place / 'tmp'}"]
    try:
        # TMPDIR: blobs on their way. DOCKER_CONFIG, the tests' dockerd's, has no config.json, which podman insists on.
        environment = ["env", "-u", "DOCKER_CONFIG", f"TMPDIR={place / 'spool'}"]
        yield {PODMAN: [*environment, program, *where, "--storage-driver=overlay"]}
    finally:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            point = line.split(" ")[4]
            if point.startswith(f"{place}/"):
                subprocess.run(["umount", point], check=True)
        shutil.rmtree(place)


def debian_layer(bench: Bench) -> Path:
    """The tar of the built-in Debian image's only layer: some 7,000 files, 160 MB."""
    bench.run(OURS, "run", "--rm", "--network", "none", "debian", "true", timeout=600)
    store = ImageStore(bench.layout)
    return store.blob_path(store.manifest(store.find("debian")).layers[0].digest)


def pull(bench: Bench, times: int) -> Samples:
    """Each sample is another image, alike but for one small file, and none is removed until the end: ext4 is slow to
    make files for a minute after as many were deleted (it avoids their inodes), and would be what is measured."""
    tar = debian_layer(bench)
    with registry_for_all(bench) as registry:
        tags = [f"{registry.address}/debian:{number}" for number in range(times + 1)]
        _push_variants(bench, registry, tar, len(tags))
        try:
            return _transfer(bench, times, "pull", lambda who, number: os.sync(), tags)
        finally:
            bench.both("rmi", *tags)


def _transfer(
    bench: Bench, times: int, verb: str, prepare: Callable[[str, int], object], names: Sequence[str]
) -> Samples:
    """`pull` or `push` of a name a round, by everybody; podman has no samples where it isn't installed."""

    def act(who: str, number: int) -> None:
        bench.run(who, verb, "-q", *["--tls-verify=false"] * (who == PODMAN), names[number])

    sides = [who for who in (OURS, THEIRS, PODMAN) if who in bench.prefix]
    return {PODMAN: [], **prepared(times, sides, prepare, act)}


def _push_variants(bench: Bench, registry: Registry, tar: Path, count: int) -> None:
    """Layers in two members of gzip: the tar without its end, packed once, and one file more with the end."""
    layout, plain = bench.directory / "variants", tar.read_bytes().rstrip(b"\0")
    plain += bytes(-len(plain) % 512)
    packed = gzip.compress(plain, 6, mtime=0)
    for number in range(count):
        more = tarforge.tar(tarforge.member("variant", b"%d" % number))
        forge = tarforge.Layout()
        forge.image(
            [(packed + gzip.compress(more, mtime=0), plain + more)], media_type=f"{tarforge.OCI}layer.v1.tar+gzip"
        )
        tarforge.write_directory(forge.done(), layout)
        words = ["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:test:latest"]
        inside = bench.docker.inside("skopeo", *words, f"docker://{registry.address}/debian:{number}")
        if inside.returncode:
            raise SystemExit(f"skopeo: {inside.stderr}")
        shutil.rmtree(layout)


def push(bench: Bench, times: int) -> Samples:
    """Every time into an empty registry: nothing is there already, nothing can be mounted."""
    tar = debian_layer(bench)
    with registry_for_all(bench) as registry:
        name = f"{registry.address}/debian:bench"
        bench.both("import", str(tar), name)
        if PODMAN in bench.prefix:
            bench.run(PODMAN, "import", str(tar), name)

        def empty(who: str, number: int) -> None:
            shutil.rmtree(registry.directory / "data", ignore_errors=True)
            os.sync()

        try:
            return _transfer(bench, times, "push", empty, [name] * (times + 1))
        finally:
            bench.both("rmi", name)


def peak(bench: Bench, times: int) -> Samples:
    """The peak of a pull whose one layer has 2 GiB of noise; the measure is the process's, as getrusage(2) tells it."""
    registry = Registry(bench.directory / "registry-large")
    registry.start()
    name = f"{registry.address}/large:1"
    try:
        with open(bench.directory / "large", "wb") as file:
            for _ in range(2048):
                file.write(os.urandom(1 << 20))
        subprocess.run(["tar", "-C", bench.directory, "-cf", bench.directory / "large.tar", "large"], check=True)
        bench.run(OURS, "import", str(bench.directory / "large.tar"), name, timeout=600)
        push = _peak([*bench.prefix[OURS], "push", "-q", name])
        bench.run(OURS, "rmi", name)
        pull = _peak([*bench.prefix[OURS], "pull", "-q", name])
        bench.run(OURS, "rmi", name)
        return {OURS: [max(push, pull)], THEIRS: []}
    finally:
        registry.stop()
        for left in ("large", "large.tar"):
            (bench.directory / left).unlink(missing_ok=True)


def _peak(command: list[str]) -> float:
    """MiB that a command had resident at most.

    Measured by a small process between: execve(2) keeps the peak of what called it, and we are large by now.
    """
    ask = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)"
    told = "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", f"{ask}; {told}", *command], check=True, stdout=subprocess.PIPE)
    return int(done.stdout) / 1024
