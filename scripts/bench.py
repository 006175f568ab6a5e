"""What `scripts/bench` runs: each row of GOALS measured on minidock and on Docker in turn, in one run on one machine.

Only ratios mean anything: both sides alternate, so that both suffer alike from whatever else the machine does. A new
row is a function below and a line in ROWS. The standard library is enough, with the tests' own dockerd and image.

The same conditions for both: the same busybox image, the same file system, no command's output is shown. dockerd has
a network namespace of its own, so that it doesn't meet the host's rules or another dockerd; that costs it nothing that
can be measured, as its containers' packets go through a bridge and iptables there in the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from minidock.image.store import ImageStore  # noqa: E402
from minidock.paths import Layout  # noqa: E402
from scripts import growth, throughput  # noqa: E402
from tests.support import tarforge  # noqa: E402
from tests.support.dockerd import Docker  # noqa: E402
from tests.support.images import busybox_layer, docker_archive  # noqa: E402
from tests.support.registry import Registry  # noqa: E402

PAGE = REPOSITORY / "docs" / "benchmarks.md"
OURS, THEIRS, SCALE = "minidock", "Docker", "runc"
FEW = "minidock with few"
"""What a row of growth is beside: minidock itself."""
TAR = "GNU tar"
Samples = dict[str, list[float]]
"""Milliseconds, or MiB, by who took them."""


class Row(NamedTuple):
    """`take` measures, given how often; `goal` and `later` are ratios to Docker, from the figures to reach."""

    name: str
    unit: str
    goal: str
    take: Callable[[Bench, int], Samples]


class Bench:
    """Both engines, with the image busybox in each, and a directory for what a row needs."""

    def __init__(self, directory: Path, docker: Docker) -> None:
        self.directory = directory
        self.docker = docker
        self.layout = Layout(directory / "minidock")
        self.prefix = {
            OURS: [str(REPOSITORY / "scripts" / "minidock"), f"--root={self.layout.root}"],
            THEIRS: [docker.client],
            SCALE: ["runc", f"--root={directory / 'runc-state'}"],
        }
        self.environment = {**os.environ, **docker.environment}

    def run(self, who: str, *words: str, timeout: float = 120) -> str:
        """One command; its output. A benchmark of something that fails would mean nothing, so failure ends it all."""
        command = [*self.prefix[who], *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, timeout=timeout
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def both(self, *words: str) -> None:
        for who in (OURS, THEIRS):
            self.run(who, *words)

    @contextlib.contextmanager
    def containers(self, *options: str, count: int = 1) -> Iterator[None]:
        """Sleeping containers c0, c1 … in both engines; gone afterwards."""
        names = [f"c{number}" for number in range(count)]
        try:
            for name in names:
                self.both("run", "-d", "--name", name, *options, "busybox", "sleep", "3600")
            yield
        finally:
            self.both("rm", "-f", *names)

    def pid(self, who: str, name: str) -> int:
        return int(self.run(who, "inspect", "--format", "{{.State.Pid}}", name))


def milliseconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def in_turn(times: int, actions: dict[str, Callable[[], object]]) -> Samples:
    """Each action so many times, one after the other, after a round that doesn't count: caches are warm for all."""
    for action in actions.values():
        action()
    taken: Samples = {who: [] for who in actions}
    for _ in range(times):
        for who, action in actions.items():
            taken[who].append(milliseconds(action))
    return taken


def same_words(bench: Bench, times: int, *words: str) -> Samples:
    return in_turn(times, {who: lambda who=who: bench.run(who, *words) for who in (OURS, THEIRS)})  # type: ignore[misc]


# The rows


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
    spec["linux"]["cgroupsPath"] = "/minidock-bench/runc"
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


