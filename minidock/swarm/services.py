"""Services as the API has them: make, look at, change, take away. What then happens is a matter of the loops."""

from __future__ import annotations

from typing import Any

from minidock.errors import Conflict, MinidockError, NotFound, Unsupported, UsageError
from minidock.swarm import defaults, networks, validate
from minidock.swarm.board import ASIDE, aside, desired, is_job, mode, spec, state
from minidock.swarm.objects import Body, Kind, Stored, TaskState, new_id, stamp
from minidock.swarm.store import NameTaken, OutOfSequence, Store


def create(store: Store, given: Body, *, auth: dict[str, str] | None = None, now: float) -> Body:
    """→ {"ID"}. Raises UsageError, Conflict (the name), NotFound (a network)."""
    wanted = validate.guarded(validate.checked, given)
    networks.resolved(store, wanted)
    _check_files(store, wanted)
    _check_ports(store, wanted)
    body: Body = {"Spec": wanted, "Endpoint": {"Spec": {}}, ASIDE: {"SpecVersion": 0, "Auth": auth or None}}
    if any(name.endswith("Job") for name in wanted["Mode"]):
        body["JobStatus"] = {"JobIteration": {}, "LastExecution": stamp(now)}
    try:
        made = store.create("service", new_id(), body, name=wanted["Name"])
    except NameTaken:
        raise Conflict(
            f"rpc error: code = AlreadyExists desc = name conflicts with an existing object: "
            f"service {wanted['Name']} already exists"
        ) from None
    return {"ID": made.id}


def update(
    store: Store,
    ref: str,
    given: Body,
    version: int,
    *,
    rollback: str = "",
    auth: dict[str, str] | None = None,
    auth_from: str = "",
    now: float,
) -> Body:
    """→ {"Warnings"}. `version` is the one that the change was made from; without `auth` that of before stays.

    Raises UsageError, NotFound, Unsupported.
    """
    if auth_from not in ("", "spec", "previous-spec"):
        raise UsageError("unsupported registryAuthFrom value")
    if rollback not in ("", "previous", "none"):
        raise UsageError(f"unrecognized rollback option {rollback}")
    service = find(store, ref)
    wanted = validate.guarded(validate.checked, given)
    networks.resolved(store, wanted)
    _check_change(service, wanted)
    _check_files(store, wanted)
    if wanted.get("EndpointSpec") != spec(service).get("EndpointSpec"):
        _check_ports(store, wanted, beside=service.id)
    body = {**service.body, **(_back(service, now) if rollback == "previous" else _forth(service, wanted))}
    if auth:
        body[ASIDE] = {**body[ASIDE], "Auth": auth}
    if "JobStatus" in body:
        index = int((body["JobStatus"].get("JobIteration") or {}).get("Index", 0)) + 1
        body["JobStatus"] = {"JobIteration": {"Index": index}, "LastExecution": stamp(now)}
    try:
        store.update("service", service.id, body, version)
    except OutOfSequence:
        raise MinidockError("rpc error: code = Unknown desc = update out of sequence") from None
    return {"Warnings": None}


def _check_change(service: Stored, wanted: Body) -> None:
    if set(wanted["Mode"]) != {mode(service)}:
        raise Unsupported("rpc error: code = Unimplemented desc = service mode change is not allowed")
    if wanted["Name"] != spec(service)["Name"]:
        raise Unsupported("rpc error: code = Unimplemented desc = renaming services is not supported")


def _forth(service: Stored, wanted: Body) -> Body:
    notes = {name: value for name, value in aside(service).items() if name != "Update"}
    notes |= {"PreviousSpecVersion": notes.get("SpecVersion", 0), "SpecVersion": service.revision}
    return {"Spec": wanted, "PreviousSpec": spec(service), "UpdateStatus": None, ASIDE: notes}


def _back(service: Stored, now: float) -> Body:
    """The specification before takes its turn, and this one is the one before."""
    previous = service.body.get("PreviousSpec")
    if not previous:
        raise UsageError(
            f"rpc error: code = FailedPrecondition desc = service {service.id} does not have a previous spec"
        )
    notes = {name: value for name, value in aside(service).items() if name != "Update"}
    notes |= {
        "PreviousSpecVersion": notes.get("SpecVersion", 0),
        "SpecVersion": notes.get("PreviousSpecVersion", 0),
    }
    status = {"State": "rollback_started", "StartedAt": stamp(now), "Message": "manually requested rollback"}
    return {"Spec": previous, "PreviousSpec": spec(service), "UpdateStatus": status, ASIDE: notes}


def remove(store: Store, ref: str) -> None:
    """Its tasks are stopped by the loops. Raises NotFound."""
    store.delete("service", find(store, ref).id)


# Looking


def find(store: Store, ref: str) -> Stored:
    """By id, name, or the beginning of an id. Raises NotFound."""
    return found(store, "service", ref)


def found(store: Store, kind: Kind, ref: str) -> Stored:
    exact = store.get(kind, ref) or store.by_name(kind, ref)
    if exact is not None:
        return exact
    matches = [stored for stored in store.all(kind) if ref and stored.id.startswith(ref)]
    if len(matches) > 1:
        raise NotFound(f"{kind} {ref} is ambiguous ({len(matches)} matches found)")
    if not matches:
        raise NotFound(f"{kind} {ref} not found")
    return matches[0]


