"""Each limit of the OCI spec, as the writes that it becomes on version 1 and on version 2, in order."""

from pathlib import Path
from typing import Any

import pytest

from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.kernel import blkio, cpu, cpuset, memory
from minidock.kernel.cgroup_files import Cgroup, WriteFirstOf, unified
from minidock.kernel.cgroups import plan
from minidock.spec import (
    BlockIo,
    Cpu,
    HugepageLimit,
    InterfacePriority,
    Memory,
    NetworkResources,
    Pids,
    RdmaLimit,
    Resources,
    ThrottleDevice,
    WeightDevice,
)
from minidock.steps import Live
from tests.support import cgroups as fake

MIB = 1 << 20
Writes = list[tuple[str, str]]


def wanted(**resources: Any) -> Resources:
    return Resources(**resources)


def on_both(tmp_path: Path, resources: Resources) -> tuple[Writes, Writes]:
    """The writes on a v1 and on a v2 host, without those of the device filter; checked against files there."""
    results = []
    for hierarchies in (fake.v1(tmp_path / "1"), fake.v2(tmp_path / "2")):
        steps = [
            step for step in plan(hierarchies, "/minidock/x", resources).before if "devices" not in step.describe()
        ]
        fake.apply([step for step in steps if not step.describe().startswith(("make", "hand", "let the cgroup"))])
        results.append(fake.writes(steps))
    return results[0], results[1]


