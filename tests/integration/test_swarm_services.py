"""Services of a swarm as its users meet them, over the API: tasks become containers, on one node and on two."""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require_root, require_tool
from tests.support.swarm import Member, members, until

SERVE = "mkdir /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w"
QUICK = {"RestartPolicy": {"Delay": 0}}


@pytest.fixture(scope="module")
def swarm() -> Iterator[Member]:
    """One manager, for all tests of this file that need no more."""
    require_root()
    require_tool("etcd")
    with members(1) as (one,):
        one.init()
        yield one


def create(member: Member, name: str, *command: str, **more: Any) -> str:
    container = {"Image": "busybox", "Command": list(command), "StopGracePeriod": 0, **more.pop("container", {})}
    template = {"ContainerSpec": container, **QUICK, **more.pop("template", {})}
    return str(member.told("POST", "/services/create", {"Name": name, "TaskTemplate": template, **more})["ID"])


def replicas(number: int) -> dict[str, Any]:
    return {"Replicated": {"Replicas": number}}


def change(member: Member, name: str, change: Callable[[dict[str, Any]], None], query: str = "") -> None:
    service = member.told("GET", f"/services/{name}")
    change(service["Spec"])
    member.told("POST", f"/services/{name}/update?version={service['Version']['Index']}{query}", service["Spec"])


def tasks(member: Member, name: str, state: str = "running") -> list[dict[str, Any]]:
    found = member.told("GET", f'/tasks?filters={{"service":["{name}"]}}')
    return [task for task in found if task["Status"]["State"] == state]


def running(member: Member, name: str, number: int) -> list[dict[str, Any]]:
    until(lambda: len(tasks(member, name)) == number, f"{number} tasks of {name} to run")
    return tasks(member, name)


def container(task: dict[str, Any]) -> str:
    return str(task["Status"]["ContainerStatus"]["ContainerID"])


def remove(member: Member, name: str) -> None:
    member.told("DELETE", f"/services/{name}")

    def gone() -> bool:
        return name not in member.box("ps", "-a", "--format", "{{.Names}}", check=True).stdout

    until(gone, f"the containers of {name} to go")


def asked(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    return connection.getresponse().read().decode().strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_what_is_killed_is_replaced_what_is_scaled_comes_and_what_is_removed_goes(swarm: Member) -> None:
    create(swarm, "web", "sleep", "999", Mode=replicas(2))
    first, second = running(swarm, "web", 2)
    names = swarm.box("ps", "--format", "{{.Names}}", check=True).stdout.split()
    assert sorted(names) == sorted(f"web.{task['Slot']}.{task['ID']}" for task in (first, second))
    swarm.box("kill", container(first), check=True)
    until(lambda: first["ID"] not in [task["ID"] for task in tasks(swarm, "web")], "the kill to be noticed")
    again = running(swarm, "web", 2)
    assert sorted(task["Slot"] for task in again) == [1, 2]
    (failed,) = tasks(swarm, "web", "failed")
    assert (failed["Status"]["Err"], failed["DesiredState"]) == ("task: non-zero exit (137)", "shutdown")
    change(swarm, "web", lambda spec: spec.update(Mode=replicas(1)))
    running(swarm, "web", 1)
    remove(swarm, "web")
    assert swarm.ask("GET", "/services/web") == (404, {"message": "service web not found"})


def test_an_update_replaces_tasks_and_a_rollback_takes_it_back(swarm: Member) -> None:
    create(
        swarm, "rolled", "sleep", "999", UpdateConfig={"Parallelism": 1, "Monitor": 1}, RollbackConfig={"Monitor": 1}
    )

    def status() -> str:
        return str(swarm.told("GET", "/services/rolled").get("UpdateStatus", {}).get("State"))

    running(swarm, "rolled", 1)
    change(swarm, "rolled", lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Env=["WORD=new"]))
    until(lambda: status() == "completed", "the update")
    (task,) = running(swarm, "rolled", 1)
    assert swarm.box("exec", container(task), "sh", "-c", "echo $WORD", check=True).stdout == "new\n"
    change(swarm, "rolled", lambda spec: None, "&rollback=previous")
    until(lambda: status() == "rollback_completed", "the rollback")
    (task,) = running(swarm, "rolled", 1)
    assert swarm.box("exec", container(task), "sh", "-c", "echo $WORD", check=True).stdout == "\n"
    change(swarm, "rolled", lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Command=["nosuch"]))
    until(lambda: status() == "paused", "the update that can't be")
    remove(swarm, "rolled")


def test_a_published_port_reaches_all_tasks(swarm: Member) -> None:
    port = free_port()
    published = {"Ports": [{"TargetPort": 80, "PublishedPort": port}, {"TargetPort": 80, "PublishMode": "host"}]}
    create(swarm, "page", "sh", "-c", SERVE, Mode=replicas(2), EndpointSpec=published)
    found = running(swarm, "page", 2)
    ids = {container(task)[:12] for task in found}
    until(lambda: asked(port), "the page")
    seen: set[str] = set()

    def both() -> bool:
        seen.add(asked(port))
        return seen == ids

    until(both, "both tasks to answer")
    own = found[0]["Status"]["PortStatus"]["Ports"][0]
    assert asked(own["PublishedPort"]) == container(found[0])[:12]
    status, said = swarm.ask("POST", "/services/create", {
        "Name": "other", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}},
        "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": port}]},
    })  # fmt: skip
    assert status == 400 and f"port '{port}' is already in use by service 'page'" in said["message"]
    remove(swarm, "page")