HEAD = ("ID", "Version", "CreatedAt", "UpdatedAt", "Spec", "PreviousSpec", "Endpoint", "UpdateStatus")


def shown(stored: Stored) -> Body:
    """As the API answers it: without what is noted beside, and without what is nothing."""
    body = stored.shown()
    first = [name for name in HEAD if name in body]
    return {name: body[name] for name in dict.fromkeys([*first, *body]) if name != ASIDE and body[name] is not None}


def inspected(store: Store, ref: str, *, insert_defaults: bool = False) -> Body:
    body = shown(find(store, ref))
    return {**body, "Spec": defaults.inserted(body["Spec"])} if insert_defaults else body


FILTERS = ("name", "id", "label", "mode", "runtime")


def listed(store: Store, filters: dict[str, list[str]], *, status: bool = False) -> list[Body]:
    """Raises UsageError for a filter that there isn't."""
    check_filters(filters, FILTERS)
    services = [service for service in store.all("service") if _passes(service, filters)]
    if not status:
        return [shown(service) for service in services]
    tasks = store.all("task")
    return [{**shown(service), "ServiceStatus": _status(store, service, tasks)} for service in services]


def check_filters(filters: dict[str, list[str]], known: tuple[str, ...]) -> None:
    for name in filters:
        if name not in known:
            raise UsageError(f"invalid filter '{name}'")


def _passes(service: Stored, filters: dict[str, list[str]]) -> bool:
    if not has_labels(spec(service).get("Labels") or {}, filters.get("label", [])):
        return False
    return all(
        any(_matches(service, name, value) for value in values) for name, values in filters.items() if name != "label"
    )


WORDS = {"Replicated": "replicated", "Global": "global", "ReplicatedJob": "replicated-job", "GlobalJob": "global-job"}


def _matches(service: Stored, name: str, value: str) -> bool:
    if name == "name":
        return str(spec(service)["Name"]).startswith(value)
    if name == "id":
        return service.id.startswith(value)
    return value == (WORDS[mode(service)] if name == "mode" else "container")


def has_labels(labels: dict[str, str], wanted: list[str]) -> bool:
    for each in wanted:
        name, equals, value = each.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return True


def _status(store: Store, service: Stored, tasks: list[Stored]) -> Body:
    """How many run, and how many should."""
    mine = [task for task in tasks if task.body.get("ServiceID") == service.id]
    if is_job(service):
        now = (service.body["JobStatus"].get("JobIteration") or {}).get("Index", 0)
        mine = [task for task in mine if (task.body.get("JobIteration") or {}).get("Index", 0) == now]
    running = [task for task in mine if state(task) == TaskState.RUNNING and desired(task) <= TaskState.COMPLETE]
    complete = [task for task in mine if state(task) == TaskState.COMPLETE] if is_job(service) else []
    return {"RunningTasks": len(running), "DesiredTasks": _wanted(service, mine), "CompletedTasks": len(complete)}


def _wanted(service: Stored, mine: list[Stored]) -> int:
    said: dict[str, Any] = spec(service)["Mode"].get(mode(service)) or {}
    if mode(service) == "Replicated":
        return int(said.get("Replicas", 1))
    if mode(service) == "ReplicatedJob":
        return int(said["MaxConcurrent"])
    return len([task for task in mine if desired(task) in (TaskState.RUNNING, TaskState.COMPLETE)])


# What a service needs of others


def _check_files(store: Store, wanted: Body) -> None:
    container = wanted["TaskTemplate"]["ContainerSpec"]
    kinds: tuple[tuple[Kind, str], ...] = (("secret", "Secret"), ("config", "Config"))
    for kind, word in kinds:
        missing = []
        for reference in container.get(f"{word}s") or []:
            stored = store.get(kind, reference[f"{word}ID"])
            if stored is None or spec(stored).get("Name") != reference[f"{word}Name"]:
                missing.append(reference[f"{word}Name"])
        if missing:
            raise validate.invalid(f"{kind}{'s' if len(missing) > 1 else ''} not found: {', '.join(missing)}")


def _check_ports(store: Store, wanted: Body, beside: str = "") -> None:
    """Of two services only those may have the same port that publish it on their tasks' nodes alone."""
    ports = {
        (port["Protocol"], port["PublishedPort"]): port["PublishMode"]
        for port in (wanted.get("EndpointSpec") or {}).get("Ports") or []
        if port.get("PublishedPort")
    }
    for service in store.all("service"):
        if service.id == beside:
            continue
        for port in [
            *((spec(service).get("EndpointSpec") or {}).get("Ports") or []),
            *((service.body.get("Endpoint") or {}).get("Ports") or []),
        ]:
            ours = ports.get((port["Protocol"], port.get("PublishedPort")))
            if ours and "ingress" in (ours, port["PublishMode"]):
                how = "an ingress" if port["PublishMode"] == "ingress" else "a host-published"
                raise validate.invalid(
                    f"port '{port['PublishedPort']}' is already in use by service "
                    f"'{spec(service)['Name']}' ({service.id}) as {how} port"
                )
