"""What a service may be, in Docker's words; and what the API shows of it. Texts: dockerd 20.10 (API 1.41)."""

from __future__ import annotations

from typing import Any

import pytest

from minidock.errors import Conflict, MinidockError, NotFound
from minidock.swarm import constraints, services, validate
from minidock.swarm.objects import TaskState, new_id
from minidock.swarm.store import MemoryStore

SPEC: dict[str, Any] = {"Name": "min", "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}}


def made(**changes: Any) -> dict[str, Any]:
    return {**SPEC, **changes}


def template(**changes: Any) -> dict[str, Any]:
    return {"ContainerSpec": {"Image": "busybox"}, **changes}


def container(**changes: Any) -> dict[str, Any]:
    return {"ContainerSpec": {"Image": "busybox", **changes}}


PORT = {"TargetPort": 80, "PublishedPort": 8089}


def test_what_is_not_said_is_shown_as_docker_shows_it() -> None:
    store = MemoryStore()
    id = services.create(store, SPEC, now=0)["ID"]
    service = services.inspected(store, "min")
    assert service["ID"] == id
    assert service["Spec"] == {
        "Name": "min",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "busybox", "Isolation": "default"},
            "ForceUpdate": 0,
            "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }
    assert set(service) == {"ID", "Version", "CreatedAt", "UpdatedAt", "Spec", "Endpoint"}
    assert services.inspected(store, "min", insert_defaults=True)["Spec"]["RollbackConfig"]["Monitor"] == 5 * 10**9


def test_members_come_in_whatever_case() -> None:
    store = MemoryStore()
    given = made(Mode={"replicated": {"Replicas": 2}}, rollbackconfig={"order": "start-first"}, Labels={"mode": "x"})
    services.create(store, given, now=0)
    spec = services.inspected(store, "min")["Spec"]
    assert (spec["Mode"], spec["Labels"]) == ({"Replicated": {"Replicas": 2}}, {"mode": "x"})
    assert spec["RollbackConfig"]["Order"] == "start-first"


def test_ports_policies_and_updates_get_their_defaults() -> None:
    store = MemoryStore()
    given = made(
        EndpointSpec={"Ports": [PORT]},
        UpdateConfig={},
        Mode=None,
        TaskTemplate=template(RestartPolicy={"Condition": ""}),
    )
    services.create(store, given, now=0)
    spec = services.inspected(store, "min")["Spec"]
    assert spec["EndpointSpec"] == {
        "Mode": "vip",
        "Ports": [{"TargetPort": 80, "PublishedPort": 8089, "Protocol": "tcp", "PublishMode": "ingress"}],
    }
    assert spec["UpdateConfig"] == {
        "Parallelism": 0,
        "FailureAction": "pause",
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    }
    assert spec["TaskTemplate"]["RestartPolicy"] == {"Condition": "any", "MaxAttempts": 0}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"Name": "min"}, "mismatched Runtime and *Spec fields"),
        (made(Name="mi n"), "name must be valid as a DNS name component"),
        (made(Name="n" * 64), "name must be 63 characters or fewer"),
        (made(TaskTemplate=container(Image="Busybox")), 'ContainerSpec: "Busybox" is not a valid repository/tag'),
        (made(TaskTemplate=container(Image="")), "ContainerSpec: image reference must be provided"),
        (made(TaskTemplate=template(RestartPolicy={"Condition": "foo"})), 'invalid RestartCondition: "foo"'),
        (made(TaskTemplate=template(Placement={"Constraints": ["x"]})), "constraint expected one operator from ==, !="),
        (made(TaskTemplate=template(Resources={"Limits": {"MemoryBytes": 1}})), "Must be at least 4MiB"),
        (made(TaskTemplate=template(PluginSpec={"Name": "x"})), "minidock has no plugins"),
        (made(TaskTemplate=container(Mounts=[{"Type": "npipe", "Target": "/x"}])), "mounts of the type npipe can't be"),
        (
            made(TaskTemplate=container(Mounts=[{"Type": "tmpfs", "Target": "/x"}] * 2)),
            "ContainerSpec: duplicate mount point: /x",
        ),
        (made(TaskTemplate=container(Healthcheck={"Interval": 5})), "Interval in HealthConfig cannot be less than 1ms"),
        (made(TaskTemplate=container(Secrets=[{"SecretID": "x"}])), "malformed secret reference"),
        (made(Mode={"Global": {}, "Replicated": {}}), "must specify only one service mode"),
        (made(Mode={"Replicated": {"Replicas": -1}}), "Number of replicas must be non-negative"),
        (made(Mode={"GlobalJob": {}}, UpdateConfig={"Parallelism": 1}), "Jobs may not have an update config"),
        (made(UpdateConfig={"FailureAction": "foo"}), "unrecognized update failure action foo"),
        (made(RollbackConfig={"FailureAction": "rollback"}), "unrecognized rollback failure action rollback"),
        (made(UpdateConfig={"MaxFailureRatio": 2}), "update-maxfailureratio cannot be less than 0 or bigger than 1"),
        (made(EndpointSpec={"Mode": "foo"}), 'invalid resolution mode: "foo"'),
        (made(EndpointSpec={"Mode": "dnsrr", "Ports": [PORT]}), "ingress mode can't be used with dnsrr mode"),
        (made(EndpointSpec={"Ports": [PORT, PORT]}), "duplicate published ports provided"),
        (made(TaskTemplate=template(ForceUpdate="x")), "invalid JSON"),
        (made(TaskTemplate="x"), "invalid JSON"),
    ],
)
def test_what_a_service_cannot_be(spec: dict[str, Any], said: str) -> None:
    store = MemoryStore()
    with pytest.raises(MinidockError) as refused:
        services.create(store, spec, now=0)
    assert said in refused.value.message
    assert store.all("service") == []


