"""One address for several tasks: the rules in a client's network namespace, with the kernel's own answer."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from minidock.kernel import netns
from minidock.network.balance import BalanceServices
from minidock.steps import Live
from tests.conftest import require_root, require_tool

SERVICE, TASKS = "10.0.0.2", ("10.0.0.3", "10.0.0.4", "10.0.0.5")


@contextmanager
def namespace() -> Iterator[int]:
    """A process in a network namespace with an interface, on whose wire the service would be; the tasks are here."""
    lines = ["ip link set lo up", "ip link add eth0 type veth peer name wire", "ip link set wire up"]
    lines += ["ip addr add 10.0.0.9/24 dev eth0", "ip link set eth0 up"]
    lines += [f"ip addr add {task}/32 dev lo" for task in TASKS]
    prepared = " && ".join([*lines, "echo ready", "exec sleep 99"])
    command = ["unshare", "-n", "sh", "-c", prepared]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


def bound(pid: int, address: str) -> socket.socket:
    with netns.entered(pid):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 9 if address != SERVICE else 0))
    made.settimeout(10)
    return made


@pytest.fixture
def step(tmp_path: Path) -> BalanceServices:
    require_root()
    require_tool("nft")
    return BalanceServices(TASKS[0], [str(tmp_path / "overlay.json")], str(tmp_path / "services.json"))


def arrange(step: BalanceServices, *tasks: str) -> None:
    Path(step.arrangements[0]).write_text(json.dumps({"Services": {SERVICE: tasks}}))


def test_flows_are_shared_out_and_one_to_a_task_that_is_gone_goes_to_another(step: BalanceServices) -> None:
    with namespace() as pid, ExitStack() as stack:
        servers = {task: stack.enter_context(bound(pid, task)) for task in TASKS}
        arrange(step, *TASKS)
        step.apply(Live(pid))
        with netns.entered(pid):
            clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in TASKS]
        for client in clients:
            client.connect((SERVICE, 9))
            client.send(b"one")
        asking = {task: server.recvfrom(9)[1] for task, server in servers.items()}
        assert len(set(asking.values())) == len(TASKS), "each has one of them"
        arrange(step, TASKS[2])
        step.apply(Live(pid))
        for client in clients:
            client.send(b"two")
        assert {servers[TASKS[2]].recvfrom(9) for _ in clients} == {(b"two", address) for address in asking.values()}


def test_without_tasks_the_answer_is_a_clear_no_and_another_namespace_gets_its_own_rules(step: BalanceServices) -> None:
    arrange(step)
    for _ in range(2):
        with namespace() as pid:
            step.apply(Live(pid))
            with netns.entered(pid), socket.socket() as client, pytest.raises(ConnectionRefusedError):
                client.connect((SERVICE, 9))
