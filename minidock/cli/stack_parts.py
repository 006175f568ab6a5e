"""What a stack's services need, made before them: networks, secrets and configs. What is there already is kept."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MinidockError, NotFound, UsageError
from . import swarm_api
from .stack_file import NAMESPACE
from .stack_services import pairs

if TYPE_CHECKING:
    from ..daemon.client.api import Api

Body = dict[str, Any]


def networks(api: Api, stack_name: str, given: Body) -> Body:
    """By name in the file: the id, or for one of each node its name. Those that aren't there are made."""
    known = given.get("networks") or {}
    used = set()
    for service, each in given["services"].items():
        for name in each.get("networks") or ["default"]:  # of a mapping that is its keys
            if name not in known and name != "default":
                raise UsageError(f'service {service}: undefined network "{name}"')
            used.add(name)
    found: Body = {}
    for name in sorted(used):
        said = known.get(name) or {}
        if said.get("external"):
            outside = (said["external"] or {}).get("name") if isinstance(said["external"], dict) else None
            found[name] = _external(api, outside or said.get("name") or name)
        else:
            found[name] = _network(api, stack_name, said.get("name") or f"{stack_name}_{name}", said)
    return found


def _external(api: Api, name: str) -> str:
    try:
        return str(swarm_api.named("networks", name)["Id"])
    except NotFound:
        raise MinidockError(
            f'network "{name}" is declared as external, but could not be found. You need to create a swarm-scoped '
            "network before the stack is deployed"
        ) from None


def _network(api: Api, stack_name: str, name: str, said: Body) -> str:
    try:
        return str(swarm_api.named("networks", name)["Id"])
    except NotFound:
        print(f"Creating network {name}", flush=True)
    body = {
        "Name": name,
        "Driver": said.get("driver") or "overlay",
        "Options": pairs(said.get("driver_opts")),
        "Labels": {**pairs(said.get("labels")), NAMESPACE: stack_name},
        "Internal": bool(said.get("internal")),
        "Attachable": bool(said.get("attachable")),
        "IPAM": {"Config": [{"Subnet": each["subnet"]} for each in (said.get("ipam") or {}).get("config") or []]},
    }
    return str(api.json("POST", "/networks/create", body=body)["Id"])


def files(api: Api, stack_name: str, kind: str, given: Body) -> Body:
    """Secrets or configs, by name in the file: {"ID", "Name"}."""
    word = kind.removesuffix("s")
    known = {each["Spec"]["Name"]: each for each in api.json("GET", f"/{kind}")}
    found: Body = {}
    for name, said in sorted(given.items()):
        outside = said.get("external")
        real = said.get("name") or (name if outside else f"{stack_name}_{name}")
        if outside:
            if real not in known:
                raise NotFound(f"{word} not found: {real}")
        else:
            data = base64.b64encode(_content(word, name, said)).decode()
            labels = {**pairs(said.get("labels")), NAMESPACE: stack_name}
            known[real] = _file(api, word, known.get(real), {"Name": real, "Data": data, "Labels": labels})
        found[name] = {"ID": known[real]["ID"], "Name": real}
    return found


def _file(api: Api, word: str, old: Body | None, spec: Body) -> Body:
    if old is None:
        print(f"Creating {word} {spec['Name']}", flush=True)
        made: Body = api.json("POST", f"/{word}s/create", body=spec)
        return made
    api.json("POST", f"/{word}s/{old['ID']}/update", {"version": old["Version"]["Index"]}, spec)
    return old


def _content(word: str, name: str, said: Body) -> bytes:
    if not said.get("file"):
        raise UsageError(f"{word} {name}: only those of a file, and external ones, can be deployed")
    try:
        return Path(said["file"]).read_bytes()
    except OSError as error:
        raise MinidockError(f"open {said['file']}: {(error.strerror or str(error)).lower()}") from None
