"""What makes life with data easier: limits that programs see, threads, shared memory and its bus error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool

FILL = """
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {  /* what a data loader does: a file in /dev/shm, larger than what is left there, mapped and written */
    int fd = open("/dev/shm/batch", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 4 << 20)) return 1;
    volatile char *batch = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (long at = 0; at < 4 << 20; at += 4096) batch[at] = 1;
    return 0;
}
"""


@pytest.fixture
def box(minidock: Minidock, busybox_image: Path) -> Iterator[Minidock]:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    yield minidock
    for name in minidock("ps", "-aq", check=True).stdout.split():
        minidock("rm", "-f", name, check=True)


def test_limits_are_shown_where_programs_look_and_follow_update(box: Minidock) -> None:
    script = "grep -E 'MemTotal|SwapTotal' /proc/meminfo; nproc; grep -c ^processor /proc/cpuinfo; "
    script += "cat /sys/devices/system/cpu/online"
    options = ("--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--show-limits")
    box("run", "-d", "--name", "limited", *options, "busybox", "sleep", "1000", check=True)
    seen = box("exec", "limited", "sh", "-c", script, check=True).stdout.splitlines()
    assert [line.split()[1] for line in seen[:2]] == ["65536", "0"]
    assert seen[3:5] == ["1", "0"]
    box("update", "--memory", "128m", "--memory-swap", "128m", "limited", check=True)
    seen = box("exec", "limited", "sh", "-c", script, check=True).stdout.splitlines()
    assert seen[0].split()[1] == "131072"
    used = "sleep 1.2; head -c 40000000 /dev/zero | tail -c 40000000 | (sleep 2.5; cat /proc/meminfo /proc/stat) "
    said = box("exec", "limited", "sh", "-c", used, check=True).stdout.splitlines()
    now = {words[0]: words[1:] for words in map(str.split, said)}
    assert 10_000 < int(now["MemFree:"][0]) < 131072 - 39_000, now["MemFree:"]
    assert [name for name in now if name.startswith("cpu")] == ["cpu", "cpu0"]
    assert sum(map(int, now["cpu0"][:3])) > 0 and int(now["cpu0"][3]) > 0, now["cpu0"]
    refused = box("exec", "limited", "sh", "-c", "echo x > /proc/meminfo")
    assert refused.returncode != 0 and "Read-only" in refused.stderr
    plain = box("run", "--rm", "--memory", "64m", "busybox", "grep", "MemTotal", "/proc/meminfo", check=True).stdout
    assert plain.strip() in Path("/proc/meminfo").read_text()


def test_threads_are_as_many_as_processors(box: Minidock) -> None:
    """In `exec` as well, and not where somebody has said another number."""
    options = ("--cpus", "1", "--thread-hints", "-e", "MKL_NUM_THREADS=3")
    script = "echo $OMP_NUM_THREADS $MKL_NUM_THREADS"
    box("run", "-d", "--name", "few", *options, "busybox", "sleep", "1000", check=True)
    assert box("exec", "few", "sh", "-c", script, check=True).stdout == "1 3\n"


def test_a_full_shared_memory_is_named_when_a_bus_error_comes_from_it(box: Minidock, tmp_path: Path) -> None:
    require_tool("gcc")
    (tmp_path / "fill.c").write_text(FILL)
    subprocess.run(["gcc", "-static", "-o", tmp_path / "fill", tmp_path / "fill.c"], check=True)
    mounted = ("-v", f"{tmp_path}/fill:/fill:ro", "busybox")
    ran = box("run", "--name", "short", "--shm-size", "1m", *mounted, "/fill")
    assert ran.returncode == 135
    word = "ended by a bus error (SIGBUS), as when /dev/shm is full: it has 1 MiB (--shm-size)"
    assert f"minidock: {word}\n" in ran.stderr
    assert box("inspect", "-f", "{{.State.Error}}", "short", check=True).stdout == f"{word}\n"
    assert "/dev/shm is full" in box("explain", "short", check=True).stdout
    assert box("run", "--rm", "--shm-size", "8m", *mounted, "/fill", check=True).stderr == ""


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
MOST = 90 << 10
"""Kibibytes of a command that moves a layer of 112 MiB; minidock itself takes some 40 of them."""


def test_a_big_layer_is_committed_saved_and_loaded_in_constant_memory(box: Minidock, tmp_path: Path) -> None:
    """Weights and data sets make layers of gigabytes. What can't be compressed, so that nothing is small on the way."""
    script = "dd if=/dev/urandom of=/weights bs=1M count=112 2>/dev/null; md5sum /weights"
    digest = box("run", "--name", "trained", "busybox", "sh", "-c", script, check=True).stdout
    archive = str(tmp_path / "image.tar")
    for words in (("commit", "trained", "weights"), ("save", "-o", archive, "weights"), ("load", "-i", archive)):
        if words[0] == "load":
            box("rm", "trained", check=True)
            box("rmi", "weights", check=True)
        ran = subprocess.run([sys.executable, "-c", PEAK, *box.command, *words], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert int(ran.stdout) < MOST, words
    assert box("run", "--rm", "weights", "md5sum", "/weights", check=True).stdout == digest
