"""A node's executor with an engine that only remembers: which steps a task takes, and what its container is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from minidock.errors import MinidockError, UsageError
from minidock.swarm import containers, networks, templates
from minidock.swarm.executor import Executor

PATIENCE = 20.0


class Engine:
    """Containers are a state each; `end` is what happens to one by itself."""

    def __init__(self, tmp_path: Path) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.networks: dict[str, dict[str, Any]] = {}
        self.arranged: list[tuple[str, dict[str, Any]]] = []
        self.queues: list[tuple[str, asyncio.Queue[str]]] = []
        self.broken = ""
        self.lines: dict[str, list[tuple[int, bytes]]] = {}
        self.health = ""
        self.reports: list[tuple[str, str, str]] = []
        self.statuses: dict[str, dict[str, Any]] = {}
        self.heard = asyncio.Event()
        self.executor = Executor(self, tmp_path / "files")
        self.executor.begin(None, self._report)  # type: ignore[arg-type]

    def _report(self, id: str, status: dict[str, Any]) -> None:
        self.reports.append((id, status["State"], status.get("Err", "")))
        self.statuses[id] = status
        self.heard.set()

    async def until(self, id: str, state: str) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while self.statuses.get(id, {}).get("State") != state:
                self.heard.clear()
                await self.heard.wait()
        return self.statuses[id]

    async def inspect(self, name: str) -> dict[str, Any] | None:
        return self.containers.get(name)

    async def have_image(self, name: str, auth: dict[str, str] | None) -> None:
        if name == "missing":
            raise MinidockError("No such image: missing:latest")

    async def create(self, name: str, body: dict[str, Any]) -> str:
        self.log.append("create")
        state = {"Status": "created", "Running": False, "Pid": 0, "ExitCode": 0}
        if self.health:
            state["Health"] = {"Status": self.health}  # type: ignore[assignment]
        network = {"Ports": {"80/tcp": [{"HostPort": "32768"}]}, "Networks": {"bridge": {"IPAddress": "127.0.0.1"}}}
        self.containers[name] = {"Id": name, "Name": name, "State": state, "NetworkSettings": network}
        self.bodies[name] = body
        return name

    async def start(self, id: str) -> None:
        if self.broken:
            raise MinidockError(self.broken)
        self.log.append("start")
        self.containers[id]["State"].update(Status="running", Running=True, Pid=7)

    async def network(self, name: str) -> dict[str, Any] | None:
        return self.networks.get(name)

    async def create_network(self, body: dict[str, Any]) -> None:
        self.networks[body["Name"]] = body

    async def remove_network(self, name: str) -> None:
        del self.networks[name]

    async def arrange_network(self, name: str, body: dict[str, Any]) -> None:
        self.arranged.append((name, body))

    async def swarm_networks(self) -> dict[str, str]:
        return {body["Labels"][networks.LABEL]: name for name, body in self.networks.items()}

    def tell(self, id: str, action: str) -> None:
        for of, queue in self.queues:
            if of == id:
                queue.put_nowait(action)

    def fare(self, id: str, health: str) -> None:
        self.containers[id]["State"]["Health"] = {"Status": health}
        self.tell(id, f"health_status: {health}")

    def end(self, id: str, code: int) -> None:
        self.containers[id]["State"].update(Status="exited", Running=False, Pid=0, ExitCode=code)
        self.tell(id, "die")

    async def stop(self, id: str, seconds: int | None) -> None:
        self.log.append(f"stop {seconds}")
        self.end(id, 143)

    async def remove(self, id: str) -> None:
        self.log.append("remove")
        self.containers.pop(id, None)

    @contextlib.asynccontextmanager
    async def watched(self, id: str) -> AsyncIterator[AsyncIterator[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self.queues.append((id, queue))

        async def actions() -> AsyncIterator[str]:
            while True:
                yield await queue.get()

        yield actions()

    async def logs(self, container: str, wanted: dict[str, Any]) -> AsyncGenerator[tuple[int, bytes]]:
        for line in self.lines.get(container, []):
            yield line

    async def of_tasks(self) -> dict[str, str]:
        return {name.rpartition(".")[2]: name for name in self.containers}


def task(id: str = "t", wanted: str = "running", state: str = "assigned", **more: Any) -> dict[str, Any]:
    spec = {"Image": "busybox", **more.pop("spec", {})}
    return {
        "ID": id,
        "ServiceID": "s",
        "NodeID": "n",
        "Slot": 1,
        "Spec": {"ContainerSpec": spec, **more.pop("template", {})},
        "Status": {"State": state},
        "DesiredState": wanted,
        "Aside": {"Name": "web", **more},
    }


Story = Callable[[Engine], Coroutine[Any, Any, None]]


def told(tmp_path: Path, story: Story) -> Engine:
    async def run() -> Engine:
        engine = Engine(tmp_path)
        try:
            await story(engine)
        finally:
            await engine.executor.close(leave=False)
        return engine

    return asyncio.run(run())


def test_a_task_is_prepared_waits_for_its_turn_runs_and_completes(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        engine.executor.assign([task(wanted="ready")], {}, {})
        await engine.until("t", "ready")
        assert engine.log == ["create"]
        engine.executor.assign([task()], {}, {})
        status = await engine.until("t", "running")
        assert status["ContainerStatus"] == {"ContainerID": "web.1.t", "PID": 7, "ExitCode": 0}
        assert status["PortStatus"]["Ports"][0]["PublishedPort"] == 32768
        engine.end("web.1.t", 0)
        await engine.until("t", "complete")

    engine = told(tmp_path, story)
    states = [state for _, state, _ in engine.reports]
    assert states == ["accepted", "preparing", "ready", "starting", "running", "complete"]


@pytest.mark.parametrize(
    ("image", "broken", "state", "error"),
    [
        ("missing", "", "rejected", "No such image: missing:latest"),
        ("busybox", "no such command", "failed", "starting container failed: no such command"),
    ],
)
def test_what_cannot_be_is_reported(tmp_path: Path, image: str, broken: str, state: str, error: str) -> None:
    async def story(engine: Engine) -> None:
        engine.broken = broken
        engine.executor.assign([task(spec={"Image": image})], {}, {})
        await engine.until("t", state)

    assert told(tmp_path, story).reports[-1] == ("t", state, error)


def test_an_exit_that_is_not_zero_is_a_failure(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        engine.executor.assign([task()], {}, {})
        await engine.until("t", "running")
        engine.end("web.1.t", 3)
        await engine.until("t", "failed")

    assert told(tmp_path, story).reports[-1] == ("t", "failed", "task: non-zero exit (3)")


def test_a_task_that_is_not_wanted_any_more_is_stopped_and_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        engine.executor.assign([task(spec={"StopGracePeriod": 3 * 10**9})], {}, {})
        await engine.until("t", "running")
        engine.executor.assign([task(wanted="shutdown", spec={"StopGracePeriod": 3 * 10**9})], {}, {})
        await engine.until("t", "shutdown")
        assert "web.1.t" in engine.containers
        engine.executor.assign([], {}, {})

    engine = told(tmp_path, story)
    assert engine.log == ["create", "start", "stop 3", "remove"]
    assert engine.containers == {}


def test_a_restarted_daemon_goes_on_where_it_was(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        await engine.create("web.1.t", {})
        await engine.start("web.1.t")
        await engine.create("gone.1.old", {})
        engine.executor.assign([task(state="running"), task("lost", state="running")], {}, {})
        await engine.until("lost", "failed")
        async with asyncio.timeout(PATIENCE):
            while not engine.queues:
                await asyncio.sleep(0)
        engine.end("web.1.t", 0)
        await engine.until("t", "complete")

    engine = told(tmp_path, story)
    assert engine.log[:2] == ["create", "start"] and engine.log.count("start") == 1
    assert "gone.1.old" not in engine.containers


def test_a_task_with_a_health_check_runs_when_it_is_healthy_and_fails_when_it_is_not(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        engine.health = "starting"
        engine.executor.assign([task()], {}, {})
        await engine.until("t", "starting")
        while not engine.queues or "start" not in engine.log:
            await asyncio.sleep(0)
        engine.fare("web.1.t", "healthy")
        await engine.until("t", "running")
        engine.fare("web.1.t", "unhealthy")
        await engine.until("t", "failed")

    assert told(tmp_path, story).reports[-1] == ("t", "failed", "task: unhealthy container")


def test_secrets_and_configs_are_files_with_their_modes_and_go_with_the_task(tmp_path: Path) -> None:
    file = {"Name": "key", "UID": str(os.geteuid()), "GID": str(os.getegid()), "Mode": 0o440}
    spec = {
        "Secrets": [{"SecretID": "s1", "SecretName": "key", "File": file}],
        "Configs": [{"ConfigID": "c1", "ConfigName": "conf", "File": {**file, "Name": "/etc/app.conf"}}],
    }
    secrets = {"s1": {"Name": "key", "Data": "aGVsbG8="}}
    configs = {"c1": {"Name": "conf", "Data": "e3suVGFzay5TbG90fX0=", "Templating": {"Name": "golang"}}}

    async def story(engine: Engine) -> None:
        engine.executor.assign([task(spec=spec)], secrets, configs)
        await engine.until("t", "running")
        mounts = {mount["Target"]: Path(mount["Source"]) for mount in engine.bodies["web.1.t"]["HostConfig"]["Mounts"]}
        assert mounts["/run/secrets/key"].read_bytes() == b"hello"
        assert stat.S_IMODE(mounts["/run/secrets/key"].stat().st_mode) == 0o440
        assert mounts["/etc/app.conf"].read_bytes() == b"1", "{{.Task.Slot}}"
        engine.end("web.1.t", 0)
        async with asyncio.timeout(PATIENCE):
            while (tmp_path / "files" / "t").exists():
                await asyncio.sleep(0)

    told(tmp_path, story)


def test_a_secret_that_was_not_sent_rejects_the_task(tmp_path: Path) -> None:
    spec = {"Secrets": [{"SecretID": "s1", "SecretName": "key", "File": {"Name": "key"}}]}

    async def story(engine: Engine) -> None:
        engine.executor.assign([task(spec=spec)], {}, {})
        await engine.until("t", "rejected")

    assert told(tmp_path, story).reports[-1][2] == "secret key isn't here"


def test_a_network_of_the_swarm_comes_with_the_first_task_and_goes_with_the_last(tmp_path: Path) -> None:
    net = {
        "ID": "x",
        "Name": "net",
        "Internal": False,
        "Subnet": "10.0.0.0/24",
        "Gateway": "10.0.0.1",
        "Aliases": ["web"],
    }

    async def story(engine: Engine) -> None:
        engine.executor.assign([task(Networks=[net]), task("u", Networks=[net])], {}, {})
        await engine.until("t", "running")
        await engine.until("u", "running")
        assert engine.networks["net"]["IPAM"]["Config"] == [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}]
        body = engine.bodies["web.1.t"]
        assert body["HostConfig"]["NetworkMode"] == "net"
        assert body["NetworkingConfig"]["EndpointsConfig"] == {"net": {"Aliases": ["web"]}}
        engine.executor.assign([task("u", Networks=[net])], {}, {})
        async with asyncio.timeout(PATIENCE):
            while "web.1.t" in engine.containers:
                await asyncio.sleep(0)
        assert "net" in engine.networks
        engine.executor.assign([], {}, {})

    assert told(tmp_path, story).networks == {}


def test_a_task_with_an_address_waits_for_the_managers_word_and_every_word_is_passed_on(tmp_path: Path) -> None:
    net = {"ID": "x", "Name": "net", "Internal": False, "Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1", "Aliases": []}
    given = task(Networks=[{**net, "Address": "10.0.0.5/24"}])
    said = {"Name": "net", "Gateway": "10.0.0.9", "Here": ["10.0.0.5"], "Names": {}}

    async def story(engine: Engine) -> None:
        await engine.create_network({"Name": "old", "Labels": {networks.LABEL: "y"}})
        engine.executor.assign([given], {}, {}, {"x": {**said, "Here": []}})
        await engine.until("t", "preparing")
        assert "create" not in engine.log
        engine.executor.assign([given], {}, {}, {"x": said})
        await engine.until("t", "running")
        assert engine.networks["net"]["IPAM"]["Config"] == [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.9"}]
        assert engine.bodies["web.1.t"]["NetworkingConfig"]["EndpointsConfig"] == {
            "net": {"IPAMConfig": {"IPv4Address": "10.0.0.5"}}
        }
        assert ("net", said) in engine.arranged and "old" not in engine.networks, "what nobody uses is swept away"
        engine.executor.assign([given], {}, {}, {"x": {**said, "Names": {"a": ["10.0.0.7"]}}})
        async with asyncio.timeout(PATIENCE):
            while engine.arranged[-1][1]["Names"] == {}:
                await asyncio.sleep(0)
        engine.executor.assign([], {}, {}, {})

    assert told(tmp_path, story).networks == {}


def test_a_published_port_is_passed_on_to_the_tasks_in_turn(tmp_path: Path) -> None:
    """Two tasks, each a server of this test's own on a loopback address."""

    async def story(engine: Engine) -> None:
        servers = []
        for address, word in (("127.0.0.1", b"one"), ("127.0.0.2", b"two")):
            servers.append(await asyncio.start_server(_says(word), address, 0 if not servers else _port(servers[0])))
        inside = _port(servers[0])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            outside = probe.getsockname()[1]
        ingress = engine.executor.ingress
        await ingress.publish("a", "127.0.0.1", [(("tcp", outside), inside)])
        await ingress.publish("b", "127.0.0.2", [(("tcp", outside), inside)])
        assert sorted([await _asked(outside) for _ in range(4)]) == [b"one", b"one", b"two", b"two"]
        await ingress.withdraw("a")
        assert [await _asked(outside) for _ in range(2)] == [b"two", b"two"]
        await ingress.withdraw("b")
        with pytest.raises(OSError, match=r"refused|failed"):
            await _asked(outside)
        for server in servers:
            server.close()

    told(tmp_path, story)


