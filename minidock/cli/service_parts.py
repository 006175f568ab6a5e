"""What `service create` takes in several words: ports, mounts, secrets and configs, networks, preferences, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, UsageError
from .parse_mounts import csv_fields
from .service_fields import CONTAINER, TASK, Several

if TYPE_CHECKING:
    from ..daemon.client.api import Api

Body = dict[str, Any]


def ports(raw: str) -> list[Body]:
    """`8080:80`, `80`, `8080-8081:80-81/udp`, or `published=8080,target=80,protocol=tcp,mode=host`."""
    if "=" not in raw:
        return _short(raw)
    found: Body = {"Protocol": "tcp", "PublishMode": "ingress"}
    names = {"target": "TargetPort", "published": "PublishedPort", "protocol": "Protocol", "mode": "PublishMode"}
    for field in csv_fields(raw):
        key, equals, value = field.partition("=")
        if not equals:
            raise UsageError(f"invalid field {field}")
        if key.lower() not in names:
            raise UsageError(f"invalid field key {key}")
        name = names[key.lower()]
        if name.endswith("Port"):
            found[name] = _number(value)
        else:
            allowed = ("tcp", "udp", "sctp") if name == "Protocol" else ("ingress", "host")
            if value.lower() not in allowed:
                raise UsageError(f"invalid {key} value '{value}' (must be one of {', '.join(allowed)})")
            found[name] = value.lower()
    if not found.get("TargetPort"):
        raise UsageError("missing mandatory field 'target'")
    return [found]


def _short(raw: str) -> list[Body]:
    numbers, _, protocol = raw.partition("/")
    published, colon, target = numbers.rpartition(":")
    if ":" in published or "." in published:
        raise UsageError("hostip is not supported")
    found: Body = {"Protocol": protocol or "tcp", "PublishMode": "ingress"}
    targets, outside = _range(target), _range(published) if colon else range(0)
    if colon and len(outside) != len(targets):
        raise UsageError(f"invalid ranges specified for container and host Ports: {target} and {published}")
    return [
        {**found, "TargetPort": inside, **({"PublishedPort": outside[number]} if colon else {})}
        for number, inside in enumerate(targets)
    ]


def _range(raw: str) -> range:
    """`80-82`, or one number."""
    first, dash, last = raw.partition("-")
    begin, end = _number(first), _number(last if dash else first)
    if end < begin:
        raise UsageError(f"invalid range specified for port: {raw}")
    return range(begin, end + 1)


def _number(raw: str) -> int:
    if not raw.isdecimal() or not 0 <= int(raw) < 1 << 16:
        raise UsageError(f"invalid port number: {raw}")
    return int(raw)


def mount(raw: str) -> Body:
    import msgspec

    from .parse_mounts import parse_mount

    found: Body = msgspec.to_builtins(parse_mount(raw))
    return found


def file(raw: str) -> Body:
    """A secret or config: `name`, or `source=name,target=/path,uid=0,gid=0,mode=0444`."""
    found: Body = {"UID": "0", "GID": "0", "Mode": 0o444}
    if "=" not in raw and "," not in raw:
        return {**found, "source": raw, "Name": raw}
    for field in csv_fields(raw):
        key, equals, value = field.partition("=")
        if not equals:
            raise UsageError(f"invalid field '{field}' must be a key=value pair")
        name = {"source": "source", "src": "source", "target": "Name", "uid": "UID", "gid": "GID"}.get(key.lower())
        if name:
            found[name] = value
        elif key.lower() == "mode":
            try:
                found["Mode"] = int(value, 8)
            except ValueError:
                raise UsageError(f"invalid mode specified: {value}") from None
        else:
            raise UsageError(f"invalid field '{key}' in {raw}")
    if not found.get("source"):
        raise UsageError("source is required")
    return {"Name": found["source"], **found}


def references(api: Api, kind: str, files: Sequence[Body]) -> list[Body]:
    """With ids, which is what services are made of. Raises NotFound."""
    known = {each["Spec"]["Name"]: each["ID"] for each in api.json("GET", f"/{kind.lower()}s")} if files else {}
    found = []
    for each in files:
        source = each["source"]
        if source not in known:
            raise NotFound(f"{kind.lower()} not found: {source}")
        shown = {name: each[name] for name in ("Name", "UID", "GID", "Mode")}
        found.append({"File": shown, f"{kind}ID": known[source], f"{kind}Name": source})
    return found


def network(raw: str) -> Body:
    """`front`, or `name=front,alias=web`."""
    if "=" not in raw:
        return {"Target": raw}
    found: Body = {}
    for field in csv_fields(raw):
        key, _, value = field.partition("=")
        if key == "name":
            found["Target"] = value
        elif key == "alias":
            found.setdefault("Aliases", []).append(value)
        elif key == "driver-opt":
            name, _, option = value.partition("=")
            found.setdefault("DriverOpts", {})[name] = option
        else:
            raise UsageError(f"invalid field key {key}")
    if not found.get("Target"):
        raise UsageError("network name/id is not specified")
    return found


def attachments(api: Api, networks: Sequence[Body]) -> list[Body]:
    from . import swarm_api

    return [
        {**each, "Target": api.json("GET", swarm_api.path("networks", each["Target"]), {"scope": "swarm"})["Id"]}
        for each in networks
    ]


def preference(raw: str) -> Body:
    kind, equals, label = raw.partition("=")
    if kind.strip().lower() != "spread" or not equals:
        raise UsageError(f"unsupported placement preference {kind} (only spread is supported)")
    return {"Spread": {"SpreadDescriptor": label.strip()}}


def host(raw: str) -> str:
    """`name:10.0.0.1` → a line as in hosts(5), which is how services keep it."""
    name, colon, address = raw.partition(":")
    if not colon or not name or not address:
        raise UsageError(f'bad format for add-host: "{raw}"')
    return f"{address} {name}"


def ulimit(raw: str) -> Body:
    from .parse_values import ulimit as parse

    found = parse(raw)
    return {"Name": found.name, "Soft": found.soft, "Hard": found.hard}


PARTS = [
    Several("publish", "p", "Publish a port as a node port", ("EndpointSpec", "Ports"),
            lambda each: f"{each['TargetPort']}/{each.get('Protocol', 'tcp')}", ports, kind="port"),
    Several("mount", "", "Attach a filesystem mount to the service", (*CONTAINER, "Mounts"),
            lambda each: str(each["Target"]), mount, kind="mount"),
    Several("placement-pref", "", "Add a placement preference", (*TASK, "Placement", "Preferences"),
            lambda each: f"spread={each['Spread']['SpreadDescriptor']}", preference, kind="pref"),
    Several("host", "", "Set one or more custom host-to-IP mappings (host:ip)", (*CONTAINER, "Hosts"),
            lambda each: ":".join(reversed(str(each).split(" ", 1))), host),
    Several("ulimit", "", "Ulimit options", (*CONTAINER, "Ulimits"), lambda each: str(each["Name"]), ulimit,
            kind="ulimit"),
]  # fmt: skip
FILES = [
    Several(kind.lower(), "", f"Specify {kind.lower()}s to expose to the service", (*CONTAINER, f"{kind}s"),
            (lambda name: lambda each: str(each[name]))(f"{kind}Name"), file, kind=kind.lower())
    for kind in ("Secret", "Config")
]  # fmt: skip
NETWORK = Several("network", "", "Network attachments", (*TASK, "Networks"), lambda each: str(each["Target"]), network,
                  kind="network")  # fmt: skip
