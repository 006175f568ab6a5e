"""Flags of `service create` and `service update`, and the place in API `ServiceSpec` of what each says: one table.

single values   --hostname web                 create and update alike
lists, maps     --env A=b                      create; update has --env-add A=b and --env-rm A instead
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import UsageError
from .flags import Flag, boolean, many, number, refused, text, value
from .parse_env import check_env, check_label
from .units import cpus, duration, size

Body = dict[str, Any]
Path = tuple[str, ...]
TASK: Path = ("TaskTemplate",)
CONTAINER: Path = (*TASK, "ContainerSpec")
RESOURCES: Path = (*TASK, "Resources")
DNS: Path = (*CONTAINER, "DNSConfig")


class Single(msgspec.Struct, frozen=True):
    flag: Flag
    path: Path


class Several(msgspec.Struct, frozen=True):
    """`key` finds the entry that a --…-rm names, and the one that a new value replaces. A map when `mapped`."""

    name: str
    short: str
    help: str
    path: Path
    key: Callable[[Any], str] = str
    parse: Callable[[str], Any] = str
    mapped: bool = False
    kind: str = "list"
    add: str = ""
    """Update's flag, where it isn't NAME-add."""

    @property
    def adding(self) -> str:
        return self.add or f"{self.name}-add"


def _words(raw: str) -> list[str]:
    try:
        return shlex.split(raw)
    except ValueError as error:
        raise UsageError(f"invalid command: {error}") from None


def _ratio(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise UsageError(f'strconv.ParseFloat: parsing "{raw}": invalid syntax') from None


def _text(name: str, short: str, help: str, *path: str) -> Single:
    return Single(text(name, short, help, default=None), path)


def _number(name: str, help: str, *path: str) -> Single:
    return Single(number(name, "", help, default=None), path)


def _value(name: str, help: str, kind: str, parse: Callable[[str], Any], *path: str) -> Single:
    return Single(value(name, "", help, kind, parse), path)


def _switch(name: str, short: str, help: str, *path: str) -> Single:
    return Single(boolean(name, short, help, default=None), path)


def _rolling(kind: str, path: str, brief: str) -> list[Single]:
    return [
        _number(f"{kind}-parallelism", f"Maximum number of tasks {brief} simultaneously (0 to do all at once)", path,
                "Parallelism"),
        _value(f"{kind}-delay", f"Delay between tasks {brief} (ns|us|ms|s|m|h)", "duration", duration, path, "Delay"),
        _value(f"{kind}-monitor", f"Duration after each task is {brief} to monitor for failure (ns|us|ms|s|m|h)",
               "duration", duration, path, "Monitor"),
        _text(f"{kind}-failure-action", "", 'Action on failure ("pause", "continue"'
              + (', "rollback")' if kind == "update" else ")"), path, "FailureAction"),
        _value(f"{kind}-max-failure-ratio", f"Failure rate to tolerate while tasks are {brief}", "float", _ratio, path,
               "MaxFailureRatio"),
        _text(f"{kind}-order", "", 'Order ("start-first", "stop-first")', path, "Order"),
    ]  # fmt: skip


SINGLE = [
    _text("hostname", "", "Container hostname", *CONTAINER, "Hostname"),
    _value("entrypoint", "Overwrite the default ENTRYPOINT of the image", "command", _words, *CONTAINER, "Command"),
    _text("user", "u", "Username or UID (format: <name|uid>[:<group|gid>])", *CONTAINER, "User"),
    _text("workdir", "w", "Working directory inside the container", *CONTAINER, "Dir"),
    _text("stop-signal", "", "Signal to stop the container", *CONTAINER, "StopSignal"),
    _value("stop-grace-period", "Time to wait before force killing a container (ns|us|ms|s|m|h) (default 10s)",
           "duration", duration, *CONTAINER, "StopGracePeriod"),
    _switch("tty", "t", "Allocate a pseudo-TTY", *CONTAINER, "TTY"),
    _switch("read-only", "", "Mount the container's root filesystem as read only", *CONTAINER, "ReadOnly"),
    _switch("init", "", "Use an init inside each service container to forward signals and reap processes",
            *CONTAINER, "Init"),
    _number("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)", *CONTAINER, "OomScoreAdj"),
    _value("limit-cpu", "Limit CPUs", "decimal", cpus, *RESOURCES, "Limits", "NanoCPUs"),
    _value("limit-memory", "Limit Memory", "bytes", size, *RESOURCES, "Limits", "MemoryBytes"),
    _number("limit-pids", "Limit maximum number of processes (default 0 = unlimited)", *RESOURCES, "Limits", "Pids"),
    _value("reserve-cpu", "Reserve CPUs", "decimal", cpus, *RESOURCES, "Reservations", "NanoCPUs"),
    _value("reserve-memory", "Reserve Memory", "bytes", size, *RESOURCES, "Reservations", "MemoryBytes"),
    _text("restart-condition", "", 'Restart when condition is met ("none", "on-failure", "any") (default "any")',
          *TASK, "RestartPolicy", "Condition"),
    _value("restart-delay", "Delay between restart attempts (ns|us|ms|s|m|h) (default 5s)", "duration", duration,
           *TASK, "RestartPolicy", "Delay"),
    _number("restart-max-attempts", "Maximum number of restarts before giving up", *TASK, "RestartPolicy",
            "MaxAttempts"),
    _value("restart-window", "Window used to evaluate the restart policy (ns|us|ms|s|m|h)", "duration", duration,
           *TASK, "RestartPolicy", "Window"),
    _number("replicas-max-per-node", "Maximum number of tasks per node (default 0 = unlimited)", *TASK, "Placement",
            "MaxReplicas"),
    _text("log-driver", "", "Logging driver for service", *TASK, "LogDriver", "Name"),
    _text("endpoint-mode", "", "Endpoint mode (vip or dnsrr)", "EndpointSpec", "Mode"),
    *_rolling("update", "UpdateConfig", "updated"),
    *_rolling("rollback", "RollbackConfig", "rolled back"),
]  # fmt: skip


ROLLING_FLAGS = [single.flag for single in SINGLE if single.path[0] in ("UpdateConfig", "RollbackConfig")]
ROLLING: Body = {
    "Parallelism": 1, "FailureAction": "pause", "Monitor": 5_000_000_000, "MaxFailureRatio": 0, "Order": "stop-first"
}  # fmt: skip
"""What Docker's client says beside the one thing that is asked for: a parallelism that isn't said would be no limit."""


def capability(raw: str) -> str:
    """`net_admin` → `CAP_NET_ADMIN`."""
    name = raw.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def before_equals(entry: str) -> str:
    return str(entry).partition("=")[0]


SEVERAL = [
    Several("env", "e", "Set environment variables", (*CONTAINER, "Env"), before_equals, check_env),
    Several("label", "l", "Service labels", ("Labels",), parse=check_label, mapped=True),
    Several("container-label", "", "Container labels", (*CONTAINER, "Labels"), parse=check_label, mapped=True),
    Several("sysctl", "", "Sysctl options", (*CONTAINER, "Sysctls"), mapped=True),
    Several("constraint", "", "Placement constraints", (*TASK, "Placement", "Constraints")),
    Several("dns", "", "Set custom DNS servers", (*DNS, "Nameservers")),
    Several("dns-option", "", "Set DNS options", (*DNS, "Options")),
    Several("dns-search", "", "Set custom DNS search domains", (*DNS, "Search")),
    Several("group", "", "Set one or more supplementary user groups for the container", (*CONTAINER, "Groups")),
    Several("cap-add", "", "Add Linux capabilities", (*CONTAINER, "CapabilityAdd"), parse=capability, add="cap-add"),
    Several(
        "cap-drop", "", "Drop Linux capabilities", (*CONTAINER, "CapabilityDrop"), parse=capability, add="cap-drop"
    ),
]

HEALTH: list[tuple[Flag, str]] = [
    (text("health-cmd", "", "Command to run to check health", default=None), "Test"),
    (value("health-interval", "", "Time between running the check (ms|s|m|h)", "duration", duration), "Interval"),
    (value("health-timeout", "", "Maximum time to allow one check to run (ms|s|m|h)", "duration", duration), "Timeout"),
    (number("health-retries", "", "Consecutive failures needed to report unhealthy", default=None), "Retries"),
    (
        value("health-start-period", "", "Start period before counting retries (ms|s|m|h)", "duration", duration),
        "StartPeriod",
    ),
    (
        value("health-start-interval", "", "Time between running the check during the start period (ms|s|m|h)",
              "duration", duration),
        "StartInterval",
    ),
]  # fmt: skip
NO_HEALTH = boolean("no-healthcheck", "", "Disable any container-specified HEALTHCHECK")

WITH_AUTH = boolean("with-registry-auth", "", "Send registry authentication details to swarm agents")
BOTH = [
    *(single.flag for single in SINGLE),
    *(flag for flag, _ in HEALTH),
    NO_HEALTH,
    many("log-opt", "", "Logging driver options"),
    number("replicas", "", "Number of tasks", default=None),
    number("max-concurrent", "", "Number of job tasks to run concurrently (default equal to --replicas)", default=None),
    boolean("detach", "d", "Exit immediately instead of waiting for the service to converge"),
    boolean("quiet", "q", "Suppress progress output"),
    boolean("no-resolve-image", "", "Take the image as it is named (minidock always does)"),
    WITH_AUTH,
    refused("credential-spec", why="that is for Windows"),
    refused("isolation", why="that is for Windows"),
]


def put(spec: Body, path: Path, said: object) -> None:
    for name in path[:-1]:
        spec[name] = spec.get(name) or {}
        spec = spec[name]
    spec[path[-1]] = said


def at(spec: Body, path: Path) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        spec = (spec or {}).get(name)  # type: ignore[assignment]
    return spec


def tagged(image: str) -> str:
    """With the tag that is meant where none is said, as Docker's client sends it; what is no name stays."""
    from ..engine.images import tagged as told

    return told(image)