def test_secrets_and_configs_are_files_in_memory_and_logs_say_whose_they_are(swarm: Member) -> None:
    data = base64.b64encode(b"the secret\n").decode()
    secret = swarm.told("POST", "/secrets/create", {"Name": "key", "Data": data})["ID"]
    config = swarm.told("POST", "/configs/create", {"Name": "conf", "Data": data})["ID"]
    file = {"UID": "1000", "GID": "0", "Mode": 0o400}
    container = {
        "Secrets": [{"SecretID": secret, "SecretName": "key", "File": {"Name": "key", **file}}],
        "Configs": [{"ConfigID": config, "ConfigName": "conf", "File": {"Name": "/etc/conf", **file}}],
    }
    look = "cat /run/secrets/key /etc/conf; stat -c '%a %u' /run/secrets/key; touch /run/secrets/key || echo ro"
    create(swarm, "reader", "sh", "-c", look, container=container, template={"RestartPolicy": {"Condition": "none"}})
    until(lambda: tasks(swarm, "reader", "complete"), "the reader to end")
    (task,) = tasks(swarm, "reader", "complete")
    raw = _body(swarm, "/services/reader/logs?stdout=1&details=1")
    lines = [line.partition(b" ") for line in raw.splitlines()]
    assert [text for _, _, text in lines] == [b"the secret", b"the secret", b"400 1000", b"ro"]
    assert f"com.docker.swarm.task.id={task['ID']}".encode() in lines[0][0]
    status, said = swarm.ask("DELETE", "/secrets/key")
    assert status == 400 and "secret 'key' is in use by the following service: reader" in said["message"]
    remove(swarm, "reader")
    assert not list((swarm.box.layout.run / "swarm-files").iterdir())


