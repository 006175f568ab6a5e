"""What the flags of `service create` and `service update`, and a compose file, become: API `ServiceSpec`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from minidock.cli import (
    service_create,
    service_fields,
    service_update,
    stack_config,
    stack_file,
    stack_services,
    swarm_api,
)
from minidock.cli.flags import parse
from minidock.cli.service_fields import ROLLING
from minidock.cli.service_parts import file, network, ports
from minidock.errors import MinidockError, UsageError


class Api:
    """Knows one secret, one config and one network."""

    def json(self, method: str, path: str, query: object = None) -> Any:
        known = {"/secrets": "s1", "/configs": "c1"}
        if path in known:
            return [{"ID": known[path], "Spec": {"Name": "key"}}]
        return {"Id": f"id of {path.rpartition('/')[2]}"}


def created(*words: str) -> dict[str, Any]:
    given, rest = parse(service_create.create.flags, words, interspersed=False)
    return service_create.spec_of(Api(), rest, given)


def changed(spec: dict[str, Any], *words: str) -> dict[str, Any]:
    given, _ = parse(service_update.update.flags, words)
    service_update._change(Api(), spec, given)  # type: ignore[arg-type]
    return spec


def test_flags_of_create_stand_where_the_api_has_them() -> None:
    spec = created(
        "--name=web", "--replicas", "3", "-p", "8080:80", "-e", "A=b", "--secret", "source=key,target=k,mode=0400",
        "--constraint", "node.role==worker", "--limit-cpu", ".5", "--reserve-memory", "64m", "--restart-delay", "1s",
        "--update-order", "start-first", "--network", "name=net,alias=x", "--host", "a:10.0.0.1", "--label", "l=1",
        "--placement-pref", "spread=node.labels.rack", "--health-cmd", "true", "--mount", "type=volume,src=d,dst=/d",
        "--entrypoint", "sh -c", "--stop-grace-period", "2s", "busybox", "echo", "-n",
    )  # fmt: skip
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    assert (spec["Name"], spec["Mode"], spec["Labels"]) == ("web", {"Replicated": {"Replicas": 3}}, {"l": "1"})
    assert (container["Image"], container["Args"], container["Command"]) == (
        "busybox:latest",
        ["echo", "-n"],
        ["sh", "-c"],
    )
    assert (container["Env"], container["Hosts"]) == (["A=b"], ["10.0.0.1 a"])
    assert container["Secrets"] == [
        {"File": {"Name": "k", "UID": "0", "GID": "0", "Mode": 0o400}, "SecretID": "s1", "SecretName": "key"}
    ]
    assert container["Healthcheck"] == {"Test": ["CMD-SHELL", "true"]}
    assert container["StopGracePeriod"] == 2 * 10**9
    assert container["Mounts"][0]["Target"] == "/d"
    assert template["Resources"] == {
        "Limits": {"NanoCPUs": 5 * 10**8},
        "Reservations": {"MemoryBytes": 64 << 20},
    }
    assert template["RestartPolicy"] == {"Delay": 10**9}
    assert template["Placement"] == {
        "Constraints": ["node.role==worker"],
        "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
    }
    assert template["Networks"] == [{"Target": "id of net", "Aliases": ["x"]}]
    assert spec["UpdateConfig"] == {**ROLLING, "Order": "start-first"}
    assert spec["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress", "PublishedPort": 8080}
    ]


def test_update_adds_replaces_and_removes() -> None:
    spec = created(
        "-e", "A=1", "-e", "B=2", "-p", "8080:80", "-p", "81", "--label", "x=1", "--cap-add", "NET_ADMIN", "i"
    )
    changed(
        spec, "--env-add", "A=3", "--env-rm", "B", "--env-add", "C=4", "--publish-rm", "81", "--publish-add", "9090:80",
        "--label-rm", "x", "--label-add", "y=2", "--replicas", "5", "--image", "j", "--args", "a 'b c'", "--force",
        "--cap-add", "SYS_TIME", "--secret-add", "key", "svc",
    )  # fmt: skip
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["A=3", "C=4"]
    assert [(each["TargetPort"], each.get("PublishedPort")) for each in spec["EndpointSpec"]["Ports"]] == [(80, 9090)]
    assert (spec["Labels"], spec["Mode"]) == ({"y": "2"}, {"Replicated": {"Replicas": 5}})
    assert (container["Image"], container["Args"]) == ("j:latest", ["a", "b c"])
    assert container["CapabilityAdd"] == ["CAP_NET_ADMIN", "CAP_SYS_TIME"]
    assert spec["TaskTemplate"]["ForceUpdate"] == 1
    changed(spec, "--secret-rm", "key", "svc")
    assert container["Secrets"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mode", "foo", "i"], "Unknown mode: foo"),
        (["--mode", "global", "--replicas", "2", "i"], "replicas can only be used with"),
        (["--max-concurrent", "2", "i"], "max-concurrent can only be used with"),
        (["--secret", "nosuch", "i"], "secret not found: nosuch"),
        (["--no-healthcheck", "--health-cmd", "x", "i"], "--no-healthcheck conflicts with"),
        (["--isolation", "hyperv", "i"], "that is for Windows"),
    ],
)
def test_what_create_refuses(words: list[str], said: str) -> None:
    with pytest.raises(MinidockError) as refused:
        created(*words)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("parsed", "raw", "said"),
    [
        (ports, "1.2.3.4:80:80", "hostip is not supported"),
        (ports, "published=80", "missing mandatory field 'target'"),
        (ports, "target=80,mode=foo", "invalid mode value"),
        (ports, "x", "invalid port number: x"),
        (file, "target=x", "source is required"),
        (file, "source=x,mode=9", "invalid mode specified: 9"),
        (network, "alias=x", "network name/id is not specified"),
    ],
)
def test_words_that_mean_nothing(parsed: Any, raw: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parsed(raw)


COMPOSE = """
version: "3.8"
services:
  web:
    image: ${IMAGE:-busybox}
    command: echo "$$HOME"
    environment: {A: 1, B: null, C: true}
    ports: ["8080:80", {target: 81, mode: host}]
    volumes: ["data:/data:ro", "/etc:/host"]
    secrets: [key]
    healthcheck: {test: "true", interval: 1m, retries: 2}
    networks: {back: {aliases: [w]}}
    deploy:
      mode: replicated
      replicas: 2
      placement: {constraints: ["node.role==worker"], preferences: [{spread: node.labels.z}]}
      resources: {limits: {cpus: "0.5", memory: 64M}}
      restart_policy: {condition: on-failure, delay: 5s}
      update_config: {order: start-first, delay: 10s}
      labels: [x=y]
