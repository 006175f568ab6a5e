"""The sentence about a kill, from the cgroup's counters and the kernel's log."""

from pathlib import Path

import pytest

from minidock.errors import MinidockError, NotRunning
from minidock.kernel import cgroup_stats, freezer, memory, oom
from minidock.kernel.cgroup_files import Cgroup, Hierarchies
from minidock.kernel.oom import OomReport
from tests.support import cgroups as fake

LOG = """\
4,700,100,-;python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
6,701,101,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/minidock/other,task_memcg=/minidock/other,task=tail,pid=11,uid=0
6,702,102,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/docker/d/minidock/x,task_memcg=/docker/d/minidock/x/inner,task=odd,pid=7,name,pid=42,uid=0
6,703,103,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/minidock/xy,task_memcg=/minidock/xy,task=sh,pid=12,uid=0
3,704,104,-;Memory cgroup out of memory: Killed process 42 (python3) total-vm:1kB
"""


def v2_group(root: Path, *, kills: int, oom_events: int = 1) -> Hierarchies:
    directory = root / "cg" / "minidock" / "x"
    directory.mkdir(parents=True)
    (directory / "memory.stat").write_text("anon 5\nfile 4096\ninactive_file 1024\n")
    (directory / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom {oom_events}\noom_kill {kills}\n")
    (directory / "memory.current").write_text("12\n")
    (directory / "memory.peak").write_text("67108864\n")
    (directory / "memory.max").write_text("67108864\n")
    return fake.v2(root / "cg")


def v1_group(root: Path, *, failcnt: int, peak: int) -> Hierarchies:
    directory = root / "cg" / "memory" / "minidock" / "x"
    directory.mkdir(parents=True)
    (directory / "memory.stat").write_text("cache 1\ntotal_cache 2\ntotal_inactive_file 1\nswap 0\n")
    (directory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    (directory / "memory.usage_in_bytes").write_text("12\n")
    (directory / "memory.max_usage_in_bytes").write_text(f"{peak}\n")
    (directory / "memory.limit_in_bytes").write_text("67108864\n")
    (directory / "memory.failcnt").write_text(f"{failcnt}\n")
    return fake.v1(root / "cg")


def test_nobody_killed_is_no_report(tmp_path: Path) -> None:
    assert oom.explain("/minidock/x", v2_group(tmp_path, kills=0), log="/nonexistent") is None
    assert oom.explain("/minidock/gone", fake.v2(tmp_path / "cg"), log="/nonexistent") is None


def test_version_2_with_the_victim_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_text(LOG)
    report = oom.explain("/minidock/x", v2_group(tmp_path, kills=1), log=str(tmp_path / "kmsg"))
    assert report == OomReport(kills=1, limit=64 << 20, peak=64 << 20, process="odd,pid=7,name", pid=42)


def test_the_log_may_be_unreadable_or_silent(tmp_path: Path) -> None:
    hierarchies = v2_group(tmp_path, kills=2)
    (tmp_path / "kmsg").write_text("6,1,1,-;nothing to see\n")
    for log in ("/nonexistent", str(tmp_path / "kmsg"), str(tmp_path)):
        report = oom.explain("/minidock/x", hierarchies, log=log)
        assert report is not None
        assert report.sentence() == "killed by the kernel: memory limit 64 MiB, peak 64 MiB, 2 kills in all"


@pytest.mark.parametrize(("failcnt", "peak", "limit"), [(5, 1, 64 << 20), (0, 64 << 20, 64 << 20), (0, 1000, -1)])
def test_version_1(tmp_path: Path, failcnt: int, peak: int, limit: int) -> None:
    report = oom.explain("/minidock/x", v1_group(tmp_path, failcnt=failcnt, peak=peak), log="/nonexistent")
    assert report == OomReport(kills=1, limit=limit, peak=peak)


def test_a_kill_without_the_limit_is_the_machines_shortage(tmp_path: Path) -> None:
    report = oom.explain("/minidock/x", v2_group(tmp_path, kills=1, oom_events=0), log="/nonexistent")
    assert report is not None
    assert report.sentence() == "killed by the kernel: the machine is out of memory, peak 64 MiB"


def test_the_sentence() -> None:
    report = OomReport(kills=1, limit=64 << 20, peak=64 << 20, process="python3", pid=42)
    assert report.sentence() == "killed by the kernel: memory limit 64 MiB, peak 64 MiB, process python3 (pid 42)"


def test_memory_is_read_in_the_same_words_on_both(tmp_path: Path) -> None:
    two = memory.read(Cgroup("/minidock/x", v2_group(tmp_path / "2", kills=3)))
    one = memory.read(Cgroup("/minidock/x", v1_group(tmp_path / "1", failcnt=0, peak=5)))
    assert list(one) and set(one) == set(two)
    assert (two["limit"], two["cache"], two["inactive_file"], two["oom_kills"]) == (64 << 20, 4096, 1024, 3)
    assert (one["limit"], one["cache"], one["inactive_file"], one["oom_kills"]) == (64 << 20, 2, 1, 1)


def test_counters_of_the_others_on_both(tmp_path: Path) -> None:
    two, one = fake.v2(tmp_path / "2"), fake.v1(tmp_path / "1")
    files = {
        "2/x/cpu.stat": "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1\n",
        "2/x/cpu.max": "50000 100000\n",
        "2/x/pids.current": "4\n",
        "2/x/pids.max": "max\n",
        "2/x/pids.events": "max 1\n",
        "2/x/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
        "1/cpu,cpuacct/x/cpu.stat": "nr_periods 3\nnr_throttled 2\nthrottled_time 1000\n",
        "1/cpu,cpuacct/x/cpu.cfs_quota_us": "50000\n",
        "1/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
        "1/cpu,cpuacct/x/cpuacct.usage": "9000\n",
        "1/cpu,cpuacct/x/cpuacct.usage_user": "5000\n",
        "1/cpu,cpuacct/x/cpuacct.usage_sys": "4000\n",
        "1/pids/x/pids.current": "4\n",
        "1/pids/x/pids.max": "max\n",
        "1/pids/x/pids.events": "max 1\n",
        "1/blkio/x/blkio.throttle.io_service_bytes": "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
        "1/blkio/x/blkio.throttle.io_serviced": "8:0 Read 3\n8:0 Write 4\nTotal 7\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    wanted = {
        "memory": {},
        "cpu": {
            "usage": 9,
            "user": 5,
            "system": 4,
            "periods": 3,
            "throttled": 2,
            "throttled_time": 1,
            "limit": 0.5,
        },
        "pids": {"current": 4, "limit": -1, "refused": 1},
        "io": {"8:0": {"rbytes": 1, "wbytes": 2, "rios": 3, "wios": 4}},
    }
    assert cgroup_stats.read("/x", two) == wanted
    assert cgroup_stats.read("/x", one) == wanted


def test_the_freezer_waits_until_all_stand(tmp_path: Path) -> None:
    two = fake.v2(tmp_path / "2")
    (tmp_path / "2" / "x").mkdir()
    (tmp_path / "2" / "x" / "cgroup.freeze").write_text("0\n")
    (tmp_path / "2" / "x" / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    assert freezer.state("/x", two) == "running"
    freezer.freeze("/x", two)
    assert (tmp_path / "2" / "x" / "cgroup.freeze").read_text() == "1"
    assert freezer.state("/x", two) == "frozen"
    (tmp_path / "2" / "x" / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert freezer.state("/x", two) == "freezing"
    freezer.thaw("/x", two)
    assert freezer.state("/x", two) == "running"


def test_one_that_cannot_be_frozen_is_thawed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezer, "PATIENCE", 0.02)
    one = fake.v1(tmp_path)
    state = tmp_path / "freezer" / "x" / "freezer.state"
    state.parent.mkdir()
    state.write_text("THAWED\n")
    assert freezer.state("/x", one) == "running"
    state.write_text("FREEZING\n")
    assert freezer.state("/x", one) == "freezing"
    monkeypatch.setattr(freezer, "state", lambda *_: "freezing")
    with pytest.raises(MinidockError, match="can't be frozen within"):
        freezer.freeze("/x", one)
    assert state.read_text() == "THAWED"


def test_freezing_what_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="Container x is not running"):
        freezer.freeze("/minidock/x", fake.v2(tmp_path))