def _body(member: Member, path: str) -> bytes:
    """Lines of a stream in frames, without them."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(member.socket))
    connection.request("GET", f"/v1.41{path}")
    raw, text = connection.getresponse().read(), b""
    while raw:
        length = int.from_bytes(raw[4:8], "big")
        text, raw = text + raw[8 : 8 + length], raw[8 + length :]
    connection.close()
    return text


def test_services_on_an_overlay_network_find_each_other_by_name(swarm: Member) -> None:
    network = swarm.told("POST", "/networks/create", {"Name": "back", "Driver": "overlay"})["Id"]
    template = {"Networks": [{"Target": "back"}]}
    create(swarm, "store", "sh", "-c", SERVE, template=template, Mode=replicas(2))
    create(swarm, "client", "sleep", "999", template=template)
    servers, (client,) = running(swarm, "store", 2), running(swarm, "client", 1)

    def said(command: str) -> list[str]:
        return swarm.box("exec", container(client), "sh", "-c", command).stdout.split()

    own = [each["NetworksAttachments"][0]["Addresses"][0].partition("/")[0] for each in servers]
    until(lambda: set(own) <= set(said("nslookup tasks.store")), "both tasks to have a name")
    (virtual,) = swarm.told("GET", "/services/store")["Endpoint"]["VirtualIPs"]
    assert virtual["NetworkID"] == network
    assert virtual["Addr"].partition("/")[0] in said("nslookup store") and not set(own) & set(said("nslookup store"))
    four = "for turn in 1 2 3 4; do wget -qO- http://store/; done"
    assert sorted(said(four)) == sorted(2 * [container(each)[:12] for each in servers]), "each in turn"
    change(swarm, "store", lambda spec: spec.update(Mode=replicas(0)))
    until(
        lambda: "refused" in swarm.box("exec", container(client), "timeout", "9", "wget", "http://store/").stderr,
        "a clear no",
    )
    own_one = {"Image": "busybox", "HostConfig": {"NetworkMode": "back"}}
    lone = swarm.told("POST", "/containers/create", own_one)["Id"]
    status, refused = swarm.ask("POST", f"/containers/{lone}/start")
    assert status == 403 and "network back not manually attachable" in refused["message"]
    swarm.told("DELETE", f"/containers/{lone}")
    (row,) = swarm.told("GET", '/networks?filters={"name":["back"]}')
    assert (row["Id"], row["Driver"], row["Scope"]) == (network, "overlay", "swarm")
    status, said = swarm.ask("DELETE", "/networks/back")
    assert status == 500 and f"network {network} is in use by service" in said["message"]
    for name in ("store", "client"):
        remove(swarm, name)
    swarm.told("DELETE", "/networks/back")
    until(lambda: "back" not in swarm.box("network", "ls", "--format", "{{.Name}}").stdout, "the bridge to go")


def test_a_job_ends_and_what_fits_nowhere_says_why(swarm: Member) -> None:
    create(swarm, "job", "true", Mode={"ReplicatedJob": {"MaxConcurrent": 2, "TotalCompletions": 3}})
    until(lambda: len(tasks(swarm, "job", "complete")) == 3, "the job")
    rules = {"Placement": {"Constraints": ["node.labels.nosuch == yes"]}}
    create(swarm, "lost", "true", Mode={"Global": {}}, template=rules)
    create(swarm, "waits", "true", template=rules)
    until(lambda: tasks(swarm, "waits", "pending"), "a task that waits")
    until(lambda: "Err" in tasks(swarm, "waits", "pending")[0]["Status"], "its reason")
    why = tasks(swarm, "waits", "pending")[0]["Status"]["Err"]
    assert why == "no suitable node (scheduling constraints not satisfied on 1 node)"
    assert tasks(swarm, "lost", "pending") == []
    for name in ("job", "lost", "waits"):
        remove(swarm, name)


def test_the_command_line_makes_looks_and_takes_away(swarm: Member, tmp_path: Path) -> None:
    quick = ("--update-monitor", "100ms", "--stop-grace-period", "0s")
    made = swarm.cli("service", "create", "--name", "typed", *quick, "busybox", "sh", "-c", "echo hi; sleep 999")
    assert made.splitlines()[-1].endswith("converged")
    assert "replicated   1/1        busybox:latest" in swarm.cli("service", "ls")
    assert swarm.cli("service", "logs", "--raw", "typed") == "hi\n"
    assert "typed scaled to 2" in swarm.cli("service", "scale", "typed=2")
    assert swarm.cli("service", "ps", "-f", "desired-state=running", "typed").count("Running") >= 4
    assert "converged" in swarm.cli("service", "update", "--env-add", "A=b", "--update-parallelism", "0", "typed")
    assert " State:\t\tcompleted" in swarm.cli("service", "inspect", "--pretty", "typed")
    assert swarm.cli("service", "rm", "typed") == "typed\n"
    (tmp_path / "words").write_text("words")
    (tmp_path / "compose.yml").write_text(STACK.format(tmp_path))
    told = swarm.cli("stack", "deploy", "-c", str(tmp_path / "compose.yml"), "shop")
    assert told.splitlines() == ["Creating network shop_default", "Creating secret shop_key", "Creating service shop_a"]
    running(swarm, "shop_a", 1)
    assert swarm.cli("stack", "ls").splitlines()[1].split() == ["shop", "1"]
    told = swarm.cli("stack", "rm", "--detach=false", "shop")
    assert told.splitlines() == ["Removing service shop_a", "Removing secret shop_key", "Removing network shop_default"]


STACK = """
services: {{a: {{image: busybox, command: sleep 999, secrets: [key], stop_grace_period: 0s}}}}
secrets: {{key: {{file: "{}/words"}}}}
"""


def test_tasks_go_on_while_the_daemon_restarts(swarm: Member) -> None:
    port = free_port()
    create(swarm, "stays", "sh", "-c", SERVE, EndpointSpec={"Ports": [{"TargetPort": 80, "PublishedPort": port}]})
    (before,) = running(swarm, "stays", 1)
    swarm.kill()
    swarm.start()
    until(lambda: swarm.info()["ControlAvailable"], "the manager to be back")
    (after,) = running(swarm, "stays", 1)
    assert container(before) == container(after)
    until(lambda: asked(port) == container(after)[:12], "the new daemon to pass on what comes to the port")
    swarm.box("kill", container(after), check=True)
    until(lambda: tasks(swarm, "stays", "failed"), "the new daemon to notice")
    running(swarm, "stays", 1)
    remove(swarm, "stays")


def test_tasks_spread_over_nodes_and_leave_one_that_is_drained() -> None:
    require_root()
    require_tool("etcd")
    with members(2) as (manager, worker):
        manager.init()
        worker.join(manager, "worker")
        create(manager, "many", "sh", "-c", "echo hello; exec sleep 999", Mode=replicas(2))
        nodes = [task["NodeID"] for task in running(manager, "many", 2)]
        there = worker.info()["NodeID"]
        assert (len(set(nodes)), nodes.count(there)) == (2, 1)
        until(lambda: len(manager.cli("service", "logs", "--raw", "many").splitlines()) == 2, "what both tasks say")
        assert set(manager.cli("service", "logs", "--raw", "many").splitlines()) == {"hello"}
        (lines,) = [_body(manager, f"/tasks/{task}/logs?stdout=1&tail=1") for task in _tasks_of(manager, "many", there)]
        assert lines == b"hello\n"
        assert len(worker.box("ps", "-q", check=True).stdout.split()) == 1
        manager.update_node(there, Availability="drain")
        until(lambda: {task["NodeID"] for task in tasks(manager, "many")} == {manager.info()["NodeID"]}, "the move")
        running(manager, "many", 2)
        until(lambda: worker.box("ps", "-q", check=True).stdout == "", "the worker to stop them")


def _tasks_of(member: Member, name: str, node: str) -> list[str]:
    return [task["ID"] for task in tasks(member, name) if task["NodeID"] == node]
