"""A compose file (version 3) as stacks take it: read, values filled in, several merged, nothing unknown in it.

What `docker stack deploy` leaves out, is left out here and said so, in its words; what nobody knows is refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import MinidockError, UsageError
from . import context

Body = dict[str, Any]
NAMESPACE = "com.docker.stack.namespace"
"""The label of all that a stack is made of."""
PLACE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?])([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
TOP = ("version", "services", "networks", "volumes", "secrets", "configs", "name")
SERVICE = (
    "image", "command", "entrypoint", "environment", "env_file", "labels", "hostname", "user", "working_dir", "tty",
    "stdin_open", "init", "read_only", "stop_signal", "stop_grace_period", "cap_add", "cap_drop", "dns", "dns_search",
    "extra_hosts", "sysctls", "ulimits", "healthcheck", "logging", "volumes", "secrets", "configs", "networks", "ports",
    "deploy", "depends_on",
)  # fmt: skip
LEFT_OUT = (
    "build", "cgroup_parent", "cgroupns_mode", "devices", "domainname", "external_links", "ipc", "links",
    "mac_address", "network_mode", "pid", "privileged", "restart", "security_opt", "shm_size", "userns_mode",
    "container_name", "expose",
)  # fmt: skip


def load(files: list[str], *, interpolate: bool = True) -> Body:
    """Raises MinidockError."""
    if not files:
        raise UsageError("Specify a Compose file (with --compose-file)")
    merged: Body = {}
    for name in files:
        more = _read(name, interpolate)
        versions = [str(each["version"]) for each in (merged, more) if "version" in each]
        if len(set(versions)) > 1:
            raise UsageError(f"version mismatched between two composefiles : {versions[0]} and {versions[1]}")
        merged = _merge(merged, more)
    for key in merged:
        if key not in TOP and not key.startswith("x-"):
            raise UsageError(f"(root) Additional property {key} is not allowed")
    if not merged.get("services"):
        raise UsageError("no services are defined in the Compose file")
    for name, service in merged["services"].items():
        _check(name, service)
    return merged


def _read(name: str, interpolate: bool) -> Body:
    import yaml

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
        found = yaml.safe_load(text)
    except OSError as error:
        raise MinidockError(f"open {name}: {(error.strerror or str(error)).lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise UsageError("top-level object must be a mapping")
    version = str(found.get("version", "3.8"))
    if not version.startswith("3"):
        raise UsageError(f"unsupported Compose file version: {version}")
    return _filled(found, os.environ) if interpolate else found


def _filled(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, dict):
        return {key: _filled(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, known) for each in value]
    return PLACE.sub(lambda found: _value(found, known), value) if isinstance(value, str) else value


def _value(found: re.Match[str], known: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    name, operator, word = found[1] or found[4], found[2] or "", found[3] or ""
    value = known.get(name)
    missing = value is None or (operator.startswith(":") and not value)
    if missing and operator.endswith("?"):
        raise UsageError(f"required variable {name} is missing a value: {word}")
    if missing and operator.endswith("-"):
        return word
    return value or ""


def _merge(first: Any, second: Any) -> Any:  # noqa: ANN401 - YAML
    """What comes later wins; maps are merged, lists are joined."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {**first, **{key: _merge(first[key], each) if key in first else each for key, each in second.items()}}
    if isinstance(first, list) and isinstance(second, list):
        return [*first, *(each for each in second if each not in first)]
    return second


def _check(name: str, service: object) -> None:
    if not isinstance(service, dict):
        raise UsageError(f"services.{name} must be a mapping")
    for key in service:
        if key not in SERVICE and key not in LEFT_OUT and not key.startswith("x-"):
            raise UsageError(f"services.{name} Additional property {key} is not allowed")
    if not service.get("image"):
        raise UsageError(f"invalid image reference for service {name}: no image specified")


def tell_what_is_left_out(config: Body) -> None:
    found = sorted({key for service in config["services"].values() for key in service if key in LEFT_OUT})
    if found:
        context.say(f"Ignoring unsupported options: {', '.join(found)}\n")
