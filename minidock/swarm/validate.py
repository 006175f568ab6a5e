"""A service's specification as clients send it → as it is kept: defaults where Docker shows them, errors in its words.

Rules and texts are those of moby/swarmkit manager/controlapi/service.go and of dockerd 20.10. What minidock can't do is
refused by name, never left out silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from minidock.engine.names import invent
from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.swarm import constraints, members
from minidock.swarm.objects import Body

NAME = re.compile(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*")
LONGEST_NAME = 63
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.\-\[\]:]+/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z0-9]+:[0-9a-fA-F]{{32,}})?"
)
MOUNTS = ("bind", "volume", "tmpfs")
FEWEST_CPUS, LEAST_MEMORY = 1_000_000, 4 << 20


def invalid(text: str) -> UsageError:
    return UsageError(f"rpc error: code = InvalidArgument desc = {text}")


def checked(given: Body) -> Body:
    """Raises UsageError, Unsupported."""
    spec = {name: value for name, value in members.spelled(given).items() if name in TOP}
    if not (spec.get("TaskTemplate") or {}).get("ContainerSpec"):
        raise UsageError("mismatched Runtime and *Spec fields")
    spec["Name"] = str(spec.get("Name") or "") or invent()
    _check_name(spec["Name"])
    spec["Labels"] = spec.get("Labels") or {}
    spec["TaskTemplate"] = _template(spec["TaskTemplate"])
    spec["Mode"] = _mode(spec.get("Mode") or {})
    if any(name.endswith("Job") for name in spec["Mode"]) and spec.get("UpdateConfig"):
        raise invalid("Jobs may not have an update config")
    for name in ("UpdateConfig", "RollbackConfig"):
        if spec.get(name) is not None:
            spec[name] = _update(spec[name], name.removesuffix("Config").lower())
    if spec.get("EndpointSpec") is not None:
        spec["EndpointSpec"] = _endpoint(spec["EndpointSpec"])
    found: Body = members.ordered({name: spec[name] for name in TOP if spec.get(name) is not None})
    return found


TOP = ("Name", "Labels", "TaskTemplate", "Mode", "UpdateConfig", "RollbackConfig", "Networks", "EndpointSpec")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise invalid("name must be valid as a DNS name component")
    if len(name) > LONGEST_NAME:
        raise invalid("name must be 63 characters or fewer")


# What each task is made from


def _template(given: Body) -> Body:
    for name in ("PluginSpec", "NetworkAttachmentSpec"):
        if given.get(name):
            raise Unsupported(f"services of a {name} can't be: minidock has no plugins")
    if given.get("Runtime", "container") not in ("", "container"):
        raise Unsupported(f"services of the runtime {given['Runtime']} can't be, only containers")
    template = {**given, "ForceUpdate": int(given.get("ForceUpdate") or 0), "Runtime": "container"}
    _check_resources(given.get("Resources") or {})
    if "RestartPolicy" in given:
        template["RestartPolicy"] = _restart(given["RestartPolicy"])
    try:
        constraints.parsed((given.get("Placement") or {}).get("Constraints") or [])
    except UsageError as error:
        raise UsageError(f"rpc error: code = Unknown desc = {error.message}") from None
    template["ContainerSpec"] = _container(given["ContainerSpec"])
    if "Placement" in given:
        template["Placement"] = {name: each for name, each in (given["Placement"] or {}).items() if each}
    return template


def _check_resources(given: Body) -> None:
    for part in (given.get("Limits") or {}, given.get("Reservations") or {}):
        cpus, memory = int(part.get("NanoCPUs") or 0), int(part.get("MemoryBytes") or 0)
        if cpus and cpus < FEWEST_CPUS:
            raise invalid(f"invalid cpu value {cpus / 1e9:g}: Must be at least 0.001")
        if memory and memory < LEAST_MEMORY:
            raise invalid(f"invalid memory value {memory}: Must be at least 4MiB")


def _restart(given: Body) -> Body:
    condition = given.get("Condition") or "any"
    if condition not in ("none", "on-failure", "any"):
        raise UsageError(f'invalid RestartCondition: "{condition}"')
    for name in ("Delay", "Window"):
        if int(given.get(name) or 0) < 0:
            raise invalid(f"TaskSpec: restart-{name.lower()} cannot be negative")
    return {**given, "Condition": condition, "MaxAttempts": int(given.get("MaxAttempts") or 0)}


def _container(given: Body) -> Body:
    image = str(given.get("Image") or "")
    if not image:
        raise invalid("ContainerSpec: image reference must be provided")
    if not IMAGE.fullmatch(image):
        raise invalid(f'ContainerSpec: "{image}" is not a valid repository/tag')
    container = {name: value for name, value in given.items() if value not in ([], {}, "") or name == "DNSConfig"}
    if "DNSConfig" in container:
        container["DNSConfig"] = {name: each for name, each in (container["DNSConfig"] or {}).items() if each}
    privileges = given.get("Privileges") or {}
    if any((privileges.get("CredentialSpec") or {}).values()):
        raise Unsupported("CredentialSpec is for Windows")
    if container.get("Mounts"):
        container["Mounts"] = [_mount(mount) for mount in container["Mounts"]]
        _distinct([mount["Target"] for mount in container["Mounts"]])
    _check_health(given.get("Healthcheck") or {})
    for kind in ("Secret", "Config"):
        _check_files(given.get(f"{kind}s") or [], kind)
    return {**container, "Image": image, "Isolation": given.get("Isolation") or "default"}


def _mount(given: Body) -> Body:
    kind = given.get("Type") or "bind"
    if kind not in MOUNTS:
        raise Unsupported(f"mounts of the type {kind} can't be, only {', '.join(MOUNTS)}")
    if not given.get("Target"):
        raise UsageError("invalid mount target, must be an absolute path: ")
    if kind == "bind" and not str(given.get("Source") or "").startswith("/"):
        raise invalid(f"invalid bind mount source, must be an absolute path: {given.get('Source', '')}")
    return {**given, "Type": kind}


def _distinct(targets: list[str]) -> None:
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise invalid(f"ContainerSpec: duplicate mount point: {target}")


def _check_health(given: Body) -> None:
    for name in ("Interval", "Timeout", "StartPeriod"):
        if 0 < int(given.get(name) or 0) < 1_000_000:
            raise invalid(f"ContainerSpec: {name} in HealthConfig cannot be less than 1ms")
    if int(given.get("Retries") or 0) < 0:
        raise invalid("ContainerSpec: Retries in HealthConfig cannot be negative")


def _check_files(references: list[Body], kind: str) -> None:
    seen: dict[str, str] = {}
    word = kind.lower()
    for reference in references:
        if not reference.get(f"{kind}ID") or not reference.get(f"{kind}Name"):
            raise invalid(f"malformed {word} reference")
        if reference.get("File") is None:
            raise invalid(f"malformed {word} reference, no target provided")
        target, name = reference["File"].get("Name"), reference[f"{kind}Name"]
        if not target:
            raise invalid(f"malformed file {word} reference, invalid target file name provided")
        if target in seen:
            raise invalid(f"{word} references '{seen[target]}' and '{name}' have a conflicting target: '{target}'")
        seen[target] = name


# How many, how they are updated, how they are reached


def _mode(given: Body) -> Body:
    if len(given) > 1:
        raise UsageError("must specify only one service mode")
    name = next(iter(given), "Replicated")
    said = given.get(name) or {}
    if name in ("Global", "GlobalJob"):
        return {name: {}}
    if name == "Replicated":
        return {name: {"Replicas": _count(said.get("Replicas"), 1, "Number of replicas must be non-negative")}}
    if name == "ReplicatedJob":
        most = _count(said.get("MaxConcurrent"), 1, "Maximum concurrent jobs must not be negative")
        total = _count(said.get("TotalCompletions"), most, "Total completed jobs must not be negative")
        return {name: {"MaxConcurrent": most, "TotalCompletions": total}}
    raise invalid("Unrecognized service mode")


def _count(said: object, default: int, negative: str) -> int:
    number = default if said is None else int(str(said))
    if number < 0:
        raise invalid(negative)
    return number


def _update(given: Body, kind: str) -> Body:
    action, order = given.get("FailureAction") or "pause", given.get("Order") or "stop-first"
    if action not in ("pause", "continue") and not (action == "rollback" and kind == "update"):
        raise UsageError(f"unrecognized {kind} failure action {action}")
    if order not in ("stop-first", "start-first"):
        raise UsageError(f"unrecognized {kind} order {order}")
    for name in ("Delay", "Monitor"):
        if int(given.get(name) or 0) < 0:
            raise invalid(f"TaskSpec: update-{name.lower()} cannot be negative")
    ratio = given.get("MaxFailureRatio") or 0
    if not 0 <= float(ratio) <= 1:
        raise invalid("TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1")
    shown = {
        "Parallelism": int(given.get("Parallelism") or 0),
        **{name: given[name] for name in ("Delay",) if given.get(name)},
    }
    shown["FailureAction"] = action
    shown.update({name: given[name] for name in ("Monitor",) if given.get(name)})
    return {**shown, "MaxFailureRatio": ratio, "Order": order}


def _endpoint(given: Body) -> Body:
    mode = given.get("Mode") or "vip"
    if mode not in ("vip", "dnsrr"):
        raise UsageError(f'invalid resolution mode: "{mode}"')
    ports, seen = [], set()
    for said in given.get("Ports") or []:
        port = {"Protocol": said.get("Protocol") or "tcp", "PublishMode": said.get("PublishMode") or "ingress"}
        port = {**said, **port}
        if mode == "dnsrr" and port["PublishMode"] == "ingress":
            raise invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
        key = (port.get("PublishedPort") or 0, port["Protocol"])
        if key[0] and key in seen:
            raise invalid("EndpointSpec: duplicate published ports provided")
        seen.add(key)
        ports.append({name: value for name, value in port.items() if value})
    return {"Mode": mode, **({"Ports": ports} if ports else {})}


def guarded(check: Callable[[Body], Body], given: Body) -> Body:
    """What isn't even of the right shape (a text where a number belongs) is the client's mistake, not ours."""
    try:
        return check(given)
    except MinidockError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"invalid JSON: {error}") from None
