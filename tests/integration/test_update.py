"""update: the kernel holds a living container to its new limits at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.engine.record import Records
from minidock.kernel import cgroup_stats
from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


@pytest.mark.vm
def test_limits_change_while_it_runs(engine: Minidock) -> None:
    engine("run", "-d", "--name", "box", "--network", "none", "-m", "32m", "busybox", "sleep", "1000", check=True)
    path = f"{engine.layout.cgroup_parent}/{Records(engine.layout).find('box').id}"
    engine("update", "-m", "128m", "--memory-swap", "256m", "--cpus", "0.5", "--pids-limit", "40", "box", check=True)
    found = cgroup_stats.read(path)
    assert found["memory"]["limit"] == 128 << 20
    assert (found["cpu"]["limit"], found["pids"]["limit"]) == (0.5, 40)
    engine("update", "-m", "16m", "--memory-swap", "16m", "box", check=True)
    assert cgroup_stats.read(path)["memory"]["limit"] == 16 << 20
    engine("update", "--pids-limit", "-1", "box", check=True)
    assert cgroup_stats.read(path)["pids"]["limit"] == -1


def test_what_the_kernel_refuses_changes_nothing(engine: Minidock) -> None:
    engine("run", "-d", "--name", "box", "--network", "none", "--cpus", "0.5", "busybox", "sleep", "1000", check=True)
    record = Records(engine.layout).find("box")
    refused = engine("update", "--cpus", "0.25", "--cpuset-cpus", "4000", "box")
    assert "Requested CPUs are not available - requested 4000" in refused.stderr
    assert Records(engine.layout).find("box").host_config == record.host_config
    assert cgroup_stats.read(f"{engine.layout.cgroup_parent}/{record.id}")["cpu"]["limit"] == 0.5
