"""{{.Service.Name}} and the like in a service's hostname, environment and mounts: filled in for each task.

Go's text/template is a language; swarms use its names, and those are what is understood here: any other text between
{{ and }} is an error, never a value that is silently something else.
"""

from __future__ import annotations

import re
from typing import Any

from minidock.errors import UsageError
from minidock.swarm.board import ASIDE
from minidock.swarm.objects import Body

PLACE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
LABEL = re.compile(r"""index\s+\.(Service|Node)\.Labels\s+["`](.+)["`]""")


def values(task: Body, name: str, hostname: str) -> dict[str, str]:
    labels = task[ASIDE].get("Labels") or {}
    return {
        ".Service.ID": task["ServiceID"],
        ".Service.Name": task[ASIDE]["Name"],
        **{f".Service.Labels.{key}": value for key, value in labels.items()},
        ".Node.ID": task["NodeID"],
        ".Node.Hostname": hostname,
        ".Task.ID": task["ID"],
        ".Task.Name": name,
        ".Task.Slot": str(task.get("Slot") or task["NodeID"]),
    }


def filled(text: str, known: dict[str, str]) -> str:
    """Raises UsageError for what isn't one of the names."""

    def value(found: re.Match[str]) -> str:
        words = found[1]
        label = LABEL.fullmatch(words)
        if label:
            words = f".{label[1]}.Labels.{label[2]}"
        if words.startswith(".Service.Labels."):
            return known.get(words, "")
        if words not in known:
            raise UsageError(f"expanding {text!r} failed: {words} is not known in templates of services")
        return known[words]

    return PLACE.sub(value, text)


def filled_spec(spec: Body, known: dict[str, str]) -> Body:
    """Where Docker fills in: the environment, the hostname, and sources, targets and labels of mounts."""
    found = dict(spec)
    if spec.get("Env"):
        found["Env"] = [filled(each, known) for each in spec["Env"]]
    if spec.get("Hostname"):
        found["Hostname"] = filled(spec["Hostname"], known)
    if spec.get("Mounts"):
        found["Mounts"] = [_mount(mount, known) for mount in spec["Mounts"]]
    return found


def _mount(mount: Body, known: dict[str, str]) -> Body:
    found: dict[str, Any] = {**mount}
    for name in ("Source", "Target"):
        if mount.get(name):
            found[name] = filled(mount[name], known)
    labels = (mount.get("VolumeOptions") or {}).get("Labels")
    if labels:
        filled_in = {key: filled(value, known) for key, value in labels.items()}
        found["VolumeOptions"] = {**mount["VolumeOptions"], "Labels": filled_in}
    return found