def test_a_port_of_the_mesh_leads_to_tasks_of_other_nodes_and_closes_with_the_last(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        server = await asyncio.start_server(_says(b"far"), "127.0.0.1", 0)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            outside = probe.getsockname()[1]
        port = {"PublishedPort": outside, "TargetPort": _port(server), "Tasks": {"u": "127.0.0.1"}}
        net = {"ID": "i", "Name": "ingress", "Ingress": True, "Internal": False, "Subnet": "10.0.0.0/24"}
        engine.executor.assign([], {}, {}, {"i": {**net, "Gateway": "10.0.0.9", "Ports": [port]}})
        async with asyncio.timeout(PATIENCE):
            while (answer := await _asked_perhaps(outside)) is None:
                await asyncio.sleep(0)
            assert answer == b"far" and "ingress" in engine.networks
            engine.executor.assign([], {}, {}, {})
            while engine.networks:
                await asyncio.sleep(0)
        assert await _asked_perhaps(outside) is None
        server.close()

    told(tmp_path, story)


async def _asked_perhaps(port: int) -> bytes | None:
    """None while nobody listens."""
    try:
        return await _asked(port)
    except OSError:
        return None


def _says(word: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(word)
        await writer.drain()
        writer.close()

    return answer


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def _asked(port: int) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"?\n")
        await writer.drain()
        said = await reader.read()
        writer.close()
        return said


# What the container is


def test_a_container_has_what_its_task_says() -> None:
    given = task(
        spec={
            "Command": ["sh"],
            "Args": ["-c", "true"],
            "Env": ["WHO={{.Task.Name}}", 'L={{index .Service.Labels "a.b"}}'],
            "Hostname": "{{.Node.Hostname}}-{{.Task.Slot}}",
            "Hosts": ["10.0.0.1 a b"],
            "CapabilityAdd": ["CAP_SYSLOG"],
            "Sysctls": {"net.core.somaxconn": "1024"},
            "Mounts": [{"Type": "volume", "Source": "data-{{.Task.Slot}}", "Target": "/data"}],
            "Labels": {"x": "y"},
        },
        template={
            "Resources": {"Limits": {"NanoCPUs": 5 * 10**8, "MemoryBytes": 64 << 20, "Pids": 5}},
            "LogDriver": {"Name": "none"},
        },
        Ports=[{"TargetPort": 81, "PublishMode": "host"}, {"TargetPort": 80, "PublishedPort": 8080}],
        Labels={"a.b": "c"},
    )
    body = containers.body(given, "host", {})
    assert (body["Entrypoint"], body["Cmd"]) == (["sh"], ["-c", "true"])
    assert body["Env"] == ["WHO=web.1.t", "L=c"]
    assert body["Hostname"] == "host-1"
    assert body["Labels"]["com.docker.swarm.task.name"] == "web.1.t" and body["Labels"]["x"] == "y"
    host = body["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (5 * 10**8, 64 << 20, 5)
    assert host["ExtraHosts"] == ["a:10.0.0.1", "b:10.0.0.1"]
    assert host["PortBindings"] == {"81/tcp": [{"HostPort": ""}]}
    assert host["Mounts"] == [{"Type": "volume", "Source": "data-1", "Target": "/data"}]
    assert host["LogConfig"]["Type"] == "none"
    assert (host["CapAdd"], host["Sysctls"]) == (["CAP_SYSLOG"], {"net.core.somaxconn": "1024"})


def test_a_template_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\.Nosuch is not known"):
        templates.filled("{{ .Nosuch }}", {})


def test_what_was_taken_away_while_the_daemon_was_has_no_secrets_left_here(tmp_path: Path) -> None:
    for name in ("t", "old"):
        (tmp_path / "files" / name).mkdir(parents=True)
        (tmp_path / "files" / name / "0").write_text("a secret")

    async def story(engine: Engine) -> None:
        engine.containers["web.1.old"] = {"Id": "web.1.old"}
        engine.executor.assign([task(wanted="ready")], {}, {})
        await engine.until("t", "ready")
        async with asyncio.timeout(PATIENCE):
            while "web.1.old" in engine.containers:
                await asyncio.sleep(0.01)

    told(tmp_path, story)
    assert [each.name for each in (tmp_path / "files").iterdir()] == ["t"]
