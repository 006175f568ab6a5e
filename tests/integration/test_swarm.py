"""Swarms of one and of several daemons on this machine: init, join, roles, locks, and what a crash leaves."""

from __future__ import annotations

import base64
import http.client
import ssl
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


def test_a_swarm_of_one_survives_a_killed_daemon(alone: Member) -> None:
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
    alone.kill()
    alone.start()
    until(lambda: alone.info()["ControlAvailable"] and alone.node(node)["Status"]["State"] == "ready", "to be back")
    assert alone.told("GET", "/secrets/s")["ID"] == made["ID"]


def _nothing_readable(place: Path) -> None:
    """What a secret holds stands in no file, and nobody but root gets at the keys."""
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "node.json").stat().st_mode) == 0o600
    for form in (HELLO.encode(), b"the words of a secret"):
        found = subprocess.run(["grep", "-rlaF", form, str(place)], capture_output=True, check=False)
        assert found.stdout == b""


def test_the_command_line_drives_a_swarm(alone: Member) -> None:
    """Outputs are those of Docker's client."""
    assert alone.cli("node", "ls").endswith("to connect this node to swarm and try again.\n")
    said = alone.cli("swarm", "init", "--listen-addr", alone.address, "--autolock")
    node = alone.info()["NodeID"]
    assert said.startswith(f"Swarm initialized: current node ({node}) is now a manager.\n")
    key = alone.cli("swarm", "unlock-key", "-q")
    assert key.startswith("SWMKEY-1-") and key in said
    token = alone.cli("swarm", "join-token", "-q", "worker").strip()
    assert f"    minidock swarm join --token {token} {alone.address}\n" in said
    assert "Successfully rotated worker join token.\n" in alone.cli("swarm", "join-token", "--rotate", "worker")
    assert alone.cli("swarm", "update", "--task-history-limit", "3", "--autolock=false") == "Swarm updated.\n"
    assert "   Task History Retention Limit: 3\n" in alone.cli("info")
    header, line = alone.cli("node", "ls").splitlines()
    assert header.split() == ["ID", "HOSTNAME", "STATUS", "AVAILABILITY", "MANAGER", "STATUS", "ENGINE", "VERSION"]
    assert line.split()[:2] == [node, "*"] and line.split()[3:6] == ["Ready", "Active", "Leader"]
    name = line.split()[2]
    assert alone.cli("node", "update", "--label-add", "disk=ssd", name) == f"{name}\n"
    assert "Labels:\n - disk=ssd\n" in alone.cli("node", "inspect", "--pretty", "self")
    assert alone.cli("node", "promote", name) == f"Node {node} is already a manager.\n"
    assert "attempting to demote the last manager of the swarm" in alone.cli("node", "demote", name)
    for noun in ("secret", "config"):
        made = alone.cli(noun, "create", "-l", "a=b", "words", "-", input="some words").strip()
        assert alone.cli(noun, "ls", "-q", "--filter", "label=a").strip() == made
        assert alone.cli(noun, "inspect", "-f", "{{.Spec.Name}}", made) == "words\n"
        assert "Labels:\n - a=b\n" in alone.cli(noun, "inspect", "--pretty", "words")
        assert alone.cli(noun, "rm", "words") == "words\n"
        assert alone.cli(noun, "rm", "words") == f"Error response from daemon: {noun} words not found\n"
    assert alone.cli("swarm", "leave", "--force") == "Node left the swarm.\n"


