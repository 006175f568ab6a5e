"""A compose file in its whole form, as `docker stack config` prints it: nothing short, and all in one order."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..engine.durations import go_duration
from .service_parts import ports as port_numbers
from .stack_services import command_words, pairs
from .units import duration, size

Body = dict[str, Any]
NEWEST = "3.13"
"""Of the format, as Docker 28 has it: what a file that names none is read as."""
ORDER = """
    name file driver driver_opts options ipam external internal attachable
    mode type source target read_only uid gid published protocol replicas labels update_config rollback_config resources
    restart_policy placement endpoint_mode parallelism condition delay failure_action monitor max_failure_ratio order
    max_attempts window limits reservations cpus memory pids constraints preferences max_replicas_per_node
    test timeout interval retries start_period start_interval disable aliases soft hard
"""
"""Of what stands in a service's members and beside the services (docker/cli cli/compose/types)."""
PLACES = {name: number for number, name in enumerate(ORDER.split())}
NAMED = ("services", "networks", "volumes", "secrets", "configs", "labels", "environment", "sysctls", "driver_opts",
         "options", "ulimits")  # fmt: skip
"""What is in these has names of the user's: they come by the alphabet."""


def whole(config: Body) -> Body:
    """Raises UsageError for a value that can't be read."""
    found: Body = {"version": str(config.get("version") or NEWEST)}
    found["services"] = {name: _service(config["services"][name]) for name in sorted(config["services"])}
    for kind in ("networks", "volumes", "secrets", "configs"):
        if config.get(kind):
            found[kind] = {name: _outside(kind, name, config[kind][name] or {}) for name in sorted(config[kind])}
    return found | {name: each for name, each in sorted(config.items()) if name.startswith("x-")}


def _outside(kind: str, name: str, given: Body) -> Body:
    found = dict(given)
    if found.get("external"):
        outside = found["external"]["name"] if isinstance(found["external"], dict) else found.get("name") or name
        return {"name": outside, "external": True}
    if found.get("file"):
        found["file"] = os.path.abspath(Path(found["file"]).expanduser())
    if found.get("labels") is not None:
        found["labels"] = pairs(found["labels"])
    ordered: Body = _ordered(found, named=False)
    return ordered


def _service(given: Body) -> Body:
    found = dict(given)
    for name, spelled in SPELLED.items():
        if found.get(name) is not None:
            found[name] = spelled(found[name])
    if found.get("environment") is not None or found.get("env_file"):
        found["environment"] = _environment(found)
    ordered: Body = _ordered({name: found[name] for name in sorted(found, key=_place)})
    return ordered


def _place(name: str) -> tuple[int, str]:
    """Docker's structure has its members nearly by the alphabet: what stands here in no other place, does too."""
    before = {"environment": "env_", "healthcheck": "hostnamf"}
    return (1 if name.startswith("x-") else 0, before.get(name, name))


def _ordered(value: Any, *, named: bool = True) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, list):
        return [_ordered(each, named=False) for each in value]
    if not isinstance(value, dict):
        return value
    places = {**PLACES, "mode": PLACES["gid"] + 0.5} if "source" in value else PLACES  # of a secret's file, it is last
    names = list(value) if named else sorted(value, key=lambda name: places.get(name, len(PLACES)))
    return {
        name: dict(sorted(value[name].items()))
        if name in NAMED and isinstance(value[name], dict)
        else _ordered(value[name], named=False)
        for name in names
    }


# Values


def _environment(given: Body) -> Body:
    """Of the files, then what is said; a name alone has the value that it has here, if any."""
    from .parse_env import environment

    files = given.get("env_file") or []
    found: Body = dict(word.partition("=")[::2] for word in environment(files, []) if "=" in word)
    said = given.get("environment") or {}
    words = said.items() if isinstance(said, dict) else [str(word).partition("=")[::2] for word in said if "=" in word]
    for name, value in words:
        found[str(name)] = os.environ.get(name) if value is None else pairs({name: value})[str(name)]
    for word in () if isinstance(said, dict) else said:
        if "=" not in word:
            found[word] = os.environ.get(word)
    return found