networks: {back: {}}
volumes: {data: {}}
"""


def test_a_compose_file_becomes_services(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(COMPOSE)
    given = stack_file.load([str(path)])
    ids = {"networks": {"back": "n1"}, "secrets": {"key": {"ID": "s1", "Name": "shop_key"}}, "configs": {}}
    spec = stack_services.spec("shop", "web", given["services"]["web"], given, ids)
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    assert spec["Name"] == "shop_web"
    assert spec["Labels"] == {
        "x": "y",
        "com.docker.stack.namespace": "shop",
        "com.docker.stack.image": "busybox",
    }
    assert (container["Image"], container["Args"], container["Env"]) == (
        "busybox:latest",
        ["echo", "$HOME"],
        ["A=1", "C=true"],
    )
    assert container["Mounts"][0]["Source"] == "shop_data" and container["Mounts"][0]["ReadOnly"]
    assert container["Mounts"][1] == {"Type": "bind", "Target": "/host", "Source": "/etc"}
    assert container["Secrets"][0]["SecretName"] == "shop_key"
    assert container["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 60 * 10**9, "Retries": 2}
    assert template["Networks"] == [{"Target": "n1", "Aliases": ["web", "w"]}]
    assert template["Resources"]["Limits"] == {"NanoCPUs": 5 * 10**8, "MemoryBytes": 64 << 20}
    assert template["RestartPolicy"] == {"Condition": "on-failure", "Delay": 5 * 10**9}
    assert spec["UpdateConfig"] == {"Parallelism": 1, "Order": "start-first", "Delay": 10 * 10**9}
    assert [port["PublishMode"] for port in spec["EndpointSpec"]["Ports"]] == ["ingress", "host"]
    json.dumps(spec)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "top-level object must be a mapping"),
        ("a: [", "is no YAML"),
        ('version: "2"\nservices: {a: {image: b}}', "unsupported Compose file version: 2"),
        ("services: {a: {image: b, foo: 1}}", "services.a Additional property foo is not allowed"),
        ("services: {a: {build: .}}", "invalid image reference for service a"),
        ("foo: 1\nservices: {a: {image: b}}", r"\(root\) Additional property foo is not allowed"),
        ("version: '3'", "no services are defined"),
        ("services: {a: {image: '${NOSUCH_X:?say it}'}}", "required variable NOSUCH_X is missing a value: say it"),
    ],
)
def test_compose_files_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(text)
    with pytest.raises(MinidockError, match=said):
        stack_file.load([str(path)])


def test_of_several_files_the_later_wins(tmp_path: Path) -> None:
    for name, text in (
        ("a", "services: {w: {image: a, cap_add: [X]}}"),
        ("b", "services: {w: {image: b, cap_add: [Y]}}"),
    ):
        (tmp_path / name).write_text(text)
    merged = stack_file.load([str(tmp_path / "a"), str(tmp_path / "b")])
    assert merged["services"]["w"] == {"image": "b", "cap_add": ["X", "Y"]}


def test_a_name_is_no_other_part_of_an_address() -> None:
    assert swarm_api.path("secrets", "a/b?force=1") == "/secrets/a%2Fb%3Fforce%3D1"


def test_what_is_not_said_of_an_update_is_dockers_default_and_no_update_of_all_at_once() -> None:
    spec = created("--name", "web", "--update-delay", "2s", "busybox")
    assert spec["UpdateConfig"] == {**ROLLING, "Delay": 2 * 10**9}
    assert "RollbackConfig" not in spec
    changed(spec, "--rollback-order", "start-first", "--update-parallelism", "0")
    assert spec["RollbackConfig"] == {**ROLLING, "Order": "start-first"}
    assert spec["UpdateConfig"] == {**ROLLING, "Delay": 2 * 10**9, "Parallelism": 0}


def test_with_registry_auth_the_nodes_are_told_who_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login = base64.b64encode(b"bob:rosebud").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.example": {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    image, asked = "registry.example/app", {"with_registry_auth": True}
    assert service_fields.headers(image, {"with_registry_auth": False}) == {}
    sent = json.loads(base64.urlsafe_b64decode(service_fields.headers(image, asked)["X-Registry-Auth"]))
    assert sent == {"username": "bob", "password": "rosebud", "serveraddress": "registry.example"}
    other = service_fields.headers("busybox", asked)["X-Registry-Auth"]
    assert json.loads(base64.urlsafe_b64decode(other)) == {}


def test_a_range_of_ports_is_as_many_ports() -> None:
    spec = created("-p", "8080-8081:80-81/udp", "-p", "90-91", "busybox")
    found = [
        (each.get("PublishedPort"), each["TargetPort"], each["Protocol"]) for each in spec["EndpointSpec"]["Ports"]
    ]
    assert found == [(8080, 80, "udp"), (8081, 81, "udp"), (None, 90, "tcp"), (None, 91, "tcp")]
    for bad, said in (("8080-8082:80-81", "invalid ranges specified"), ("81-80", "invalid range specified for port")):
        with pytest.raises(UsageError, match=said):
            ports(bad)


SHORT = """\
version: "3.8"
services:
  web:
    image: busybox
    command: echo 'a b'
    environment: [A=b, "Q=a: b", "E="]
    labels: {b: "yes", a: "1.5"}
    ports: ["80", "9000-9001:80-81", {target: 1, published: 2, mode: host}]
    networks: [z, n]
    configs: [conf, {source: conf, target: /etc/conf, mode: 0440}]
    volumes: [/x, "data:/d:ro"]
    healthcheck: {test: "true", interval: 90s}
    deploy:
      replicas: 2
      resources: {limits: {memory: 64M, cpus: "0.5"}}
      update_config: {order: start-first, delay: 10s}
