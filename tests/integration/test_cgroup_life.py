"""Being born in a cgroup, joining one, standing still, and the end: nothing outlives its container."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidock.errors import Conflict
from minidock.kernel import cgroups, freezer
from minidock.spec import Memory, Pids, Resources
from minidock.steps import to_journal
from tests.support.cgroups import Group, v1_part
from tests.support.needs import IN_VM, require_root


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


FAMILY = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
heard, told = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        os.fork()
        os.write(told, b".")
        time.sleep(600)
for _ in range(6):
    os.read(heard, 1)
print("ready", flush=True)
time.sleep(600)
"""


def ready(group: Group, code: str = FAMILY) -> None:
    child = group.start(code)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"


@pytest.mark.vm
def test_all_are_killed_and_all_hierarchies_are_empty() -> None:
    with Group() as group:
        ready(group)
        pids = cgroups.processes(group.path)
        assert len(pids) == 7
        begun = time.monotonic()
        assert group.undo() == []
        assert time.monotonic() - begun < 5
        assert [directory for directory in group.cgroup.directories if os.path.exists(directory)] == []
        assert group.undo() == []  # twice is as good as once


@pytest.mark.vm
def test_a_fork_bomb_ends_too() -> None:
    bomb = "print('ready', flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    with Group(Resources(pids=Pids(limit=60))) as group:
        ready(group, bomb)
        time.sleep(0.3)


@pytest.mark.vm
def test_cgroups_that_the_container_has_made_go_along() -> None:
    with Group() as group:
        ready(group)
        pid = cgroups.processes(group.path)[-1]
        for directory in group.cgroup.directories:
            os.makedirs(f"{directory}/own/deeper")
        inner = f"{group.cgroup.directories[0]}/own/deeper/cgroup.procs"
        Path(inner).write_text(str(pid))
        assert pid in cgroups.processes(group.path)


@pytest.mark.parametrize("version", [1, pytest.param(2, marks=pytest.mark.vm)])
def test_a_frozen_container_stands_still_and_can_be_removed(version: int) -> None:
    hierarchies = v1_part() if version == 1 else cgroups.discover()
    counting = "print('ready', flush=True)\nn = 0\nwhile True: n += 1"
    with Group(hierarchies=hierarchies) as group:
        ready(group, counting)
        freezer.freeze(group.path, hierarchies)
        assert freezer.state(group.path, hierarchies) == "frozen"
        before = ticks(group.started[0].pid)
        time.sleep(0.3)
        assert ticks(group.started[0].pid) == before
        freezer.thaw(group.path, hierarchies)
        assert freezer.state(group.path, hierarchies) == "running"
        time.sleep(0.3)
        assert ticks(group.started[0].pid) > before
        freezer.freeze(group.path, hierarchies)
        # removing thaws and kills: Group's exit checks that nothing is left


def ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def test_version_1_alone_kills_one_by_one() -> None:
    with Group(hierarchies=v1_part()) as group:
        ready(group)
        assert len(cgroups.processes(group.path, group.hierarchies)) == 7


@pytest.mark.vm
def test_every_hierarchy_has_the_process() -> None:
    with Group() as group:
        child = group.start("time.sleep(60)")
        places = cgroups.read(child.pid)
        assert set(places.values()) == {group.path}


BORN = """
import os, sys
from minidock.kernel import cgroups, syscalls
from minidock.steps import Live
plan = cgroups.membership(cgroups.discover(), sys.argv[1], child_joins=True)
fd = os.open(plan.clone_dir, os.O_RDONLY)
pid = syscalls.clone3(0x200000000, fd)  # CLONE_INTO_CGROUP
if pid == 0:
    print(cgroups.read(os.getpid())["cgroup2"])
    for step in plan.child:
        step.apply(Live())
    print(sorted(set(cgroups.read(os.getpid()).values())), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.vm
def test_born_in_cgroup2_and_entering_the_rest_by_itself() -> None:
    with Group() as group:
        command = [sys.executable, "-c", BORN, group.path]
        result = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        assert (result.stdout, result.stderr) == (f"{group.path}\n['{group.path}']\n", "")


@pytest.mark.vm
def test_an_inhabited_cgroup_is_nobody_elses() -> None:
    with Group() as group:
        group.start("time.sleep(60)")
        with pytest.raises(Conflict, match="is not empty"):
            cgroups.plan(group.hierarchies, group.path, None)
        assert group.started[0].poll() is None


@pytest.mark.vm
def test_the_journal_is_enough_to_end_what_a_killed_minidock_left() -> None:
    undo = "import sys\nfrom minidock.steps import Live, from_journal, undo_all\n"
    undo += "print(undo_all(from_journal(sys.stdin.buffer.read()), Live()))"
    with Group(Resources(memory=Memory(limit=64 << 20))) as group:
        ready(group)
        journal = to_journal([*group.plan.before, *group.plan.joined])
        result = subprocess.run(
            [sys.executable, "-c", undo], input=journal, capture_output=True, cwd=Path(__file__).parents[2]
        )
        assert (result.stdout, result.stderr) == (b"[]\n", b"")
        assert [directory for directory in group.cgroup.directories if os.path.exists(directory)] == []


MANY = """
import os, sys
from minidock.kernel import cgroups
from minidock.spec import Memory, Pids, Resources
from minidock.steps import Live, apply_all, undo_all
parent, name = sys.argv[1:]
for turn in range(4):
    resources = Resources(memory=Memory(limit=64 << 20), pids=Pids(limit=50))
    plan = cgroups.plan(cgroups.discover(), f"{parent}/{name}-{turn}", resources)
    apply_all(plan.before, Live())
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    apply_all(plan.joined, Live(pid))
    problems = undo_all(plan.before, Live())
    assert problems == [], problems
    assert os.waitpid(pid, 0)[1] == 9
"""


@pytest.mark.vm
def test_24_at_once_make_and_remove_the_same_parent() -> None:
    """Each one that ends tries to take the parent along, while others have just found it there. (8 in the slow VM.)"""
    group = Group()
    command = [sys.executable, "-c", MANY, group.parent]
    everybody = [
        subprocess.Popen([*command, str(number)], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)
        for number in range(8 if IN_VM else 24)
    ]
    failures = [said for child in everybody if (said := child.communicate(timeout=300)[1]) or child.returncode]
    assert failures == []
    mounts = [directory.removesuffix(group.path) for directory in group.cgroup.directories]
    assert [mount for mount in mounts if os.path.exists(mount + group.parent)] == []