def _listed(given: Any) -> list[str]:  # noqa: ANN401 - YAML
    return [given] if isinstance(given, str) else [str(each) for each in given]


def _hosts(given: Any) -> list[str]:  # noqa: ANN401 - YAML
    return sorted(f"{name}:{address}" for name, address in given.items()) if isinstance(given, dict) else list(given)


def _time(given: object) -> str:
    return go_duration(duration(str(given)))


def _times(given: Mapping[str, Any]) -> Body:
    """Of a mapping those members that are durations."""
    names = ("interval", "timeout", "start_period", "start_interval", "delay", "monitor", "window")
    return {name: _time(each) if name in names else each for name, each in given.items()}


def _health(given: Body) -> Body:
    test = given.get("test")
    return _times({**given, **({"test": ["CMD-SHELL", test]} if isinstance(test, str) else {})})


def _files(given: list[Any]) -> list[Body]:
    return [{"source": each} if isinstance(each, str) else each for each in given]


def _networks(given: Any) -> Body:  # noqa: ANN401 - YAML
    return dict(sorted(given.items())) if isinstance(given, dict) else dict.fromkeys(sorted(given))


def _ports(given: list[Any]) -> list[Body]:
    names = {"PublishMode": "mode", "TargetPort": "target", "PublishedPort": "published", "Protocol": "protocol"}
    found: list[Body] = []
    for each in given:
        if isinstance(each, dict):
            found.append({"mode": "ingress", **each})
        else:
            found += [
                {name: port[key] for key, name in names.items() if key in port} for port in port_numbers(str(each))
            ]
    return found


def _volumes(given: list[Any]) -> list[Body]:
    found = []
    for each in given:
        if isinstance(each, str):
            source, target, *rest = [*each.split(":"), ""] if ":" in each else ["", each, ""]
            kind = "bind" if source[:1] in ("/", ".", "~") else "volume"
            each = {"type": kind, "source": source, "target": target, "read_only": "ro" in rest[0].split(",")}
        if each.get("type") == "bind":
            each = {**each, "source": os.path.abspath(Path(each["source"]).expanduser())}
        found.append({name: value for name, value in each.items() if value})
    return found


def _deploy(given: Body) -> Body:
    found = {name: _times(each) if isinstance(each, dict) else each for name, each in given.items()}
    for part in (found.get("resources") or {}).values():
        if "cpus" in part:
            part["cpus"] = str(part["cpus"])
        if "memory" in part:
            part["memory"] = str(size(str(part["memory"])))
    if found.get("labels") is not None:
        found["labels"] = pairs(found["labels"])
    return found


SPELLED: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("command", "entrypoint"), command_words),
    **dict.fromkeys(("dns", "dns_search", "env_file"), _listed),
    **dict.fromkeys(("labels", "sysctls"), pairs),
    **dict.fromkeys(("configs", "secrets"), _files),
    "build": lambda given: {"context": given} if isinstance(given, str) else given,
    "deploy": _deploy,
    "extra_hosts": _hosts,
    "healthcheck": _health,
    "networks": _networks,
    "ports": _ports,
    "stop_grace_period": _time,
    "user": str,
    "volumes": _volumes,
}
"""Short forms, by the member of a service."""


def text(config: Body) -> str:
    """YAML as Go writes it: lists stand further in, and what only looks like another kind of value is quoted doubly."""
    import yaml

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def string(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        plain = dumper.resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str"
        style = None if plain and value.lower() not in ("y", "n") else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else style)

    Dumper.add_representer(str, string)
    return str(yaml.dump(config, Dumper=Dumper, sort_keys=False, width=1 << 30, allow_unicode=True))
