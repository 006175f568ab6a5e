"""What --show-limits and --thread-hints make of a container's limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minidock import spec
from minidock.engine import causes, create, limits_view
from minidock.model.host import HostConfig

MEMINFO = """MemTotal:       24684084 kB
MemFree:        16889540 kB
MemAvailable:   22035028 kB
Buffers:          306240 kB
Active(anon):     225096 kB
SwapTotal:       1048576 kB
SwapFree:           1000 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""
CPUINFO = "".join(f"processor\t: {n}\nmodel name\t: Z{n}\n\n" for n in range(4))
STAT = """cpu  10 2 3 4 5 0 0 0 0 0
cpu0 5 1 1 2 2 0 0 0 0 0
cpu1 5 1 2 2 3 0 0 0 0 0
intr 4711 0 0 1
ctxt 12
btime 1795970678
processes 99
procs_running 3
procs_blocked 0
softirq 7 1 2
"""
SHOWN = {limits_view.SHOW: "true"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four processors, 24 GB, 1 GiB of swap."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO)
    (tmp_path / "proc/stat").write_text(STAT)
    return tmp_path


def test_memory_is_the_limit_and_swap_what_is_left_of_it(host: Path) -> None:
    rows = limits_view.texts(HostConfig(memory=512 << 20, memory_swap=768 << 20), host)
    assert list(rows) == [limits_view.MEMINFO]
    assert rows[limits_view.MEMINFO].splitlines() == [
        "MemTotal:         524288 kB",
        "MemFree:          524288 kB",
        "MemAvailable:     524288 kB",
        "Buffers:               0 kB",
        "Active(anon):          0 kB",
        "SwapTotal:        262144 kB",
        "SwapFree:         262144 kB",
        "HugePages_Total:       0",
        "Hugepagesize:       2048 kB",
    ]


def test_what_is_more_than_the_host_has_is_the_hosts(host: Path) -> None:
    text = limits_view.texts(HostConfig(memory=1 << 40, memory_swap=-1), host)[limits_view.MEMINFO]
    assert "MemTotal:       24684084 kB\n" in text and "SwapTotal:       1048576 kB\n" in text


@pytest.mark.parametrize(
    ("asked", "seen", "online"),
    [
        (HostConfig(nano_cpus=1_500_000_000), [0, 1], "0-1"),
        (HostConfig(nano_cpus=500_000_000), [0], "0"),
        (HostConfig(cpu_quota=250_000, cpu_period=100_000), [0, 1, 2], "0-2"),
        (HostConfig(cpuset_cpus="1,3"), [1, 3], "1,3"),
        (HostConfig(cpuset_cpus="1-3", nano_cpus=2_000_000_000), [1, 2], "1-2"),
    ],
)
def test_processors_are_those_of_the_set_as_many_as_the_quota(
    host: Path, asked: HostConfig, seen: list[int], online: str
) -> None:
    rows = limits_view.texts(asked, host)
    assert rows[limits_view.ONLINE] == online + "\n"
    blocks = [f"processor\t: {n}\nmodel name\t: Z{n}\n\n" for n in seen]
    assert rows[limits_view.CPUINFO] == "".join(blocks)
    lines = [line.split() for line in rows[limits_view.STAT].splitlines()]
    assert [line[0] for line in lines[: len(seen) + 1]] == ["cpu", *(f"cpu{n}" for n in seen)]
    assert {len(line) for line in lines[: len(seen) + 1]} == {11}
    others = [["intr", "4711"], ["ctxt", "12"], ["btime", "1795970678"], ["processes", "99"]]
    assert lines[len(seen) + 1 :][:4] == others


def test_without_limits_nothing_is_covered(host: Path, tmp_path: Path) -> None:
    assert limits_view.texts(HostConfig(cpu_quota=-1), host) == {}
    config = spec.Spec(oci_version="1.2.0")
    assert limits_view.cover(config, HostConfig(annotations=SHOWN), tmp_path) == (config, [])
    assert limits_view.cover(config, HostConfig(memory=1 << 30), tmp_path) == (config, [])


def test_hints_are_for_variables_that_nobody_has_set(host: Path) -> None:
    asked = HostConfig(nano_cpus=2_000_000_000, annotations={limits_view.HINTS: "true"})
    env = limits_view.hints(asked, ["OMP_NUM_THREADS=7", "A=1"])
    assert env[:2] == ["OMP_NUM_THREADS=7", "A=1"]
    assert "OPENBLAS_NUM_THREADS=2" in env and len(env) == 1 + len(limits_view.VARIABLES)
    assert limits_view.hints(HostConfig(annotations={limits_view.HINTS: "true"}), env[:1]) == env[:1]
    assert limits_view.hints(HostConfig(nano_cpus=1), env[:1]) == env[:1]


@pytest.mark.parametrize(("limit", "size"), [(2047 << 20, 64 << 20), (2 << 30, 512 << 20), (16 << 30, 4 << 30)])
def test_shared_memory_is_a_quarter_of_a_large_limit(limit: int, size: int) -> None:
    assert create.defaults(HostConfig(memory=limit)).shm_size == size
    assert create.defaults(HostConfig(memory=limit, shm_size=1 << 20)).shm_size == 1 << 20


@pytest.mark.parametrize(
    "words",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ...",
        "worker out of shared memory",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_3_36_0>: No space left on device (28)",
    ],
)
def test_a_bus_error_is_explained(words: str) -> None:
    for cause in (causes.of_text(words), causes.of_code(135)):
        assert cause is not None and "/dev/shm is full" in cause.title and "--shm-size" in cause.remedy


@pytest.mark.parametrize("cause", [causes.of_code(125), causes.of_text("docker: exit status 125")])
def test_the_engine_s_own_code_is_explained(cause: causes.Cause | None) -> None:
    assert cause is not None and cause.title == "the container could not be made" and "--explain" in cause.remedy


@pytest.mark.parametrize(
    ("word", "title"),
    [
        ("OOM", "out of memory"),
        ("exec format", "exec format error"),
        ("shebang", "no such command, interpreter or loader"),
        ("seccomp", "a capability or the system call filter is in the way"),
        ("Capability", "a capability or the system call filter is in the way"),
        ("port", "a port is taken"),
        ("DNS", "a name could not be resolved"),
        ("weather", None),
    ],
)
def test_a_topic_is_explained_by_its_name(word: str, title: str | None) -> None:
    cause = causes.of_topic(word)
    assert (cause and cause.title) == title