networks: {z: {}, n: {internal: true, driver: overlay}}
configs: {conf: {external: true}}
"""
WHOLE = """\
version: "3.8"
services:
  web:
    command:
      - echo
      - a b
    configs:
      - source: conf
      - source: conf
        target: /etc/conf
        mode: 288
    deploy:
      replicas: 2
      update_config:
        delay: 10s
        order: start-first
      resources:
        limits:
          cpus: "0.5"
          memory: "67108864"
    environment:
      A: b
      E: ""
      Q: 'a: b'
    healthcheck:
      test:
        - CMD-SHELL
        - "true"
      interval: 1m30s
    image: busybox
    labels:
      a: "1.5"
      b: "yes"
    networks:
      "n": null
      z: null
    ports:
      - mode: ingress
        target: 80
        protocol: tcp
      - mode: ingress
        target: 80
        published: 9000
        protocol: tcp
      - mode: ingress
        target: 81
        published: 9001
        protocol: tcp
      - mode: host
        target: 1
        published: 2
    volumes:
      - type: volume
        target: /x
      - type: volume
        source: data
        target: /d
        read_only: true
networks:
  "n":
    driver: overlay
    internal: true
  z: {}
configs:
  conf:
    name: conf
    external: true
"""


def test_the_whole_form_of_a_compose_file_is_dockers(tmp_path: Path) -> None:
    """As Docker 28's client prints it of the same file."""
    (tmp_path / "a.yml").write_text(SHORT)
    (tmp_path / "b.yml").write_text('version: "3.7"')
    assert stack_config.text(stack_config.whole(stack_file.load([str(tmp_path / "a.yml")]))) == WHOLE
    with pytest.raises(UsageError, match=r"version mismatched between two composefiles : 3.8 and 3.7"):
        stack_file.load([str(tmp_path / "a.yml"), str(tmp_path / "b.yml")])
