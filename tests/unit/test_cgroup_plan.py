"""The plan for a container's cgroup: order, paths, what is refused, and that shell lines and steps do the same."""

import os
import subprocess
from pathlib import Path

import pytest

from minidock.errors import Conflict, MinidockError, Unsupported, UsageError
from minidock.kernel import cgroup_join, cgroup_tree, cgroups, cpuset
from minidock.kernel.cgroup_files import Cgroup, Hierarchies
from minidock.kernel.cgroup_join import BornInCgroup, EnterCgroup, JoinCgroup
from minidock.kernel.cgroups import EnableControllers, MakeCgroup
from minidock.kernel.scope import StartScope
from minidock.spec import Cpu, DeviceRule, Memory, Pids, Resources
from minidock.steps import Live, Step, from_journal, to_journal
from tests.support import cgroups as fake

PRIVILEGED = [DeviceRule(allow=True)]
LIMITS = Resources(devices=PRIVILEGED, memory=Memory(limit=64 << 20), cpu=Cpu(cpus="0"), pids=Pids(limit=9))


def told(steps: list[Step], root: Path) -> list[str]:
    """describe() and shell() as one text, with the directory of the test as ROOT."""
    return [f"{step.describe()}: {step.shell()}".replace(str(root), "ROOT") for step in steps]


def test_version_2(tmp_path: Path) -> None:
    plan = cgroups.plan(fake.v2(tmp_path), "/minidock/x", LIMITS)
    assert told(plan.before, tmp_path) == [
        "make the cgroup /minidock/x: mkdir -p ROOT/minidock/x",
        "hand the controllers cpu cpuset io memory pids down to the cgroup: "
        "echo +cpu +cpuset +io +memory +pids > ROOT/cgroup.subtree_control\n"
        "echo +cpu +cpuset +io +memory +pids > ROOT/minidock/cgroup.subtree_control",
        "limit memory to 64 MiB: echo 67108864 > ROOT/minidock/x/memory.max",
        "run on CPUs 0 only: echo 0 > ROOT/minidock/x/cpuset.cpus",
        "allow at most 9 processes: echo 9 > ROOT/minidock/x/pids.max",
    ]
    assert plan.clone_dir == f"{tmp_path}/minidock/x"
    assert told(plan.joined, tmp_path) == [
        'make sure that the process lives in the cgroup2 cgroup /minidock/x: echo "$PID" > ROOT/minidock/x/cgroup.procs'
    ]


def test_version_1(tmp_path: Path) -> None:
    hierarchies = Hierarchies(v1={name: f"{tmp_path}/{name}" for name in ("memory", "cpuset", "pids", "name=systemd")})
    plan = cgroups.plan(hierarchies, "/minidock/x", LIMITS)
    names = ("memory", "cpuset", "pids", "name=systemd")
    assert told(plan.before, tmp_path)[0].startswith(
        "make the cgroup /minidock/x in 4 hierarchies: mkdir -p ROOT/memory/m"
    )
    assert [step.describe() for step in plan.before[1:]] == [
        "let the cgroup use its parent's processors and memory nodes",
        "limit memory to 64 MiB",
        "run on CPUs 0 only",
        "allow at most 9 processes",
    ]
    assert plan.clone_dir == ""
    assert plan.joined == [JoinCgroup("/minidock/x", [f"{tmp_path}/{name}/minidock/x" for name in names])]
    assert plan.joined[0].shell().splitlines()[0] == f'echo "$PID" > {tmp_path}/memory/minidock/x/cgroup.procs'


def test_hybrid_is_born_in_cgroup2_and_joins_the_rest(tmp_path: Path) -> None:
    plan = cgroups.plan(fake.hybrid(tmp_path), "/minidock/x", LIMITS)
    assert plan.clone_dir == f"{tmp_path}/unified/minidock/x"
    assert [type(step) for step in plan.joined] == [BornInCgroup, JoinCgroup]
    assert not [step for step in plan.before if isinstance(step, EnableControllers)]


def test_the_child_may_join_by_itself(tmp_path: Path) -> None:
    plan = cgroups.plan(fake.hybrid(tmp_path), "/minidock/x", LIMITS, child_joins=True)
    assert [type(step) for step in plan.joined] == [BornInCgroup]
    assert [type(step) for step in plan.child] == [EnterCgroup]
    assert f"echo 0 > {tmp_path}/memory/minidock/x/tasks" in plan.child[0].shell().splitlines()


def test_steps_survive_the_journal(tmp_path: Path) -> None:
    for hierarchies in (fake.v1(tmp_path / "1"), fake.v2(tmp_path / "2"), fake.hybrid(tmp_path / "3")):
        plan = cgroups.plan(hierarchies, "/minidock/x", Resources(memory=Memory(limit=1 << 20)), child_joins=True)
        steps = [*plan.before, *plan.joined, *plan.child]
        assert from_journal(to_journal(steps)) == steps