def test_a_name_and_a_published_port_are_taken_once() -> None:
    store = MemoryStore()
    services.create(store, made(EndpointSpec={"Ports": [PORT]}), now=0)
    with pytest.raises(Conflict, match="name conflicts with an existing object: service min already exists"):
        services.create(store, SPEC, now=0)
    with pytest.raises(
        MinidockError, match=r"port '8089' is already in use by service 'min' \(.*\) as an ingress port"
    ):
        services.create(store, made(Name="other", EndpointSpec={"Ports": [PORT]}), now=0)
    services.create(store, made(Name="udp", EndpointSpec={"Ports": [{**PORT, "Protocol": "udp"}]}), now=0)


def test_a_secret_that_is_not_there_is_named() -> None:
    store = MemoryStore()
    store.create("secret", "s1", {"Spec": {"Name": "key"}}, name="key")
    file = {"File": {"Name": "key", "UID": "0", "GID": "0", "Mode": 0o444}}
    known = {**file, "SecretID": "s1", "SecretName": "key"}
    services.create(store, made(TaskTemplate=container(Secrets=[known])), now=0)
    unknown = {"File": {"Name": "b"}, "SecretID": "s2", "SecretName": "lock"}
    with pytest.raises(MinidockError, match="secret not found: lock"):
        services.create(store, made(Name="other", TaskTemplate=container(Secrets=[known, unknown])), now=0)


