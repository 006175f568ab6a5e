"""What the kernel promises for each limit, seen from inside the cgroup. One promise a test."""

import os
import re
from pathlib import Path

import pytest

from minidock.errors import Unsupported
from minidock.kernel import cgroup_stats, memory, oom
from minidock.spec import BlockIo, Cpu, HugepageLimit, Memory, Pids, Resources, ThrottleDevice
from tests.support.cgroups import Group
from tests.support.needs import IN_VM, require_root

pytestmark = pytest.mark.vm
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


TOUCH_64 = "print(len(b'x' * (64 << 20)))"


@pytest.mark.parametrize("swap", [None, 32 * MIB, 64 * MIB, -1])
def test_who_wants_more_memory_than_the_limit_is_killed_and_it_is_told(swap: int | None) -> None:
    with Group(Resources(memory=Memory(limit=32 * MIB, swap=swap))) as group:
        status, said = group.run(TOUCH_64)
        assert (status, said) == (-9, "")
        report = oom.explain(group.path)
        assert report is not None
        assert report.kills == 1
        told = r"killed by the kernel: memory limit 32 MiB, peak 3[12](\.\d)? MiB, process python\S* \(pid \d+\)"
        assert re.fullmatch(told, report.sentence())
        assert report.pid == group.started[0].pid
    assert oom.explain(group.path) is None


def test_enough_memory_is_enough() -> None:
    with Group(Resources(memory=Memory(limit=256 * MIB, reservation=64 * MIB))) as group:
        assert group.run(TOUCH_64) == (0, str(64 << 20))
        facts = memory.read(group.cgroup)
        assert facts["limit"] == 256 * MIB
        assert (facts["peak"] or 0) >= 64 * MIB
        assert oom.explain(group.path) is None


def test_fork_fails_when_the_cgroup_is_full() -> None:
    code = """
for count in range(20):
    try:
        if os.fork() == 0:
            time.sleep(600)
    except OSError as error:
        print(count, errno.errorcode[error.errno], flush=True)
        break
"""
    with Group(Resources(pids=Pids(limit=5))) as group:
        child = group.start(code)
        assert child.stdout is not None
        assert child.stdout.readline() == "4 EAGAIN\n"
        facts = cgroup_stats.read(group.path)["pids"]
        assert (facts["limit"], facts["refused"]) == (5, 1)


def test_a_tenth_of_a_processor_is_a_tenth() -> None:
    """100 ms of work take nine periods of 100 ms or more, however idle the machine is."""
    work = """
begun, used = time.monotonic(), time.process_time()
while time.process_time() < used + 0.1:
    pass
print(time.monotonic() - begun)
"""
    with Group(Resources(cpu=Cpu(quota=10_000, period=100_000))) as group:
        status, seconds = group.run(work)
        facts = cgroup_stats.read(group.path)["cpu"]
        assert status == 0
        assert float(seconds) > 0.8
        assert facts["limit"] == 0.1
        assert facts["throttled"] > 0
        assert facts["throttled_time"] > 0


def test_shares_arrive() -> None:
    with Group(Resources(cpu=Cpu(shares=512))) as group:
        directory, two = group.cgroup.need("cpu", "look"), group.cgroup.version("cpu") == 2
        text = Path(directory, "cpu.weight" if two else "cpu.shares").read_text()
        assert text == ("20\n" if two else "512\n")


def test_a_cpuset_is_where_the_process_may_run() -> None:
    with Group(Resources(cpu=Cpu(cpus="0", mems="0"))) as group:
        assert group.run("print(os.sched_getaffinity(0))") == (0, "{0}")


def test_without_a_cpuset_it_may_run_where_its_parent_may() -> None:
    with Group() as group:
        assert group.run("print(len(os.sched_getaffinity(0)))") == (0, str(len(os.sched_getaffinity(0))))


def test_huge_pages_are_limited_wherever_their_controller_is() -> None:
    """On a hybrid host that may be cgroup2, while memory is on version 1."""
    with Group(Resources(hugepage_limits=[HugepageLimit("2MB", 4 * MIB)])) as group:
        directory = group.cgroup.need("hugetlb", "look")
        name = "hugetlb.2MB.max" if group.cgroup.version("hugetlb") == 2 else "hugetlb.2MB.limit_in_bytes"
        assert Path(directory, name).read_text() == f"{4 * MIB}\n"


def test_raw_files_of_cgroup2_are_written_on_every_host_that_has_it() -> None:
    with Group(Resources(unified={"cgroup.max.depth": "3"})) as group:
        assert Path(f"{group.cgroup.v2}/cgroup.max.depth").read_text() == "3\n"


def test_swappiness_is_set_on_version_1_and_refused_on_version_2() -> None:
    resources = Resources(memory=Memory(swappiness=7))
    if Group().cgroup.version("memory") == 2:
        with pytest.raises(Unsupported, match="only cgroup version 1 can"):
            Group(resources)
        return
    with Group(resources) as group:
        assert Path(group.cgroup.need("memory", "look"), "memory.swappiness").read_text() == "7\n"


def test_a_value_that_the_kernel_refuses_is_told_with_file_and_value_and_undone() -> None:
    group = Group(Resources(cpu=Cpu(quota=5, period=100_000)))
    with pytest.raises(Exception, match=r"can't limit processor time to 5e-05 cpus.*write\(.*EINVAL"):
        group.__enter__()
    assert not any(os.path.exists(directory) for directory in group.cgroup.directories)


def test_counters_know_who_is_there() -> None:
    with Group() as group:
        group.start("time.sleep(60)")
        facts = cgroup_stats.facts(group.path)
        assert facts["processes"] == [group.started[0].pid]
        assert facts["state"] == "running"
        assert facts["pids"]["current"] == 1
        assert facts["memory"]["limit"] == -1
        assert facts["cpu"]["limit"] is None
        assert len(facts["devices"]["programs"]) == 1


def whole_disk() -> tuple[int, int]:
    for name in sorted(os.listdir("/sys/block")):
        if not name.startswith(("loop", "ram")):
            major, _, minor = Path(f"/sys/block/{name}/dev").read_text().partition(":")
            return int(major), int(minor)
    pytest.skip("needs the feature disk")


def test_throttles_arrive() -> None:
    if IN_VM:
        return  # the guest's files come over 9p: it has no disk
    major, minor = whole_disk()
    throttle = ThrottleDevice(major, minor, 3 * MIB)
    with Group(Resources(block_io=BlockIo(weight=300, throttle_write_bps_device=[throttle]))) as group:
        if group.cgroup.version("io") == 2:
            text = Path(f"{group.cgroup.v2}/io.max").read_text()
            assert f"{major}:{minor} rbps=max wbps={3 * MIB}" in text
        else:
            file = Path(group.cgroup.need("blkio", "look"), "blkio.throttle.write_bps_device")
            assert file.read_text() == f"{major}:{minor} {3 * MIB}\n"