def test_an_ordinary_container_is_filtered_and_a_privileged_one_not(tmp_path: Path) -> None:
    def filters(devices: list[DeviceRule]) -> list[Step]:
        return [
            step
            for step in cgroups.plan(fake.v2(tmp_path), "/minidock/x", Resources(devices=devices)).before
            if "devices" in step.describe()
        ]

    assert filters(PRIVILEGED) == []
    assert len(filters([])) == len(filters([DeviceRule(allow=False)])) == 1


@pytest.mark.parametrize("path", ["", "/", "//", "/a/../b", "..", "/a\nb"])
def test_paths_that_are_no_cgroup_of_our_own(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match="is not the path of a cgroup below the root"):
        cgroups.plan(fake.v2(tmp_path), path, None)


@pytest.mark.parametrize("path", ["minidock/x", "/minidock/x", "//minidock/./x/"])
def test_paths_that_mean_the_same(tmp_path: Path, path: str) -> None:
    assert cgroups.plan(fake.v2(tmp_path), path, None).clone_dir == f"{tmp_path}/minidock/x"


def test_an_inhabited_cgroup_is_refused_before_undo_could_kill(tmp_path: Path) -> None:
    hierarchies = fake.v2(tmp_path)
    (tmp_path / "user.slice" / "inner").mkdir(parents=True)
    (tmp_path / "user.slice" / "cgroup.procs").write_text("")
    (tmp_path / "user.slice" / "inner" / "cgroup.procs").write_text("1\n7\n")
    with pytest.raises(Conflict, match=r"is not empty: 2 process\(es\) found: \[1, 7\]"):
        cgroups.plan(hierarchies, "/user.slice", None)


def test_a_scope_comes_once_there_is_a_process_and_before_all_else(tmp_path: Path) -> None:
    scope = StartScope("system.slice", "minidock-x.scope", [])
    plan = cgroups.plan(fake.v2(tmp_path), "/system.slice/minidock-x.scope", LIMITS, scope=scope)
    assert (plan.before, plan.clone_dir, plan.joined[0]) == ([], "", scope)
    kinds = [type(step).__name__ for step in plan.joined]
    assert kinds.index("MakeCgroup") < kinds.index("WriteCgroupFile") < kinds.index("BornInCgroup")


def test_hosts_without_cgroups_are_refused_with_advice() -> None:
    with pytest.raises(Unsupported, match="no cgroups mounted"):
        cgroups.plan(Hierarchies(), "/minidock/x", None)


def test_controllers_are_enabled_from_the_top_down_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "minidock").mkdir()
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "minidock" / "cgroup.subtree_control").write_text("pids\n")
    step = EnableControllers([str(tmp_path), f"{tmp_path}/minidock"], ["memory", "pids"], ["memory"])
    step.apply(Live())
    assert (tmp_path / "cgroup.subtree_control").read_text() == "cpu memory pids\n"  # not written to
    assert (tmp_path / "minidock" / "cgroup.subtree_control").read_text() == "+memory"