def test_updates_are_made_from_the_newest_and_keep_name_and_mode() -> None:
    store = MemoryStore()
    services.create(store, SPEC, now=0)
    version = services.find(store, "min").revision
    with pytest.raises(MinidockError, match="update out of sequence"):
        services.update(store, "min", SPEC, version - 1, now=0)
    with pytest.raises(MinidockError, match="renaming services is not supported"):
        services.update(store, "min", made(Name="max"), version, now=0)
    with pytest.raises(MinidockError, match="service mode change is not allowed"):
        services.update(store, "min", made(Mode={"Global": {}}), version, now=0)
    with pytest.raises(MinidockError, match="does not have a previous spec"):
        services.update(store, "min", SPEC, version, rollback="previous", now=0)
    services.update(store, "min", made(TaskTemplate=container(Image="two")), version, now=0)
    body = services.inspected(store, "min")
    assert body["PreviousSpec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "busybox"
    services.update(store, "min", SPEC, body["Version"]["Index"], rollback="previous", now=0)
    body = services.inspected(store, "min")
    assert body["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == "busybox"
    assert body["UpdateStatus"]["State"] == "rollback_started"


def test_a_service_is_found_by_name_id_and_the_beginning_of_an_id() -> None:
    store = MemoryStore()
    id = services.create(store, SPEC, now=0)["ID"]
    assert {services.find(store, ref).id for ref in ("min", id, id[:6])} == {id}
    with pytest.raises(NotFound, match=r"^service nosuch not found$"):
        services.find(store, "nosuch")
    with pytest.raises(NotFound, match=r"^service  not found$"):
        services.find(store, "")


def test_lists_are_filtered_and_count_what_runs() -> None:
    store = MemoryStore()
    id = services.create(store, made(Labels={"a": "b"}, Mode={"Replicated": {"Replicas": 3}}), now=0)["ID"]
    services.create(store, made(Name="other", Mode={"Global": {}}), now=0)
    for filters, names in (
        ({"label": ["a"]}, ["min"]),
        ({"label": ["a=c"]}, []),
        ({"name": ["mi", "oth"]}, ["min", "other"]),
        ({"mode": ["global"]}, ["other"]),
        ({"id": [id[:5]]}, ["min"]),
    ):
        assert [service["Spec"]["Name"] for service in services.listed(store, filters)] == names
    with pytest.raises(MinidockError, match="invalid filter 'foo'"):
        services.listed(store, {"foo": ["x"]})
    running = {"State": TaskState.RUNNING.shown()}
    store.create("task", new_id(), {"ServiceID": id, "Status": running, "DesiredState": "running"})
    status = services.listed(store, {"name": ["min"]}, status=True)[0]["ServiceStatus"]
    assert status == {"RunningTasks": 1, "DesiredTasks": 3, "CompletedTasks": 0}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("node.role==manager", True),
        ("node.role == Manager", True),
        ("node.role!=manager", False),
        ("node.hostname==one", True),
        ("node.ip==10.0.0.0/8", True),
        ("node.ip!=10.1.2.3", False),
        ("node.labels.disk==ssd", True),
        ("node.labels.none!=x", True),
        ("engine.labels.gpu==yes", True),
        ("node.platform.arch==amd64", True),
        ("node.nosuch==x", False),
    ],
)
def test_constraints(rule: str, holds: bool) -> None:
    node = MemoryStore().create(
        "node",
        "n",
        {
            "Spec": {"Role": "manager", "Labels": {"disk": "ssd"}},
            "Description": {
                "Hostname": "one",
                "Platform": {"OS": "linux", "Architecture": "amd64"},
                "Engine": {"Labels": {"gpu": "yes"}},
            },
            "Status": {"Addr": "10.1.2.3"},
        },
    )
    assert constraints.meets(node, [rule]) is holds


def test_members_stand_where_dockers_structures_have_them() -> None:
    ports = {"Ports": [{"TargetPort": 80, "PublishedPort": 1}]}
    given = {"EndpointSpec": ports, "TaskTemplate": {"ContainerSpec": {"Env": ["A=b"], "Image": "i"}}, "Name": "web"}
    spec = validate.checked({"Mode": {}, "Labels": {"b": "", "a": ""}, **given})
    assert list(spec) == ["Name", "Labels", "TaskTemplate", "Mode", "EndpointSpec"]
    assert list(spec["Labels"]) == ["a", "b"]
    assert list(spec["TaskTemplate"]) == ["ContainerSpec", "ForceUpdate", "Runtime"]
    assert list(spec["TaskTemplate"]["ContainerSpec"]) == ["Image", "Env", "Isolation"]
    assert list(spec["EndpointSpec"]["Ports"][0]) == ["Protocol", "TargetPort", "PublishedPort", "PublishMode"]
