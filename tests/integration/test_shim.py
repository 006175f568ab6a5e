"""The shim's promises about the container's end: exit status, last output, who cleans up; and about itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.engine import limits_view
from minidock.runtime import attach, shim
from tests.support.shim import Shim, children, wait_for

Start = Callable[..., Shim]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Shim] = []

    def begin(command: str, **options: Any) -> Shim:
        started.append(Shim(tmp_path, command, **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


# how it ends


@pytest.mark.parametrize(
    ("command", "code", "number"),
    [("true", 0, 0), ("exit 7", 7, 0), ("exit 255", 255, 0), ("kill -KILL $$", 137, 9), ("kill -TERM $$", 143, 15)],
)
def test_exit_status_is_in_the_file_and_in_the_last_frame(start: Start, command: str, code: int, number: int) -> None:
    one = start(command)
    assert one.output() == (b"", b"", code)
    found = one.exit()
    assert (found.exit_code, found.signal) == (code, number)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", found.finished_at)


def test_a_command_that_ends_at_once_is_never_missed(start: Start, tmp_path: Path) -> None:
    for number in range(30):
        directory = tmp_path / str(number)
        directory.mkdir()
        one = Shim(directory, f"exit {number}")
        assert one.output() == (b"", b"", number)
        one.close()


def test_output_of_the_last_moment_comes_before_the_exit(start: Start) -> None:
    one = start("head -c 60000 /dev/zero; echo last >&2; kill -KILL $$")
    assert one.output() == (bytes(60000), b"last\n", 137)


def test_a_surviving_grandchild_delays_the_exit_only_briefly(start: Start) -> None:
    one = start("sleep 50 & echo here; exit 3")
    begun = time.monotonic()
    assert one.output() == (b"here\n", b"", 3)
    assert time.monotonic() - begun < 20


def test_a_grandchild_that_never_stops_writing_does_not_keep_the_container_alive(start: Start) -> None:
    one = start("setsid yes & exit 3")
    out, _, code = one.output()
    assert code == 3
    assert len(out) < 16 << 20


def test_orphans_of_the_container_are_reaped(start: Start) -> None:
    one = start("(sleep 0.1 & echo $!; exec sleep 0.2) | head -1; sleep 0.3; cat")
    orphan = int(one.until(b"\n"))
    wait_for(lambda: not Path(f"/proc/{orphan}").exists())
    assert len(children(one.pid)) == 1
    one.send(attach.CLOSE_STDIN)
    assert one.output()[2] == 0


# who cleans up


def test_without_an_owner_the_shim_becomes_the_cleanup_command(start: Start) -> None:
    one = start("exit 3")
    shim_pid = one.pid
    assert one.wait() == 0
    pid, _parent = one.cleaned.read_text().split()
    assert int(pid) == shim_pid


def test_the_cleanup_command_inherits_nothing(start: Start, tmp_path: Path) -> None:
    facts = tmp_path / "facts"
    script = f"{{ ls -l /proc/self/fd; pwd; grep -E 'Sig(Blk|Ign)' /proc/self/status; }} > {facts}"
    one = start("true", cleanup=["/bin/sh", "-c", script])
    assert one.wait() == 0
    told = facts.read_text()
    descriptors = re.findall(r" (\d+) -> (\S+)", told)
    assert [number for number, _ in descriptors] == ["0", "1", "2", "3"], told  # 3 is ls's own
    assert descriptors[0][1] == descriptors[2][1] == "/dev/null"
    assert "\n/\n" in told
    assert re.search(r"SigBlk:\s0+$", told, re.M)
    assert re.search(r"SigIgn:\s0+$", told, re.M)


def test_an_owner_has_all_the_time_it_needs(start: Start) -> None:
    one = start("exit 3", owner=True)
    assert one.output()[2] == 3
    time.sleep(0.3)
    assert not one.ended()
    assert not one.cleaned.exists()


def test_an_owner_that_has_removed_the_run_directory_is_believed(start: Start) -> None:
    one = start("exit 3", owner=True)
    assert one.output()[2] == 3
    for path in one.dir.iterdir():
        path.unlink()
    one.dir.rmdir()
    one.dir.mkdir()  # the container has been started again in the meantime: not our directory any more
    assert one.client is not None
    one.client.close()
    assert one.wait() == 0
    assert not one.cleaned.exists()


def test_an_owner_that_dies_is_replaced(start: Start) -> None:
    one = start("exit 3", owner=True)
    assert one.output()[2] == 3
    assert one.client is not None
    one.client.close()
    assert one.wait() == 0
    assert one.cleaned.exists()


def test_an_owner_that_dies_before_the_exit_is_replaced(start: Start) -> None:
    one = start("sleep 0.2", owner=True)
    assert one.client is not None
    one.client.close()
    assert one.wait() == 0
    assert one.cleaned.exists()


def test_an_owner_may_take_its_promise_back(start: Start) -> None:
    one = start("exit 3", owner=True)
    assert one.output()[2] == 3
    one.send(attach.OWNER, b"\0")
    assert one.wait() == 0
    assert one.cleaned.exists()


def test_a_promise_sent_before_the_shim_looked_counts(start: Start, tmp_path: Path) -> None:
    """The frame may lie in the socket when the container has already ended."""
    for number in range(20):
        directory = tmp_path / str(number)
        directory.mkdir()
        one = Shim(directory, "true", owner=True)
        assert one.output()[2] == 0
        time.sleep(0.01)
        assert not one.ended(), "the shim did not wait for its owner"
        one.close()


def test_a_late_client_gets_the_exit_code(start: Start) -> None:
    one = start("exit 3", owner=True)
    assert one.output()[2] == 3
    assert attach.wait(one.connect()) == 3


# the process itself


def test_it_shows_its_name_and_the_id(start: Start) -> None:
    one = start("cat")
    one.send(attach.STDIN, b"x\n")
    one.until(b"x\n")
    assert Path(f"/proc/{one.pid}/comm").read_text() == "minidock:[shim]\n"
    assert Path(f"/proc/{one.pid}/cmdline").read_bytes().rstrip(b"\0") == b"minidock:[shim] 0123456789ab"
    assert os.readlink(f"/proc/{one.pid}/cwd") == "/"
    assert os.getsid(one.pid) == one.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1])
def test_signals_do_not_end_it(start: Start, number: int) -> None:
    one = start("cat")
    one.send(attach.STDIN, b"x\n")
    one.until(b"x\n")
    os.kill(one.pid, number)
    one.send(attach.STDIN, b"y\n")
    one.until(b"y\n")
    one.send(attach.CLOSE_STDIN)
    assert one.output()[2] == 0


MEMINFO = """MemTotal:         524288 kB
MemFree:          524288 kB
MemAvailable:     524288 kB
Buffers:               0 kB
Cached:                0 kB
Active(file):          0 kB
SwapTotal:        262144 kB
SwapFree:         262144 kB
HugePages_Total:       0
"""
VERSIONS = {
    2: {
        "memory.current": "104857600\n",
        "memory.swap.current": "1048576\n",
        "memory.stat": "anon 9\nfile 52428800\ninactive_file 20971520\nactive_file 10485760\nshmem 0\n",
        "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 1000000\nnr_periods 0\n",
    },
    1: {
        "memory.usage_in_bytes": "104857600\n",
        "memory.stat": "cache 1\ninactive_file 1\nactive_file 1\nshmem 1\nswap 1\ntotal_cache 52428800\n"
        "total_swap 1048576\ntotal_inactive_file 20971520\ntotal_active_file 10485760\n",
        "cpu.stat": "nr_periods 0\n",
        "cpuacct.stat": "user 300\nsystem 100\n",
    },
}


@pytest.mark.parametrize("version", [1, 2])
def test_the_files_that_show_limits_tell_what_is_used(start: Start, tmp_path: Path, version: int) -> None:
    """Each number in its column: the length never changes, whatever is written. Both kinds of cgroups."""
    (tmp_path / "cgroup").mkdir()
    for name, text in VERSIONS[version].items():
        (tmp_path / "cgroup" / name).write_text(text)
    (tmp_path / "run").mkdir()
    memory, stat = tmp_path / "run/view-meminfo", tmp_path / "run/view-stat"
    memory.write_text(MEMINFO)
    stat.write_text(limits_view.statistics(Path("/proc/stat").read_text(), [0, 1]))
    sizes = [memory.stat().st_size, stat.stat().st_size]
    start("sleep 1000", view=shim.View(str(tmp_path / "cgroup"), str(tmp_path / "cgroup")))

    def seen() -> dict[str, list[str]]:
        return {words[0]: words[1:] for words in map(str.split, (memory.read_text() + stat.read_text()).splitlines())}

    wait_for(lambda: seen()["cpu0"][0] != "0")
    first = seen()
    shown = {name.strip(":"): int(row[0]) for name, row in first.items() if name.endswith(":")}
    assert shown["MemFree"] == 524288 - 102400 and shown["MemAvailable"] == 524288 - 102400 + 20480 + 10240
    assert (shown["Cached"], shown["Active(file)"], shown["SwapFree"]) == (51200, 10240, 262144 - 1024)
    assert shown["MemTotal"] == 524288 and shown["HugePages_Total"] == 0
    assert first["cpu0"][:3] == first["cpu1"][:3] == ["150", "0", "50"]  # four seconds on two processors
    assert first["cpu"][:3] == ["300", "0", "100"] and int(first["cpu0"][3]) > 0
    wait_for(lambda: int(seen()["cpu0"][3]) >= int(first["cpu0"][3]) + 50)  # idle, as it is
    assert seen()["cpu0"][:3] == first["cpu0"][:3] and int(seen()["btime"][0]) == int(first["btime"][0])
    assert [memory.stat().st_size, stat.stat().st_size] == sizes


def test_it_takes_little_memory(start: Start) -> None:
    one = start("cat")
    one.send(attach.STDIN, b"x\n")
    one.until(b"x\n")
    rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)
    assert found is not None
    assert int(found[1]) < 1024, rollup


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "needed: --id, --dir (absolute), --pid"),
        (["--id", "x", "--dir", "relative", "--pid", "1"], "needed: --id, --dir (absolute), --pid"),
        (["--id", "x", "--dir", "/", "--pid", "1"], "not our child"),
        (["--id", "x", "--dir", "/no/such/directory", "--pid", "1"], "can't open /no/such/directory"),
        (["--pid", "1x"], "no number after --pid"),
        (["--pid"], "no value after --pid"),
        (["--listen-fd", "77"], "no open descriptor above 2 after --listen-fd"),
        (["--stdout-fd", "1"], "no open descriptor above 2 after --stdout-fd"),
        (["--cleanup"], "no command after --cleanup"),
        (["--colour", "blue"], "unknown option --colour"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], complaint: str) -> None:
    result = subprocess.run([shim.PROGRAM, *arguments], capture_output=True, text=True)
    assert result.returncode == 125
    assert result.stderr.startswith(f"minidock-shim: {complaint}")