def memory(bench: Bench, times: int) -> Samples:
    """PSS of what stays beside a container that publishes a port: its shim (its first process's parent), and dockerd's
    port proxies."""
    with bench.containers("-p", "127.0.0.1::80"):
        time.sleep(1)
        ours = _pss(_parent(bench.pid(OURS, "c0")))
        shim = _pss(_parent(bench.pid(THEIRS, "c0")))
        proxies = _named(_children(bench.docker.pid), "docker-proxy")
        return {OURS: [ours], THEIRS: [shim + sum(map(_pss, proxies))]}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def _children(pid: int) -> list[int]:
    """Whichever of the parent's threads started them."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for text in texts for word in text.split()]


def _named(pids: list[int], name: str) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == name]


def _pss(pid: int) -> float:
    """MiB of the process, shared pages divided by their users (proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextlib.contextmanager
def daemon_of_ours(bench: Bench) -> Iterator[int]:
    """`minidock daemon`, and the docker client on it for minidock's commands meanwhile; its process."""
    plain, address = dict(bench.prefix), f"unix://{bench.directory / 'm.sock'}"
    with (bench.directory / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen([*plain[OURS], "daemon", "-H", address], stdin=subprocess.DEVNULL, stderr=log)
    bench.prefix = {**plain, OURS: [bench.docker.client, "-H", address]}
    try:
        while subprocess.run([*bench.prefix[OURS], "version"], capture_output=True).returncode != 0:
            if daemon.poll() is not None:
                raise SystemExit(f"minidock daemon: exit {daemon.returncode}\n{Path(log.name).read_text()}")
            time.sleep(0.05)
        yield daemon.pid
    finally:
        bench.prefix = plain
        daemon.terminate()
        daemon.wait(timeout=30)


def run_warm(bench: Bench, times: int) -> Samples:
    """The same client on both sides: what differs is who serves it."""
    with daemon_of_ours(bench):
        return same_words(bench, times, "run", "--rm", "busybox", "true")


def memory_of_daemon(bench: Bench, times: int) -> Samples:
    """PSS of a daemon and of all that it has started, after a first container has come and gone."""
    with daemon_of_ours(bench) as daemon:
        bench.both("run", "--rm", "busybox", "true")
        time.sleep(1)
        return {who: [sum(map(_pss, _family(pid)))] for who, pid in ((OURS, daemon), (THEIRS, bench.docker.pid))}


def _family(pid: int) -> list[int]:
    return [pid, *(found for child in _children(pid) for found in _family(child))]


@contextlib.contextmanager
def registry_for_both(bench: Bench) -> Iterator[Registry]:
    """docker-registry on the loopback of dockerd's network namespace, where minidock's commands run meanwhile, too."""
    registry = Registry(bench.directory / "registry", network=bench.docker.pid)
    inside = ["nsenter", f"--net=/proc/{bench.docker.pid}/ns/net"]
    plain = dict(bench.prefix)
    registry.start()
    bench.prefix = {who: [*inside, *words] for who, words in plain.items()}
    try:
        yield registry
    finally:
        bench.prefix = plain
        registry.stop()


def debian_layer(bench: Bench) -> Path:
    """The tar of the built-in Debian image's only layer: some 7,000 files, 160 MB."""
    bench.run(OURS, "run", "--rm", "--network", "none", "debian", "true", timeout=600)
    store = ImageStore(bench.layout)
    return store.blob_path(store.manifest(store.find("debian")).layers[0].digest)


def prepared(times: int, prepare: Callable[[str, int], object], act: Callable[[str, int], object]) -> Samples:
    """`act` of both in turn; what `prepare` does before isn't counted, nor is the first round."""
    taken: Samples = {OURS: [], THEIRS: []}
    for number in range(times + 1):
        for who, samples in taken.items():
            prepare(who, number)
            took = milliseconds(lambda who=who, number=number: act(who, number))  # type: ignore[misc]
            if number:
                samples.append(took)
    return taken


def pull_debian(bench: Bench, times: int) -> Samples:
    """Each sample is another image, alike but for one small file, and none is removed until the end: ext4 is slow to
    make files for a minute after as many were deleted (it avoids their inodes), and would be what is measured."""
    tar = debian_layer(bench)
    with registry_for_both(bench) as registry:
        tags = [f"{registry.address}/debian:{number}" for number in range(times + 1)]
        _push_variants(bench, registry, tar, len(tags))
        try:
            return prepared(
                times, lambda who, number: os.sync(), lambda who, number: bench.run(who, "pull", "-q", tags[number])
            )
        finally:
            bench.both("rmi", *tags)


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


def push_debian(bench: Bench, times: int) -> Samples:
    """Every time into an empty registry: nothing is there already, nothing can be mounted."""
    tar = debian_layer(bench)
    with registry_for_both(bench) as registry:
        name = f"{registry.address}/debian:bench"
        bench.both("import", str(tar), name)

        def empty(who: str, number: int) -> None:
            shutil.rmtree(registry.directory / "data", ignore_errors=True)
            os.sync()

        try:
            return prepared(times, empty, lambda who, number: bench.run(who, "push", "-q", name))
        finally:
            bench.both("rmi", name)


def pull_memory(bench: Bench, times: int) -> Samples:
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


ROWS = [
    Row("`run --rm busybox true`, bridge network", "ms", "0.5, then 0.35", run_bridge),
    Row("`run --rm --network none busybox true`", "ms", "0.4, then 0.25", run_none),
    Row("`minidock-oci run` of a bundle, beside `runc run`", "ms", "1.5, then 1 (to runc)", run_bundle),
    Row("`exec C true`", "ms", "0.8, then 0.6", exec_true),
    Row("`ps`, ten containers", "ms", "80 ms, then 50 ms", list_ten),
    Row("50 detached containers started one after another, then all removed", "ms", "0.5", fifty),
    Row("`ps -a` with 1,000 stopped containers, beside 10", "ms", "5 (to itself)", list_thousand),
    Row("`images` with 200 images, beside 5", "ms", "5 (to itself)", list_images),
    Row("unpack a layer of 100,000 small files, beside `tar -x`", "ms", "1.2 (to tar)", unpack_small_files),
    Row("`run -d`, the last of 200 running ones, beside the first", "ms", "1.5 (to itself)", two_hundredth),
    Row("published port, 512 MiB out of a container to the host", "ms", "1", throughput.published),
    Row("the same by 127.0.0.1", "ms", "1", throughput.published_localhost),
    Row("the same by [::1]", "ms", "1", throughput.published_ipv6),
    Row("512 MiB from one container to another", "ms", "1", throughput.between),
    Row("500 short connections by a published port", "ms", "1", throughput.connections),
    Row("the same by 127.0.0.1, 500 connections", "ms", "1", throughput.connections_localhost),
    Row("`pull` of a Debian image, 160 MB unpacked, from a registry on loopback", "ms", "0.6, then 0.4", pull_debian),
    Row("`push` of the same into an empty registry", "ms", "0.6, then 0.4", push_debian),
    Row("memory of pulling and pushing a layer of 2 GiB", "MiB", "150 MiB", pull_memory),
    Row("`build --no-cache`, 8 instructions with 3 RUN", "ms", "0.5, then 0.3", build_anew),
    Row("`build`, all cached", "ms", "3, then 2", build_cached),
    Row("memory of one detached container with one published port", "MiB", "0.5, then 0.15", memory),
    Row("warm: the docker client's `run --rm busybox true`, served by `minidock daemon`", "ms", "", run_warm),
    Row("memory of the idle daemon (Docker: dockerd and containerd)", "MiB", "", memory_of_daemon),
]


# From samples to a table


def line(row: Row, samples: Samples) -> str:
    """One row of the table: medians, and the middle half of the samples as a measure of how much they scatter."""
    cells = [_cell(samples.get(who, []), row.unit) for who in (OURS, THEIRS, SCALE)]
    ratio = ""
    other = next(
        (samples[who] for who in (THEIRS, SCALE, FEW, TAR) if samples.get(who)), []
    )  # without Docker: beside runc
    if other:
        ratio = f"**{statistics.median(samples[OURS]) / statistics.median(other):.2f}x**"
    if few := samples.get(FEW) or samples.get(TAR):
        ratio += f" of {_cell(few, row.unit)}"
    return f"| {row.name} | {' | '.join(cells)} | {ratio} | {row.goal} | {len(samples[OURS])} |"


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
| job | {OURS} | {THEIRS} | {SCALE} alone | {OURS} / {THEIRS} | goal | samples |
|---|---|---|---|---|---|---|"""


def page(lines: list[str], about: str) -> str:
    return f"""\
# Benchmarks

Written by `sudo scripts/bench`. Medians, and in brackets the middle half of the samples; both sides alternate in one
run on one machine, so only the ratios say much. Each minidock command is a new process started by `scripts/minidock`
("cold": there is no daemon), but for "warm" rows; Docker is the real client against a running dockerd. dockerd has a
network namespace of its own, minidock works on the host; image, file system and flags are the same. "runc alone" runs
the config.json that minidock made for the same container, on an unpacked directory: no image, no network, no shim, no
log. Rows of growth put minidock beside itself with few containers or images, that of small files beside GNU tar: the
ratio is to that.

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
        bench.run(SCALE, "--version").splitlines()[0],
        f"Python {platform.python_version()}",
        time.strftime("%Y-%m-%d"),
    ]
    return "Measured with " + "; ".join(facts) + "."


@contextlib.contextmanager
def engines() -> Iterator[Bench]:
    """Both, with the image; everything is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="md-bench-"))  # short: a socket's path has at most 107 bytes
    client, daemon, busybox = (_need(name) for name in ("docker", "dockerd", "busybox"))
    _need("runc")
    (directory / "docker").mkdir()
    docker = Docker(directory / "docker", client)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        docker.start(daemon)
        stack.callback(docker.stop)
        bench = Bench(directory, docker)
        layer = busybox_layer(busybox)
        (directory / "layer.tar").write_bytes(layer)
        archive = docker_archive(directory / "busybox.tar", "busybox:latest", [layer], {"Cmd": ["sh"]})
        stack.callback(remove_instance, bench)
        bench.both("load", "-i", str(archive))
        yield bench


def remove_instance(bench: Bench) -> None:
    """Its containers after a row that failed; the bridge and the table, which stay between containers."""
    from minidock import network

    if left := bench.run(OURS, "ps", "-aq").split():
        bench.run(OURS, "rm", "-f", *left)
    network.teardown(bench.layout)
    shutil.rmtree(bench.layout.run, ignore_errors=True)


def _need(tool: str) -> str:
    found = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    return found or sys.exit(f"scripts/bench needs {tool}: sudo scripts/setup test installs it")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure minidock beside Docker and runc.")
    parser.add_argument("-n", type=int, default=15, metavar="TIMES", help="samples of each side (default 15)")
    parser.add_argument("--list", action="store_true", help="print the rows and leave")
    parser.add_argument("words", nargs="*", help="only rows whose name holds one of these words")
    asked = parser.parse_args()
    rows = [row for row in ROWS if not asked.words or any(word in row.name for word in asked.words)]
    if asked.list or not rows:
        sys.exit("\n".join(row.name for row in ROWS) if asked.list else "no row has such a name: see --list")
    if os.geteuid() != 0:
        sys.exit("scripts/bench needs root: try it with sudo")
    with engines() as bench:
        print(HEAD, flush=True)
        lines = []
        for row in rows:
            lines.append(line(row, row.take(bench, asked.n)))
            print(lines[-1], flush=True)
        facts = about(bench)
    print(facts)
    if rows == ROWS:
        PAGE.write_text(page(lines, facts))


if __name__ == "__main__":
    main()
