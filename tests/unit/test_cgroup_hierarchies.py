"""Which controller lives where, read from mountinfo."""

import subprocess
from pathlib import Path

import pytest

from minidock.errors import SystemCallFailed, Unsupported
from minidock.kernel.cgroup_files import (
    Cgroup,
    Hierarchies,
    WriteCgroupFile,
    WriteFirstOf,
    discover,
    read_number,
    read_table,
    read_text,
    write,
)
from minidock.steps import Live
from tests.support import cgroups as fake

V1_HOST = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 22 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:27 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,release_agent=/agent,name=systemd
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:14 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory
"""


def v2_line(mount: Path, root: str = "/") -> str:
    return f"35 31 0:40 {root} {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_version_1_with_two_controllers_in_one_hierarchy() -> None:
    found = discover(V1_HOST)
    assert found == Hierarchies(
        v1={
            "name=systemd": "/sys/fs/cgroup/systemd",
            "cpu": "/sys/fs/cgroup/cpu,cpuacct",
            "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
            "memory": "/sys/fs/cgroup/memory",
        }
    )
    cgroup = Cgroup("/minidock/x", found)
    assert cgroup.v2 is None
    assert cgroup.v1 == [
        "/sys/fs/cgroup/systemd/minidock/x",
        "/sys/fs/cgroup/cpu,cpuacct/minidock/x",
        "/sys/fs/cgroup/memory/minidock/x",
    ]


def test_version_2_lists_its_controllers_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    found = discover(v2_line(tmp_path))
    assert found == Hierarchies(v2_mount=str(tmp_path), v2_controllers=["cpuset", "cpu", "io", "memory", "pids"])
    assert Cgroup("/a", found).version("memory") == 2
    assert Cgroup("/a", found).directory("pids") == f"{tmp_path}/a"


def test_hybrid_each_controller_is_where_the_kernel_has_it(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    cgroup = Cgroup("/a", discover(V1_HOST + v2_line(tmp_path)))
    assert [cgroup.version(name) for name in ("memory", "hugetlb", "pids")] == [1, 2, 0]
    assert cgroup.directories[0] == cgroup.v2 == f"{tmp_path}/a"
    assert cgroup.directory("hugetlb") == f"{tmp_path}/a"


def test_a_missing_controller_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="can't limit memory: this host has no memory controller") as caught:
        Cgroup("/a", discover(v2_line(tmp_path))).need("memory", "limit memory")
    assert "cgroup_enable=memory" in caught.value.hint


def test_mount_points_with_spaces_and_a_second_mount_of_the_same() -> None:
    second = "36 31 0:31 / /srv/other rw - cgroup cgroup rw,memory\n"
    spaced = V1_HOST.replace("/sys/fs/cgroup/memory", "/a\\040b\\134c")
    assert discover(spaced + second).v1["memory"] == "/a b\\c"


def test_inside_a_container_the_mount_shows_one_cgroup_only(tmp_path: Path) -> None:
    assert discover(v2_line(tmp_path, "/docker/abc")).roots == {str(tmp_path): "/docker/abc"}


def test_no_cgroups_at_all() -> None:
    assert discover("22 1 254:1 / / rw - ext4 /dev/vda1 rw\n") == Hierarchies()


def test_this_machine_has_cgroups() -> None:
    assert Cgroup("/x", discover()).directories


def test_numbers_say_no_limit_in_three_ways(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text, number in (("max\n", -1), ("9223372036854771712\n", -1), ("-1\n", -1), ("33554432\n", 33554432)):
        file.write_text(text)
        assert read_number(str(file)) == number
    assert read_number(str(tmp_path / "none")) is None
    assert read_text(str(tmp_path / "none")) is None


def test_tables_skip_what_is_not_a_number(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("oom 1\noom_kill 2\nodd line here\nstate FROZEN\n")
    assert read_table(str(tmp_path / "events")) == {"oom": 1, "oom_kill": 2}


def test_a_refused_write_shows_file_and_value(tmp_path: Path) -> None:
    with pytest.raises(SystemCallFailed, match="write") as caught:
        write(str(tmp_path), "5")  # a directory: EISDIR
    assert f'write("{tmp_path}", "5"): EISDIR' in caught.value.message


def test_a_missing_file_is_an_error_unless_its_value_is_the_default(tmp_path: Path) -> None:
    step = WriteCgroupFile("limit swap to 1 MiB", f"{tmp_path}/memory.swap.max", "1048576")
    with pytest.raises(Unsupported, match=r"can't limit swap to 1 MiB: this kernel has no memory\.swap\.max"):
        step.apply(Live())
    WriteCgroupFile("let swap be", f"{tmp_path}/memory.swap.max", "max", default=True).apply(Live())
    assert not (tmp_path / "memory.swap.max").exists()


def test_the_first_file_that_exists_is_written(tmp_path: Path) -> None:
    step = WriteFirstOf("set the weight", [(f"{tmp_path}/io.bfq.weight", "500"), (f"{tmp_path}/io.weight", "4950")])
    with pytest.raises(Unsupported, match=r"neither io\.bfq\.weight nor io\.weight"):
        step.apply(Live())
    (tmp_path / "io.weight").touch()
    step.apply(Live())
    assert (tmp_path / "io.weight").read_text() == "4950"
    for name, value in (("io.weight", "4950"), ("io.bfq.weight", "500")):
        (tmp_path / name).write_text("")
        subprocess.run(["sh", "-ec", step.shell()], check=True)
        assert (tmp_path / name).read_text() == f"{value}\n"


def test_fakes_look_like_hosts(tmp_path: Path) -> None:
    assert Cgroup("/a", fake.v1(tmp_path / "1")).version("memory") == 1
    assert Cgroup("/a", fake.v2(tmp_path / "2")).version("memory") == 2
    assert Cgroup("/a", fake.hybrid(tmp_path / "3")).version("hugetlb") == 2