def test_without_etcd_there_is_one_clear_error(alone: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minidock.errors import Unsupported
    from minidock.swarm import etcd_server, node

    monkeypatch.setattr(etcd_server.shutil, "which", lambda *given, **named: None)
    server = etcd_server.EtcdServer(alone.box.layout)
    none = node.Node("n", "c", "manager", "127.0.0.1:1", "127.0.0.1:1", "", "", [])
    with pytest.raises(Unsupported, match="a swarm's manager needs etcd") as caught:
        server.start(none, {})
    assert caught.value.hint == "apt install etcd-server"


def test_managers_workers_and_their_change_of_roles() -> None:
    """A worker joins, and a manager; the worker is promoted, the first leader dies, the next one is demoted."""
    require_root()
    require_tool("etcd")
    with members(3) as (one, two, three):
        first = one.init(Spec={"Dispatcher": {"HeartbeatPeriod": 1_000_000_000}})
        two.join(one, "worker")
        three.join(one, "manager")
        second, third = two.info()["NodeID"], three.info()["NodeID"]
        roles = {node["ID"]: node["Spec"]["Role"] for node in three.told("GET", "/nodes")}
        assert roles == {first: "manager", second: "worker", third: "manager"}
        status, said = two.ask("GET", "/nodes")
        assert status == 503 and "Worker nodes can't be used to view or modify cluster state" in said["message"]

        three.update_node(second, Role="manager")
        until(lambda: two.info()["ControlAvailable"], "to be promoted")
        one.told("POST", "/secrets/create", {"Name": "s", "Data": HELLO})
        assert two.told("GET", "/secrets/s")["Spec"]["Name"] == "s"

        one.kill()
        one.kill_etcd()
        until(lambda: leader(three) in (second, third), "another leader")
        until(lambda: three.node(first)["Status"]["State"] == "down", "the silent node to be down")
        three.update_node(first, Role="worker")
        until(lambda: "ManagerStatus" not in three.node(first), "the dead manager to be out of etcd")
        assert three.ask("DELETE", f"/nodes/{first}")[0] == 200

        one.start()
        lead, other = (two, three) if leader(three) == second else (three, two)
        lead_id = lead.info()["NodeID"]
        other.update_node(lead_id, Role="worker")
        until(lambda: not lead.info()["ControlAvailable"] and leader(other), "the leader to be demoted")
        until(lambda: other.info()["Managers"] == 1, "the swarm to know one manager")


def leader(member: Member) -> str:
    """Who leads now; empty while nobody does."""
    nodes = member.told("GET", "/nodes")
    return "".join(node["ID"] for node in nodes if node.get("ManagerStatus", {}).get("Leader"))


def test_what_is_left_of_a_swarm_begins_anew_and_keeps_what_it_knew() -> None:
    require_root()
    require_tool("etcd")
    with members(2) as (one, two):
        one.init(AutoLockManagers=True)
        two.join(one, "manager")
        key = two.told("GET", "/swarm/unlockkey")["UnlockKey"]
        made = two.told("POST", "/secrets/create", {"Name": "s", "Data": HELLO})
        one.kill()
        one.kill_etcd()
        two.stop()
        node = (two.box.layout.root / "swarm" / "node.json").read_bytes()
        assert b'"locked": "' in node and b"PRIVATE KEY" not in node
        two.start()
        until(lambda: two.info()["LocalNodeState"] == "locked", "to know that it is locked")
        status, said = two.ask("GET", "/nodes")
        assert status == 503 and "Swarm is encrypted and needs to be unlocked" in said["message"]
        wrong = two.ask("POST", "/swarm/unlock", {"UnlockKey": "SWMKEY-1-" + "A" * 43})
        assert wrong == (401, {"message": "swarm could not be unlocked: invalid key provided"})
        two.told("POST", "/swarm/unlock", {"UnlockKey": key})
        assert "does not have a leader" in two.info()["Error"]
        two.init(ForceNewCluster=True)
        assert two.info()["Managers"] == 1
        assert two.told("GET", "/secrets/s")["ID"] == made["ID"]
        _strangers_are_turned_away(two.address)


def _strangers_are_turned_away(address: str) -> None:
    """Whoever has no certificate may ask for the root's, and for one with a token."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    cases = (
        ("certificate", '{"request": "x", "token": "SWMTKN-1-x"}', 400),
        ("certificate", "[" * 100_000, 400),
        ("certificate", "{}", 400),
        ("session", "{}", 401),
        ("managers/add", '{"peer_url": "https://127.0.0.1:1"}', 401),
        ("ca", "", 200),
    )
    for path, body, status in cases:
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=60)
        connection.request("POST", f"/v1/{path}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (path, answer.status) == (path, status), answer.read()
        connection.close()
