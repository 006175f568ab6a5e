"""What a client asks for and can't have is refused when it asks, in Docker's words and with its codes.

The texts are dockerd 20.10.24's; the codes too, but for mistakes of the client that were a 500 then and are a 400 now.
"""

from __future__ import annotations

import json
from typing import Any

from tests.interop.test_api_hostile import ask
from tests.support.api import Daemon

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Env": ["=x"]}, "invalid environment variable: =x"),
    ({"WorkingDir": "x"}, "the working directory 'x' is invalid, it needs to be an absolute path"),
    ({"StopSignal": "nosuch"}, "Invalid signal: nosuch"),
    ({"MacAddress": "x"}, "address x: invalid MAC address"),
    ({"Healthcheck": {"Interval": 5}}, "Interval in Healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"Retries": -1}}, "Retries in Healthcheck cannot be negative"),
    ({"Hostname": "x", "HostConfig": {"NetworkMode": "container:one"}},
     "conflicting options: hostname and the network mode"),
]  # fmt: skip
WRONG_OF_THE_HOST: list[tuple[dict[str, Any], str]] = [
    ({"Binds": ["a"]}, "invalid volume specification: 'a': invalid mount config for type \"volume\": "
     "invalid mount path: 'a' mount path must be absolute"),
    ({"Binds": ["::"]}, "invalid volume specification: '::'"),
    ({"Binds": ["/a:/b:nosuch"]}, "invalid mode: nosuch"),
    ({"Mounts": [{"Type": "nosuch", "Target": "/x"}]}, 'invalid mount config for type "nosuch": mount type unknown'),
    ({"Mounts": [{"Type": "tmpfs", "Source": "a", "Target": "/x"}]},
     'invalid mount config for type "tmpfs": field Source must not be specified'),
    ({"Tmpfs": {"x": ""}}, "invalid mount path: 'x' mount path must be absolute"),
    ({"CpusetCpus": "a"}, "Invalid value a for cpuset cpus: invalid format: a"),
    ({"ShmSize": -1}, "SHM size can not be less than 0"),
    ({"OomScoreAdj": 5000}, "Invalid value 5000, range for oom score adj is [-1000, 1000]"),
    ({"CgroupnsMode": "nosuch"}, "invalid cgroup namespace mode: nosuch"),
    ({"PidMode": "container:nosuch"}, "No such container: nosuch"),
    ({"VolumesFrom": ["nosuch"]}, "No such container: nosuch"),
    ({"RestartPolicy": {"Name": "nosuch"}}, "invalid restart policy 'nosuch'"),
    ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
     "can't create 'AutoRemove' container with restart policy"),
    ({"LogConfig": {"Type": "nosuch"}}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
    ({"LogConfig": {"Type": "json-file", "Config": {"x": "y"}}}, "unknown log opt 'x' for json-file log driver"),
    ({"ExtraHosts": ["x"]}, 'bad format for add-host: "x"'),
    ({"ExtraHosts": ["a:b"]}, 'invalid IP address in add-host: "b"'),
    ({"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}, 'invalid port specification: "x"'),
    ({"SecurityOpt": ["nosuch"]}, 'invalid --security-opt 1: "nosuch"'),
    ({"CapAdd": ["nosuch"]}, 'invalid CapAdd: unknown capability: "CAP_NOSUCH" (see capabilities(7))'),
]  # fmt: skip


def test_a_container_that_can_not_be_is_refused_when_it_is_created(daemon: Daemon) -> None:
    """A 404 would be taken for a missing image: the docker command would pull that, and ask again."""
    bodies = [*WRONG, *(({"HostConfig": host}, message) for host, message in WRONG_OF_THE_HOST)]
    for body, message in bodies:
        asked = json.dumps({"Image": "busybox", "Cmd": ["true"], **body}).encode()
        assert ask(daemon, "POST", "/v1.44/containers/create", asked) == (400, message), body
    empty = "Config cannot be empty in order to create a container"
    assert ask(daemon, "POST", "/containers/create", b"{}") == (400, empty)
    assert ask(daemon, "POST", "/containers/create") == (400, "invalid JSON: got EOF while reading request body")
    two = json.dumps({"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"b": {}, "a": {}}}}).encode()
    refused = ask(daemon, "POST", "/v1.43/containers/create", two)
    assert refused == (400, "Container cannot be connected to network endpoints: a, b")
    assert json.loads(ask(daemon, "GET", "/containers/json?all=1")[1]) == []


def test_what_may_come_later_is_only_missed_at_the_start(daemon: Daemon) -> None:
    rows: list[tuple[dict[str, Any], int, str]] = [
        ({"HostConfig": {"NetworkMode": "container:nosuch"}}, 404, "No such container: nosuch"),
        ({"User": "nosuch"}, 500, "unable to find user nosuch: no matching entries in passwd file"),
        ({"User": "root:nosuch"}, 500, "unable to find group nosuch: no matching entries in group file"),
    ]
    for number, (body, status, message) in enumerate(rows):
        asked = json.dumps({"Image": "busybox", "Cmd": ["true"], **body}).encode()
        assert ask(daemon, "POST", f"/containers/create?name=n{number}", asked)[0] == 201
        assert ask(daemon, "POST", f"/containers/n{number}/start") == (status, message)


def test_an_empty_entrypoint_leaves_the_images_command_and_a_bind_may_be_a_place_alone(daemon: Daemon) -> None:
    daemon.docker("build", "-t", "spoken", "-", input='FROM busybox\nENTRYPOINT ["nosuch"]\nCMD ["true"]\n')
    body = json.dumps({"Image": "spoken", "Entrypoint": [], "HostConfig": {"Binds": ["/data"]}}).encode()
    assert ask(daemon, "POST", "/containers/create?name=one", body)[0] == 201
    found = json.loads(ask(daemon, "GET", "/containers/one/json")[1])
    assert (found["Path"], found["Args"]) == ("true", [])
    assert [(point["Type"], point["Destination"]) for point in found["Mounts"]] == [("volume", "/data")]
    assert ask(daemon, "DELETE", "/containers/one?v=1")[0] == 204


def test_execs_are_refused_as_dockerd_refuses_them(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    for body, message in (
        (b"{}", "No exec command specified"),
        (b"", "invalid JSON: got EOF while reading request body"),
        (b'{"Cmd": ["ls"], "DetachKeys": "ctrl-"}', "Invalid detach keys (ctrl-) provided"),
    ):
        assert ask(daemon, "POST", "/containers/one/exec", body) == (400, message)
    assert ask(daemon, "POST", "/containers/one/attach?detachKeys=ctrl-&stream=1")[0] == 400
    made = json.loads(ask(daemon, "POST", "/containers/one/exec", b'{"Cmd": ["sleep", "1000"]}')[1])["Id"]
    assert ask(daemon, "POST", f"/exec/{made}/resize?h=1&w=1")[0] == 409
    assert ask(daemon, "POST", f"/exec/{made}/start", b'{"Detach": true}')[0] == 200
    assert ask(daemon, "POST", f"/exec/{made}/resize?h=1&w=1")[0] == 200
    assert ask(daemon, "POST", f"/exec/{made}/resize?w=1") == (400, 'strconv.Atoi: parsing "": invalid syntax')
    daemon.docker("pause", "one")
    paused = ask(daemon, "POST", f"/exec/{made}/start", b"{}")
    assert paused[0] == 409 and paused[1].endswith(" is paused, unpause the container before exec")
    daemon.docker("unpause", "one")
    status, told = ask(daemon, "POST", "/containers/one/start", b'{"Binds": ["/tmp:/x"]}')
    assert status == 400 and told.startswith("starting container with non-empty request body was deprecated")
    assert ask(daemon, "POST", "/containers/one/start", b"{}")[0] == 304
    again = f"Error: Exec command {made} is already running"
    assert ask(daemon, "POST", f"/exec/{made}/start", b'{"Detach": true}') == (409, again)
    status, told = ask(daemon, "POST", f"/exec/{made}/start", b"{}")
    assert status == 200 and told.endswith(f"{again}\r\n"), told  # the streams have begun: what is wrong goes there


def test_lists_commits_and_names_are_refused_as_dockerd_refuses_them(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "one", "busybox")
    for method, path, message in (
        ("GET", '/containers/json?filters={"status":["x"]}', "invalid filter 'status=x'"),
        ("GET", '/containers/json?filters={"is-task":["x"]}', "invalid filter 'is-task=x'"),
        ("POST", "/commit?container=one&changes=RUN%20x", "run is not a valid change command"),
        ("POST", "/commit", 'invalid name or ID supplied: ""'),
        ("POST", "/containers/one/rename?name=one", "Renaming a container with the same name as its current name"),
        ("POST", "/containers/one/update", "invalid JSON: got EOF while reading request body"),
    ):
        assert ask(daemon, method, path) == (400, message)
    assert ask(daemon, "GET", '/containers/json?all=1&filters={"name":["["]}') == (200, "[]")


def test_a_context_in_which_nothing_is_has_no_dockerfile(daemon: Daemon) -> None:
    """A tar's end, two blocks of zeros, was taken for a Dockerfile."""
    status, told = ask(daemon, "POST", "/build", bytes(1024), **{"Content-Type": "application/x-tar"})
    assert status == 500 and told.endswith("open Dockerfile: no such file or directory")


def test_networks_volumes_events_and_plugins_are_refused_as_dockerd_refuses_them(daemon: Daemon) -> None:
    assert ask(daemon, "POST", "/networks/create", b'{"Name": "net1"}')[0] == 201
    daemon.docker("create", "--name", "one", "--network", "net1", "busybox")
    outside = b'{"Name": "net2", "IPAM": {"Config": [{"Subnet": "10.77.0.0/16", "Gateway": "1.2.3.4"}]}}'
    nothing = "invalid JSON: got EOF while reading request body"
    rows: list[tuple[str, str, bytes, int, str]] = [
        ("POST", "/networks/create", b"", 400, nothing),
        ("POST", "/networks/create", outside, 400, "no matching subnet for gateway 1.2.3.4"),
        ("POST", "/networks/create", b'{"Name": "host"}', 403, "operation is not permitted on predefined host network"),
        ("DELETE", "/networks/host", b"", 403, "host is a pre-defined network and cannot be removed"),
        ("POST", "/networks/net1/connect", b'{"Container": "one"}', 403,
         "endpoint with name one already exists in network net1"),
        ("POST", "/networks/host/connect", b'{"Container": "one"}', 400,
         "container cannot be disconnected from host network or connected to host network"),
        ("GET", "/networks/net1?scope=swarm", b"", 404, "network net1 not found"),
        ("GET", '/networks?filters={"x":["y"]}', b"", 400, "invalid filter 'x'"),
        ("GET", '/networks?filters={"until":["x"]}', b"", 400, "invalid filter 'until=x'"),
        ("POST", '/networks/prune?filters={"x":["y"]}', b"", 400, "invalid filter 'x'"),
        ("POST", "/volumes/create", b"", 400, nothing),
        ("GET", "/events?since=6&until=5", b"", 400, "`since` time (6) cannot be after `until` time (5)"),
        ("GET", '/plugins?filters={"x":["y"]}', b"", 400, "invalid filter 'x'"),
        ("GET", "/plugins/nosuch/json", b"", 404, 'plugin "nosuch" not found'),
    ]  # fmt: skip
    for method, path, body, status, message in rows:
        assert ask(daemon, method, path, body) == (status, message)
    assert ask(daemon, "GET", "/networks/net1?scope=local")[0] == 200
    assert ask(daemon, "GET", '/plugins?filters={"enabled":["true"]}') == (200, "[]")
    daemon.docker("rm", "one")
    assert ask(daemon, "DELETE", "/networks/net1")[0] == 204
