"""pause: the processes stand still, by the kernel's word; and names stay whole when a rename is killed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from minidock.engine.record import Records
from minidock.kernel import freezer
from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000", check=True)
    return minidock


@pytest.mark.vm
def test_a_paused_container_is_frozen_and_can_be_removed(engine: Minidock) -> None:
    record = Records(engine.layout).find("box")
    path = f"{engine.layout.cgroup_parent}/{record.id}"
    engine("pause", "box", check=True)
    assert freezer.state(path) == "frozen"
    engine("unpause", "box", check=True)
    assert freezer.state(path) == "running"
    engine("pause", "box", check=True)
    engine("stop", "-t", "0", "box", check=True)
    state = Records(engine.layout).find("box").state
    assert (state.status, state.paused, state.exit_code) == ("exited", False, 137)


def test_what_a_killed_pause_leaves_unpause_puts_right(engine: Minidock) -> None:
    """Killed between the record and the freezer."""
    records = Records(engine.layout)
    record = records.find("box")
    state = msgspec.structs.replace(record.state, paused=True, status="paused")
    records.write(msgspec.structs.replace(record, state=state))
    engine("unpause", "box", check=True)
    assert engine("exec", "box", "echo", "here", check=True).stdout == "here\n"


def test_a_name_that_a_killed_rename_claimed_can_be_had(engine: Minidock) -> None:
    names = Records(engine.layout).names
    (names / "wanted").write_text(Records(engine.layout).find("box").id)
    engine("create", "--name", "wanted", "busybox", "true", check=True)
    assert "already in use" in engine("create", "--name", "box", "busybox", "true").stderr
    engine("rename", "box", "other", check=True)
    assert sorted(path.name for path in names.iterdir()) == ["other", "wanted"]