CASES: list[tuple[str, Resources, Writes, Writes]] = [
    (
        "memory with Docker's swap",
        wanted(memory=Memory(limit=64 * MIB, swap=128 * MIB)),
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "134217728")],
        [("memory.max", "67108864"), ("memory.swap.max", "67108864")],
    ),
    (
        "no swap",
        wanted(memory=Memory(limit=64 * MIB, swap=64 * MIB)),
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "67108864")],
        [("memory.max", "67108864"), ("memory.swap.max", "0")],
    ),
    (
        "any swap",
        wanted(memory=Memory(limit=64 * MIB, swap=-1)),
        [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.max", "67108864"), ("memory.swap.max", "max")],
    ),
    (
        "memory without a word about swap",
        wanted(memory=Memory(limit=64 * MIB)),
        [("memory.limit_in_bytes", "67108864")],
        [("memory.max", "67108864")],
    ),
    (
        "no limit takes swap along",
        wanted(memory=Memory(limit=-1)),
        [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")],
        [("memory.max", "max"), ("memory.swap.max", "max")],
    ),
    (
        "reservation",
        wanted(memory=Memory(reservation=32 * MIB)),
        [("memory.soft_limit_in_bytes", "33554432")],
        [("memory.low", "33554432")],
    ),
    ("a hierarchy", wanted(memory=Memory(use_hierarchy=True)), [("memory.use_hierarchy", "1")], []),
    ("Docker's unset swappiness", wanted(memory=Memory(swappiness=(1 << 64) - 1)), [], []),
    (
        "shares",
        wanted(cpu=Cpu(shares=512)),
        [("cpu.shares", "512")],
        [("cpu.weight", "20")],
    ),
    (
        "quota and period",
        wanted(cpu=Cpu(quota=50_000, period=100_000)),
        [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")],
        [("cpu.max", "50000 100000")],
    ),
    ("quota alone", wanted(cpu=Cpu(quota=150_000)), [("cpu.cfs_quota_us", "150000")], [("cpu.max", "150000 100000")]),
    ("period alone", wanted(cpu=Cpu(period=50_000)), [("cpu.cfs_period_us", "50000")], [("cpu.max", "max 50000")]),
    ("no quota", wanted(cpu=Cpu(quota=-1)), [("cpu.cfs_quota_us", "-1")], [("cpu.max", "max 100000")]),
    (
        "burst and idle are taken back by 0, and idle before the weight",
        wanted(cpu=Cpu(shares=2, burst=0, idle=0)),
        [("cpu.idle", "0"), ("cpu.shares", "2"), ("cpu.cfs_burst_us", "0")],
        [("cpu.idle", "0"), ("cpu.weight", "1"), ("cpu.max.burst", "0")],
    ),
    (
        "burst and idle come last",
        wanted(cpu=Cpu(shares=2, quota=50_000, burst=10_000, idle=1)),
        [("cpu.shares", "2"), ("cpu.cfs_quota_us", "50000"), ("cpu.cfs_burst_us", "10000"), ("cpu.idle", "1")],
        [("cpu.weight", "1"), ("cpu.max", "50000 100000"), ("cpu.max.burst", "10000"), ("cpu.idle", "1")],
    ),
    (
        "cpuset",
        wanted(cpu=Cpu(cpus="0-1", mems="0")),
        [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
        [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
    ),
    ("pids", wanted(pids=Pids(limit=100)), [("pids.max", "100")], [("pids.max", "100")]),
    ("no pids limit", wanted(pids=Pids(limit=-1)), [("pids.max", "max")], [("pids.max", "max")]),
    (
        "throttles",
        wanted(
            block_io=BlockIo(
                throttle_read_bps_device=[ThrottleDevice(8, 0, MIB)],
                throttle_write_bps_device=[ThrottleDevice(8, 0, 2 * MIB)],
                throttle_read_iops_device=[ThrottleDevice(8, 16, 100)],
                throttle_write_iops_device=[ThrottleDevice(8, 16, 0)],
            )
        ),
        [
            ("blkio.throttle.read_bps_device", "8:0 1048576"),
            ("blkio.throttle.write_bps_device", "8:0 2097152"),
            ("blkio.throttle.read_iops_device", "8:16 100"),
            ("blkio.throttle.write_iops_device", "8:16 0"),
        ],
        [
            ("io.max", "8:0 rbps=1048576"),
            ("io.max", "8:0 wbps=2097152"),
            ("io.max", "8:16 riops=100"),
            ("io.max", "8:16 wiops=max"),
        ],
    ),
    (
        "huge pages",
        wanted(hugepage_limits=[HugepageLimit("2MB", 4 * MIB)]),
        [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
        [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    ),
    (
        "rdma",
        wanted(rdma={"mlx4_0": RdmaLimit(2, 2000), "odd": RdmaLimit()}),
        [("rdma.max", "mlx4_0 hca_handle=2 hca_object=2000")],
        [("rdma.max", "mlx4_0 hca_handle=2 hca_object=2000")],
    ),
    ("nothing", Resources(), [], []),
    ("empty structs", wanted(memory=Memory(), cpu=Cpu(), block_io=BlockIo(), network=NetworkResources()), [], []),
]


@pytest.mark.parametrize(("resources", "one", "two"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_writes(tmp_path: Path, resources: Resources, one: Writes, two: Writes) -> None:
    assert on_both(tmp_path, resources) == (one, two)


@pytest.mark.parametrize(("version", "file"), [("v1", "memory.usage_in_bytes"), ("v2", "memory.current")])
def test_a_limit_below_what_is_in_use_can_be_refused(tmp_path: Path, version: str, file: str) -> None:
    cgroup = Cgroup("/minidock/x", getattr(fake, version)(tmp_path))
    directory = Path(cgroup.need("memory", "look"))
    directory.mkdir(parents=True)
    held = Memory(check_before_update=True)
    for asked, before in ((Memory(limit=9 * MIB, check_before_update=True), None), (Memory(limit=9 * MIB), held)):
        first = memory.limits(cgroup, asked, before)[0]
        (directory / file).write_text(f"{8 * MIB}\n")
        first.apply(Live())
        (directory / file).write_text(f"{10 * MIB}\n")
        with pytest.raises(MinidockError, match=r"to 9437184 \(current usage: 10485760\)"):
            first.apply(Live())


V1_ONLY: list[tuple[Resources, Writes]] = [
    (wanted(memory=Memory(swappiness=0)), [("memory.swappiness", "0")]),
    (wanted(memory=Memory(disable_oom_killer=True)), [("memory.oom_control", "1")]),
    (wanted(memory=Memory(kernel_tcp=MIB)), [("memory.kmem.tcp.limit_in_bytes", "1048576")]),
    (wanted(cpu=Cpu(realtime_period=9, realtime_runtime=8)), [("cpu.rt_period_us", "9"), ("cpu.rt_runtime_us", "8")]),
    (wanted(network=NetworkResources(class_id=0x100001)), [("net_cls.classid", "1048577")]),
    (wanted(network=NetworkResources(priorities=[InterfacePriority("lo", 3)])), [("net_prio.ifpriomap", "lo 3")]),
]


@pytest.mark.parametrize(("resources", "one"), V1_ONLY)
def test_what_version_2_has_dropped_is_refused_there(tmp_path: Path, resources: Resources, one: Writes) -> None:
    on_v1 = plan(fake.v1(tmp_path / "1"), "/minidock/x", resources).before
    assert [pair for pair in fake.writes(on_v1) if not pair[0].startswith("devices.")] == one
    with pytest.raises(Unsupported):
        plan(fake.v2(tmp_path / "2"), "/minidock/x", resources)


REFUSED: list[tuple[Resources, str]] = [
    (wanted(memory=Memory(swap=MIB)), "You should always set the Memory limit"),
    (wanted(memory=Memory(limit=-1, swap=MIB)), "You should always set the Memory limit"),
    (wanted(memory=Memory(limit=2 * MIB, swap=MIB)), "Minimum memoryswap limit should be larger"),
    (wanted(memory=Memory(limit=-2)), "-2 is no number of bytes"),
    (wanted(memory=Memory(kernel=MIB)), "can't limit kernel memory by itself"),
    (wanted(memory=Memory(swappiness=101)), "valid memory swappiness range is 0-100"),
    (wanted(cpu=Cpu(shares=-5)), "invalid CPU shares"),
    (wanted(cpu=Cpu(cpus="0-x")), "Invalid value 0-x for cpuset cpus"),
    (wanted(cpu=Cpu(cpus="3-1")), "Invalid value 3-1 for cpuset cpus"),
    (wanted(cpu=Cpu(mems="-1")), "Invalid value -1 for cpuset mems"),
    (wanted(cpu=Cpu(cpus="0-9")), r"Requested CPUs are not available - requested 0-9, available: 0-3"),
    (wanted(block_io=BlockIo(weight=5)), "Range of blkio weight is from 10 to 1000"),
    (wanted(block_io=BlockIo(leaf_weight=50)), "leaf weight"),
    (wanted(hugepage_limits=[HugepageLimit("2MB", -3)]), "-3 is no number of bytes"),
    (wanted(hugepage_limits=[HugepageLimit("../x", 1)]), "not a huge page size"),
    (wanted(unified={"memory": "1"}), "'memory' must be in the form CONTROLLER.PARAMETER"),
    (wanted(unified={"../memory.max": "1"}), "'../memory.max' must be a file name"),
    (wanted(unified={"nonsense.max": "1"}), "controller 'nonsense' not available"),
]


@pytest.mark.parametrize(("resources", "message"), REFUSED, ids=[case[1] for case in REFUSED])
def test_refused_before_anything_is_made(tmp_path: Path, resources: Resources, message: str) -> None:
    hierarchies = fake.v2(tmp_path)
    (tmp_path / "cpuset.cpus.effective").write_text("0-3\n")
    (tmp_path / "cpuset.mems.effective").write_text("0\n")
    with pytest.raises(MinidockError, match=message):
        plan(hierarchies, "/minidock/x", resources)
    assert not (tmp_path / "minidock").exists()


@pytest.mark.parametrize(
    ("resources", "controller"),
    [
        (wanted(memory=Memory(limit=MIB)), "memory"),
        (wanted(cpu=Cpu(shares=100)), "cpu"),
        (wanted(cpu=Cpu(cpus="0")), "cpuset"),
        (wanted(pids=Pids(limit=5)), "pids"),
        (wanted(block_io=BlockIo(weight=500)), "io"),
        (wanted(hugepage_limits=[HugepageLimit("2MB", 0)]), "hugetlb"),
        (wanted(rdma={"mlx": RdmaLimit(1)}), "rdma"),
    ],
)
def test_a_limit_without_its_controller_is_an_error_that_names_it(
    tmp_path: Path, resources: Resources, controller: str
) -> None:
    hierarchies = fake.v2(tmp_path)
    bare = type(hierarchies)(v2_mount=hierarchies.v2_mount)
    with pytest.raises(Unsupported, match=f"this host has no {controller} controller"):
        plan(bare, "/minidock/x", resources)


def test_no_limit_needs_no_controller(tmp_path: Path) -> None:
    bare = type(fake.v2(tmp_path))(v2_mount=str(tmp_path))
    nothing = wanted(memory=Memory(limit=-1, swap=-1), cpu=Cpu(quota=-1), pids=Pids(limit=-1))
    assert fake.writes(plan(bare, "/minidock/x", nothing).before) == []


def test_hybrid_writes_each_limit_where_its_controller_lives(tmp_path: Path) -> None:
    resources = wanted(memory=Memory(limit=MIB), hugepage_limits=[HugepageLimit("2MB", 0)], pids=Pids(limit=7))
    before = plan(fake.hybrid(tmp_path), "/minidock/x", resources).before
    files = [getattr(step, "file", "").removeprefix(f"{tmp_path}/") for step in before]
    assert [file for file in files if file] == [
        "memory/minidock/x/memory.limit_in_bytes",
        "pids/minidock/x/pids.max",
        "unified/minidock/x/hugetlb.2MB.max",
        "unified/minidock/x/hugetlb.2MB.rsvd.max",
    ]


def test_raising_memory_starts_with_the_outer_limit(tmp_path: Path) -> None:
    """The kernel refuses memory above memory+swap at any moment, so a running container is raised from outside in."""
    cgroup = Cgroup("/a", fake.v1(tmp_path))
    old, new = Memory(limit=MIB, swap=2 * MIB), Memory(limit=4 * MIB, swap=8 * MIB)
    assert [name for name, _ in fake.writes(memory.limits(cgroup, new, old))] == [
        "memory.memsw.limit_in_bytes",
        "memory.limit_in_bytes",
    ]
    lowered = Memory(limit=MIB // 2, swap=MIB // 2)
    assert next(name for name, _ in fake.writes(memory.limits(cgroup, lowered, old))) == "memory.limit_in_bytes"


@pytest.mark.parametrize("swap", [None, -1, 128 * MIB])
def test_a_kernel_that_counts_no_swap_keeps_what_docker_adds_by_itself(tmp_path: Path, swap: int | None) -> None:
    steps = memory.limits(Cgroup("/a", fake.v2(tmp_path)), Memory(limit=64 * MIB, swap=swap))
    assert all(getattr(step, "default", False) for step in steps if "swap" in step.describe())


def test_but_a_swap_limit_that_was_asked_for_must_hold(tmp_path: Path) -> None:
    cgroup = Cgroup("/a", fake.v2(tmp_path))
    *_, step = memory.limits(cgroup, Memory(limit=64 * MIB, swap=64 * MIB))
    (tmp_path / "a").mkdir()
    with pytest.raises(Unsupported, match=r"no memory\.swap\.max"):
        step.apply(Live())


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 1), (2, 1), (3, 1), (512, 20), (1024, 39), (2048, 79), (262_144, 10_000), (1 << 20, 10_000)],
)
def test_weight_for_shares(shares: int, weight: int) -> None:
    assert cpu.weight(shares) == weight


@pytest.mark.parametrize(("docker", "kernel"), [(10, 1), (100, 910), (500, 4950), (1000, 10_000)])
def test_io_weight(docker: int, kernel: int) -> None:
    assert blkio.io_weight(docker) == kernel


def test_weights_go_to_whichever_file_the_kernel_has(tmp_path: Path) -> None:
    io = BlockIo(weight=500, weight_device=[WeightDevice(8, 0, 100)])
    for hierarchies, names in (
        (
            fake.v1(tmp_path / "1"),
            [["blkio.bfq.weight", "blkio.weight"], ["blkio.bfq.weight_device", "blkio.weight_device"]],
        ),
        (fake.v2(tmp_path / "2"), [["io.bfq.weight", "io.weight"], ["io.bfq.weight", "io.weight"]]),
    ):
        steps = [step for step in blkio.limits(Cgroup("/a", hierarchies), io) if isinstance(step, WriteFirstOf)]
        assert [[Path(file).name for file, _ in step.choices] for step in steps] == names
    values = [[value for _, value in step.choices] for step in steps]
    assert values == [["500", "default 4950"], ["8:0 100", "8:0 910"]]


def test_unified_writes_raw_files_of_cgroup2(tmp_path: Path) -> None:
    steps = unified(Cgroup("/a", fake.v2(tmp_path)), {"memory.high": "1048576", "cgroup.max.depth": "3"})
    assert fake.writes(steps) == [("memory.high", "1048576"), ("cgroup.max.depth", "3")]
    with pytest.raises(Unsupported, match=r"'memory\.high' can't be set: controller 'memory' not available"):
        unified(Cgroup("/a", fake.hybrid(tmp_path / "h")), {"memory.high": "1"})


@pytest.mark.parametrize(
    ("text", "numbers"), [("0", {0}), ("0-3", {0, 1, 2, 3}), ("0,2-3\n", {0, 2, 3}), (" 1 , 4", {1, 4})]
)
def test_lists_of_processors(text: str, numbers: set[int]) -> None:
    assert cpuset.parse(text) == numbers


@pytest.mark.parametrize("text", ["", ",", "a", "1-", "-1", "2-1", "0-99999999"])
def test_lists_that_are_not(text: str) -> None:
    with pytest.raises(UsageError):
        cpuset.parse(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1, "any size"),
        (100, "100 bytes"),
        (1024, "1 KiB"),
        (64 * MIB, "64 MiB"),
        (1536 * MIB, "1.5 GiB"),
        (1 << 40, "1 TiB"),
    ],
)
def test_sizes_for_people(value: int, text: str) -> None:
    assert memory.size(value) == text
