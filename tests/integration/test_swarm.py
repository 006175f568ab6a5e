"""Swarms of one and of several daemons on this machine: init, join, roles, locks, and what a crash leaves."""

from __future__ import annotations

import base64
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require_root, require_tool
from tests.support.swarm import Member, members, until

HELLO = base64.b64encode(b"the words of a secret").decode()


@pytest.fixture
def alone() -> Iterator[Member]:
    require_root()
    require_tool("etcd")
    with members(1) as (one,):
        yield one


def test_a_swarm_of_one(alone: Member) -> None:
    node = alone.init()
    (shown,) = alone.told("GET", "/nodes")
    assert shown["ID"] == node
    assert (shown["Status"]["State"], shown["ManagerStatus"]["Leader"]) == ("ready", True)
    info = alone.info()
    assert (info["LocalNodeState"], info["ControlAvailable"], info["NodeID"]) == ("active", True, node)
    assert alone.ask("POST", "/swarm/init", {"ListenAddr": alone.address})[0] == 503
    made = alone.told("POST", "/secrets/create", {"Name": "s", "Data": HELLO})
    assert alone.told("GET", "/secrets/s")["ID"] == made["ID"]
    status, said = alone.ask("POST", "/swarm/leave")
    assert status == 503 and "Removing the last manager erases all current state" in said["message"]
    _nothing_readable(alone.box.layout.root / "swarm")
    events = alone.box("events", "--since", "1", "--until", "0s", "--format", "{{.Type}} {{.Action}}").stdout
    assert {"node update", "secret create"} <= set(events.splitlines())


def _nothing_readable(place: Path) -> None:
    """What a secret holds stands in no file, and nobody but root gets at the keys."""
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "node.json").stat().st_mode) == 0o600
    for form in (HELLO.encode(), b"the words of a secret"):
        found = subprocess.run(["grep", "-rlaF", form, str(place)], capture_output=True, check=False)
        assert found.stdout == b""


def test_a_killed_daemon_takes_the_swarm_up_again(alone: Member) -> None:
    node = alone.init()
    alone.told("POST", "/configs/create", {"Name": "c", "Data": HELLO})
    alone.kill()
    alone.start()
    until(lambda: alone.info()["ControlAvailable"] and alone.node(node)["Status"]["State"] == "ready", "to be back")
    assert alone.told("GET", "/configs/c")["Spec"]["Data"] == HELLO


def test_a_locked_manager_waits_for_its_key(alone: Member) -> None:
    alone.init(AutoLockManagers=True)
    key = alone.told("GET", "/swarm/unlockkey")["UnlockKey"]
    alone.stop()
    assert b'"locked": "' in (alone.box.layout.root / "swarm" / "node.json").read_bytes()
    assert b"PRIVATE KEY" not in (alone.box.layout.root / "swarm" / "node.json").read_bytes()
    alone.start()
    until(lambda: alone.info()["LocalNodeState"] == "locked", "to know that it is locked")
    status, said = alone.ask("GET", "/nodes")
    assert status == 503 and "Swarm is encrypted and needs to be unlocked" in said["message"]
    wrong = alone.ask("POST", "/swarm/unlock", {"UnlockKey": "SWMKEY-1-" + "A" * 43})
    assert wrong == (401, {"message": "swarm could not be unlocked: invalid key provided"})
    alone.told("POST", "/swarm/unlock", {"UnlockKey": key})
    assert alone.info()["LocalNodeState"] == "active"


def test_without_etcd_there_is_one_clear_error(alone: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidock.errors import Unsupported
    from minidock.swarm import etcd_server, node

    monkeypatch.setattr(etcd_server.shutil, "which", lambda *given, **named: None)
    server = etcd_server.EtcdServer(alone.box.layout)
    none = node.Node("n", "c", "manager", "127.0.0.1:1", "127.0.0.1:1", "", "", [])
    with pytest.raises(Unsupported, match="a swarm's manager needs etcd") as caught:
        server.start(none, {})
    assert caught.value.hint == "apt install etcd-server"
