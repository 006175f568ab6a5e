"""What `events` counts, on each version of cgroups."""

from __future__ import annotations

from pathlib import Path

from minidock.kernel.cgroup_files import Cgroup
from minidock.oci import counters
from tests.support import cgroups as fake

MIB = 1 << 20
NONE = (1 << 64) - 1


def written(cgroup: Cgroup, controller: str, files: dict[str, str]) -> None:
    directory = Path(cgroup.need(controller, "look"))
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text + "\n")


def test_version_2_counts_swap_alone_and_is_told_together(tmp_path: Path) -> None:
    cgroup = Cgroup("/minidock/x", fake.v2(tmp_path))
    memory = {"memory.max": f"{64 * MIB}", "memory.current": f"{5 * MIB}", "memory.peak": f"{9 * MIB}"}
    swap = {"memory.swap.max": f"{32 * MIB}", "memory.swap.current": f"{2 * MIB}"}
    pressure = "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7"
    written(cgroup, "memory", {**memory, **swap, "memory.pressure": pressure})
    assert counters.memory_entries(cgroup) == {
        "usage": {"limit": 64 * MIB, "usage": 5 * MIB, "max": 9 * MIB, "failcnt": 0},
        "swap": {"limit": 96 * MIB, "usage": 7 * MIB, "max": 9 * MIB, "failcnt": 0},
    }
    written(cgroup, "memory", {"memory.swap.max": "max"})
    assert counters.memory_entries(cgroup)["swap"]["limit"] == NONE
    psi = counters.pressure(cgroup, "memory")["psi"]
    assert psi["some"] == {"avg10": 1.5, "avg60": 0.0, "avg300": 0.25, "total": 77}
    assert psi["full"]["total"] == 7
    assert counters.processors(cgroup) == {}


def test_version_1_counts_each_kind_and_each_processor(tmp_path: Path) -> None:
    cgroup = Cgroup("/minidock/x", fake.v1(tmp_path))
    files = {f"{start}.limit_in_bytes": "9223372036854771712" for start in counters.MEMORY_V1.values()}
    written(cgroup, "memory", {**files, "memory.kmem.failcnt": "3", "memory.memsw.usage_in_bytes": "12"})
    found = counters.memory_entries(cgroup)
    assert (found["kernel"]["failcnt"], found["swap"]["usage"]) == (3, 12)
    assert {entry["limit"] for entry in found.values()} == {NONE}
    usage = {"cpuacct.usage_percpu": "30 7 ", "cpuacct.usage_all": "cpu user system\n0 10 20\n1 3 4"}
    written(cgroup, "cpuacct", usage)
    assert counters.processors(cgroup) == {"percpu": [30, 7], "percpu_kernel": [20, 4], "percpu_user": [10, 3]}
    assert counters.pressure(cgroup, "memory") == {}


def test_without_controllers_nothing_is_counted(tmp_path: Path) -> None:
    hierarchies = fake.v2(tmp_path)
    cgroup = Cgroup("/minidock/x", type(hierarchies)(v2_mount=hierarchies.v2_mount))
    assert counters.memory_entries(cgroup) == counters.processors(cgroup) == counters.pressure(cgroup, "cpu") == {}
