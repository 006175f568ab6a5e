"""--gpus, and the names of CDI devices in --device. Both travel as DeviceRequests, as with Docker's client.

    --gpus all | 2 | count=2 | device=0 | '"device=0,1"' | driver=nvidia,capabilities=compute,options=a=b

A value is one line of CSV: commas inside a member need quotes around it, which the shell must leave alone. Texts are
Docker's.
"""

from __future__ import annotations

import os
import re

import msgspec

from ..errors import UsageError
from ..model.host import DeviceRequest
from .parse_mounts import csv_fields

_PART = r"[A-Za-z](?:[\w.-]*[A-Za-z0-9])?"
CDI_NAME = re.compile(rf"{_PART}/{_PART}=[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?", re.ASCII)


def gpus(raw: str) -> DeviceRequest:
    """One --gpus. One GPU where neither number nor names are given."""
    if not raw:
        raise UsageError("EOF")
    given: dict[str, str] = {}
    for field in csv_fields(raw):
        key, equals, value = field.partition("=")
        if key in given:
            raise UsageError(f"gpu request key '{key}' can be specified only once")
        if not equals:
            given["count"] = key
        elif key in ("driver", "count", "device", "capabilities", "options"):
            given[key] = value
        else:
            raise UsageError(f"unexpected key '{key}' in '{field}'")
    names = given["device"].split(",") if "device" in given else None
    count = _count(given["count"]) if "count" in given else 0 if names is not None else 1
    wanted = [*given["capabilities"].split(","), "gpu"] if "capabilities" in given else ["gpu"]
    options = csv_fields(given["options"]) if "options" in given else []
    return DeviceRequest(
        driver=given.get("driver", ""),
        count=count,
        device_ids=names,
        capabilities=[wanted],
        options=dict(word.partition("=")[::2] for word in options),
    )


def _count(raw: str) -> int:
    if raw == "all":
        return -1
    if not re.fullmatch(r"[+-]?[0-9]+", raw, re.ASCII):
        raise UsageError(f'invalid count ({raw}): value must be either "all" or an integer: invalid syntax')
    return int(raw)


SPEC_DIRECTORIES = "cdi-spec-dirs"
"""Of a request's options, which are free for drivers: the API has no other place for --cdi-spec-dir."""


def requests(asked: list[DeviceRequest], devices: list[str], directories: list[str]) -> list[DeviceRequest]:
    """All of a command line: --gpus, then the --device words that name a CDI device, in one request."""
    named = [word for word in devices if CDI_NAME.fullmatch(word)]
    rows = [*asked, *([DeviceRequest(driver="cdi", device_ids=named)] if named else [])]
    if not directories:
        return rows
    if not rows:
        raise UsageError("--cdi-spec-dir needs --gpus or --device vendor.com/class=name")
    where = {SPEC_DIRECTORIES: ":".join(spec_directories(directories))}
    return [msgspec.structs.replace(row, options={**row.options, **where}) for row in rows]


def spec_directories(words: list[str]) -> list[str]:
    """Absolute, since others than us will read them. Raises UsageError for a colon, which goes between two."""
    for word in words:
        if not word or ":" in word:
            raise UsageError(f'invalid --cdi-spec-dir "{word}"')
    return [os.path.abspath(word) for word in words]


def paths(devices: list[str]) -> list[str]:
    """The --device words that don't."""
    return [word for word in devices if not CDI_NAME.fullmatch(word)]
