"""service create: an image and a command, so many times, on so many machines."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from . import swarm_api
from .commands import UNLIMITED, verb
from .flags import many, refused, text
from .parse_env import environment
from .service_fields import BOTH, CONTAINER, ROLLING_FLAGS, SEVERAL, Body, headers, put, several, singles, tagged
from .service_parts import FILES, NETWORK, PARTS, attachments, references

ALL = [*SEVERAL, *PARTS]
MODES = ("replicated", "global", "replicated-job", "global-job")


@verb(
    "create",
    "Create a new service",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    flags=[
        text("name", "", "Service name"),
        text("mode", "", f"Service mode ({', '.join(MODES)})", default="replicated"),
        many("env-file", "", "Read in a file of environment variables"),
        *(many(each.name, each.short, each.help, kind=each.kind, parse=each.parse) for each in (*ALL, *FILES, NETWORK)),
        *BOTH,
        refused("generic-resource", kind="list", why="can't be kept: nodes here offer no generic resources"),
    ],
    least=1,
    most=UNLIMITED,
    interspersed=False,
    examples="""
        minidock service create --name web --replicas 3 -p 8080:80 nginx
        minidock service create --name agent --mode global busybox sleep 3600
        minidock service create --name db --secret db-key --constraint node.labels.disk==ssd postgres
        minidock service create --name sum --mode replicated-job --replicas 10 --max-concurrent 2 busybox true
    """,
)
def create(arguments: list[str], **given: Any) -> None:  # noqa: ANN401 - the flags of the table
    api = swarm_api.api()
    spec = spec_of(api, arguments, given)
    made = api.json("POST", "/services/create", body=spec, headers=headers(arguments[0], given))
    print(made["ID"], flush=True)
    if not given["detach"]:
        from .service_progress import wait

        wait(api, made["ID"], quiet=given["quiet"])


def spec_of(api: Any, arguments: list[str], given: Body) -> Body:  # noqa: ANN401 - an Api, or a test's
    """API `ServiceSpec`. Raises UsageError, NotFound."""
    spec = _bare(given["name"], tagged(arguments[0]))
    spec["Mode"] = _mode(given)
    if given["mode"].endswith("-job") and any(given.get(flag.key) is not None for flag in ROLLING_FLAGS):
        raise UsageError("update and rollback configuration is not supported for jobs")
    if arguments[1:]:
        put(spec, (*CONTAINER, "Args"), arguments[1:])
    singles(spec, given)
    for field in ALL:
        several(spec, field, given[field.name.replace("-", "_")], [])
    if given["env_file"]:
        put(spec, (*CONTAINER, "Env"), environment(given["env_file"], given["env"]))
    for field, kind in zip(FILES, ("Secret", "Config"), strict=True):
        several(spec, field, references(api, kind, given[field.name]), [])
    several(spec, NETWORK, attachments(api, given["network"]), [])
    return spec


def _bare(name: str, image: str) -> Body:
    """What Docker's client says of a service of which nothing is said."""
    return {
        "Name": name,
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": image, "Init": False, "DNSConfig": {}},
            "Resources": {"Limits": {}, "Reservations": {}},
            "Placement": {},
        },
        "EndpointSpec": {"Mode": "vip"},
    }


def _mode(given: Body) -> Body:
    mode, replicas, most = given["mode"], given["replicas"], given["max_concurrent"]
    if mode not in MODES:
        raise UsageError(f"Unknown mode: {mode}, only replicated and global supported")
    if most is not None and mode != "replicated-job":
        raise UsageError("max-concurrent can only be used with replicated-job mode")
    if replicas is not None and mode.startswith("global"):
        raise UsageError("replicas can only be used with replicated or replicated-job mode")
    if mode == "replicated":
        return {"Replicated": {"Replicas": 1 if replicas is None else replicas}}
    if mode == "replicated-job":
        total = 1 if replicas is None else replicas
        return {"ReplicatedJob": {"TotalCompletions": total, "MaxConcurrent": total if most is None else most}}
    return {"Global" if mode == "global" else "GlobalJob": {}}