def test_a_deeper_parent_is_opened_at_every_level(tmp_path: Path) -> None:
    plan = cgroups.plan(fake.v2(tmp_path), "/a/b/c", LIMITS)
    enable = next(step for step in plan.before if isinstance(step, EnableControllers))
    assert enable.parents == [str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/a/b"]
    assert enable.needed == ["cpuset", "memory", "pids"]


def test_the_parent_goes_only_when_it_is_ours(tmp_path: Path) -> None:
    def make(path: str) -> MakeCgroup:
        step = cgroups.plan(fake.v2(tmp_path), path, None).before[0]
        assert isinstance(step, MakeCgroup)
        return step

    for path, stays in (("/minidock-abc/x", False), ("/users/x", True)):
        step = make(path)
        step.apply(Live())
        step.apply(Live())
        step.undo(Live())
        step.undo(Live())
        assert (tmp_path / path.split("/")[1]).exists() is stays
    assert tmp_path.exists()


def test_a_parent_with_another_container_stays(tmp_path: Path) -> None:
    hierarchies = fake.v2(tmp_path)
    first, second = (cgroups.plan(hierarchies, f"/minidock/{name}", None).before[0] for name in "ab")
    first.apply(Live())
    second.apply(Live())
    first.undo(Live())
    assert os.listdir(tmp_path / "minidock") == ["b"]
    second.undo(Live())
    assert os.listdir(tmp_path) == []


def test_making_retries_when_the_parent_goes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.makedirs, []

    def unlucky(path: str, exist_ok: bool = False) -> None:
        calls.append(path)
        if len(calls) < 3:
            raise FileNotFoundError(2, "gone", path)
        real(path, exist_ok=exist_ok)

    monkeypatch.setattr(os, "makedirs", unlucky)
    cgroup_tree.make(f"{tmp_path}/minidock/x")
    assert calls.count(f"{tmp_path}/minidock/x") == 3
    assert (tmp_path / "minidock" / "x").is_dir()


def test_cpuset_levels_are_filled_from_the_top_and_what_is_set_stays(tmp_path: Path) -> None:
    levels = [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    levels[2].mkdir(parents=True)
    for level, cpus, mems in zip(levels, ("0-3\n", "1-2\n", "\n"), ("0\n", "\n", "\n"), strict=True):
        (level / "cpuset.cpus").write_text(cpus)
        (level / "cpuset.mems").write_text(mems)
    (step,) = cpuset.inherit(Cgroup("/a/b", Hierarchies(v1={"cpuset": str(tmp_path)})))

    def state() -> list[str]:
        return [(level / name).read_text().strip() for name in cpuset.FILES for level in levels]

    step.apply(Live())
    assert state() == ["0-3", "1-2", "1-2", "0", "0", "0"]
    for name in cpuset.FILES:
        (levels[2] / name).write_text("\n")
    subprocess.run(["sh", "-ec", step.shell()], check=True)
    assert state() == ["0-3", "1-2", "1-2", "0", "0", "0"]


def test_shell_lines_write_what_the_steps_write(tmp_path: Path) -> None:
    written = []
    for way in ("steps", "shell"):
        root = tmp_path / way
        steps = cgroups.plan(fake.v2(root), "/minidock/x", LIMITS).before
        cgroup_tree.make(f"{root}/minidock/x")
        for step in steps:
            for file in (f"{root}/cgroup.subtree_control", f"{root}/minidock/cgroup.subtree_control"):
                Path(file).touch()
            if way == "shell":
                subprocess.run(["sh", "-ec", step.shell()], check=True)
            else:
                fake.apply([step])
        files = sorted(path for path in root.rglob("*") if path.is_file())
        written.append([(str(path.relative_to(root)), path.read_text().strip()) for path in files])
    assert len(written[0]) == 5
    assert sorted(written[0][0][1].split()) == ["+cpu", "+cpuset", "+io", "+memory", "+pids"]
    assert written[0] == written[1]


def test_joining_names_the_process_and_never_means_us(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    for step in (JoinCgroup("/x", [str(tmp_path)]), BornInCgroup(str(tmp_path), "/x")):
        with pytest.raises(MinidockError, match="no process to put into"):
            step.apply(Live(pid=0))
        step.apply(Live(pid=4242))
        assert (tmp_path / "cgroup.procs").read_text() == "4242"
        (tmp_path / "cgroup.procs").write_text("")
    for step in (JoinCgroup("/x", [f"{tmp_path}/none"]), BornInCgroup(f"{tmp_path}/none", "/x")):
        with pytest.raises(MinidockError, match="is gone"):
            step.apply(Live(pid=4242))


def test_born_there_means_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("17\n4242\n")
    BornInCgroup(str(tmp_path), "/x").apply(Live(pid=4242))
    assert (tmp_path / "cgroup.procs").read_text() == "17\n4242\n"


def test_exec_joins_without_making(tmp_path: Path) -> None:
    there = cgroups.membership(fake.hybrid(tmp_path), "/minidock/x")
    assert there.before == []
    assert there.clone_dir.endswith("unified/minidock/x")
    assert [type(step) for step in there.joined] == [BornInCgroup, JoinCgroup]


def test_processes_are_those_of_the_whole_tree(tmp_path: Path) -> None:
    (tmp_path / "x" / "inner").mkdir(parents=True)
    (tmp_path / "x" / "cgroup.procs").write_text("9\n3\n")
    (tmp_path / "x" / "inner" / "cgroup.procs").write_text("4\n")
    assert cgroups.processes("/x", fake.v2(tmp_path)) == [3, 4, 9]
    assert cgroups.processes("/gone", fake.v2(tmp_path)) == []
    assert list(cgroup_tree.below(f"{tmp_path}/x")) == [f"{tmp_path}/x/inner", f"{tmp_path}/x"]


def test_read_tells_where_a_process_is() -> None:
    assert read_back() == set(cgroups.read(os.getpid()))


def read_back() -> set[str]:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return {line.split(":", 2)[1] or "cgroup2" for line in lines}


def test_beside_a_first_process_that_has_handed_its_controllers_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd in a container does so: the kernel lets nobody live in the container's own cgroup then (EBUSY)."""
    hierarchies = fake.v2(tmp_path)
    (tmp_path / "minidock" / "x").mkdir(parents=True)
    control = tmp_path / "minidock" / "x" / "cgroup.subtree_control"
    monkeypatch.setattr(cgroup_join, "read", lambda pid: {"cgroup2": "/minidock/x/init.scope"})
    control.write_text("\n")
    assert cgroups.membership(hierarchies, "/minidock/x", beside=7).clone_dir == f"{tmp_path}/minidock/x"
    control.write_text("memory pids\n")
    there = cgroups.membership(hierarchies, "/minidock/x", beside=7)
    assert there.clone_dir == f"{tmp_path}/minidock/x/init.scope"
    assert there.joined == [BornInCgroup(f"{tmp_path}/minidock/x/init.scope", "/minidock/x/init.scope")]
    monkeypatch.setattr(cgroup_join, "read", lambda pid: {"cgroup2": "/elsewhere"})
    assert cgroups.membership(hierarchies, "/minidock/x", beside=7).clone_dir == f"{tmp_path}/minidock/x"