def headers(image: str, given: Body) -> dict[str, str]:
    """Who we are at the image's registry, for the nodes to be it, too; nothing where that wasn't asked for."""
    from ..daemon.client.registries import headers as of_registry

    return of_registry(image, None) if given.get("with_registry_auth") else {}


def singles(spec: Body, given: Body) -> None:
    for single in SINGLE:
        name = single.path[0]
        if name in ("UpdateConfig", "RollbackConfig") and given.get(single.flag.key) is not None:
            spec[name] = spec.get(name) or dict(ROLLING)
    for single in SINGLE:
        said = given.get(single.flag.key)
        if said is not None:
            put(spec, single.path, said)
    if given.get("log_opt"):
        put(spec, (*TASK, "LogDriver", "Options"), dict(word.partition("=")[::2] for word in given["log_opt"]))
    _health(spec, given)


def _health(spec: Body, given: Body) -> None:
    said = {name: given[flag.key] for flag, name in HEALTH if given.get(flag.key) is not None}
    if given["no_healthcheck"]:
        if said:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        said = {"Test": ["NONE"]}
    elif "Test" in said:
        said["Test"] = ["CMD-SHELL", said["Test"]]
    if said:
        put(spec, (*CONTAINER, "Healthcheck"), {**(at(spec, (*CONTAINER, "Healthcheck")) or {}), **said})


def several(spec: Body, field: Several, added: list[Any], removed: list[str]) -> None:
    """Entries go, then others come; one of the same key is replaced where it stands. A range of ports is a list."""
    added = [one for each in added for one in (each if isinstance(each, list) else [each])]
    if not added and not removed:
        return
    if field.mapped:
        old = at(spec, field.path) or {}
        kept = {name: each for name, each in old.items() if name not in removed}
        put(spec, field.path, {**kept, **dict(str(word).partition("=")[::2] for word in added)})
        return
    entries = {field.key(each): each for each in at(spec, field.path) or [] if field.key(each) not in removed}
    entries.update({field.key(each): each for each in added})
    put(spec, field.path, list(entries.values()))
