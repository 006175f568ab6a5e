"""--log-driver and --log-opt: where a container's output goes, and what is written beside each line.

json-file   Docker's format; 10 MiB a file, three files, unless said otherwise (Docker never rotates by itself)
local       our own, a quarter of the size, older files compressed; Docker's defaults: 20 MiB, five files
none        nothing is kept
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from minidock.engine.record import Record
from minidock.errors import UsageError
from minidock.paths import Layout
from minidock.runtime import shim

MIB = 1 << 20
ATTRIBUTES_LIMIT = 16 << 10
"""Bytes of the labels and variables that each record carries: the shim has no more room."""


def path(layout: Layout, record: Record) -> Path | None:
    """The current file of the log; None when none is kept."""
    names = {"json-file": "json", "": "json", "local": "local"}
    name = names.get(record.host_config.log_config.type)
    return layout.container(record.id) / f"{record.id}-{name}.log" if name else None


def log_file(layout: Layout, record: Record) -> shim.LogFile | None:
    """What the shim is told. Raises UsageError."""
    settings = record.host_config.log_config
    if settings.type == "none":
        return None
    where = path(layout, record)
    if where is None:
        raise UsageError(
            f'logger: no log driver named "{settings.type}" is registered', hint="json-file, local or none"
        )
    from minidock.sizes import parse_size

    options, local = settings.config, settings.type == "local"
    return shim.LogFile(
        where,
        _size(options["max-size"]) if "max-size" in options else (20 if local else 10) * MIB,
        int(options.get("max-file", "5" if local else "3")),
        local=local,
        compress=options.get("compress", str(local)).lower() in ("1", "t", "true"),
        attributes=_encoded(attributes(record)),
        buffer=parse_size(options.get("max-buffer-size", "1m")) if options.get("mode") == "non-blocking" else 0,
    )


def _size(text: str) -> int:
    from minidock.sizes import parse_size

    return 0 if text == "-1" else parse_size(text)


def _encoded(found: dict[str, str]) -> str:
    text = msgspec.json.encode(found).decode() if found else ""
    if len(text.encode()) > ATTRIBUTES_LIMIT:
        raise UsageError("--log-opt labels, env and tag give more than 16 KiB for each line of the log")
    return text


def attributes(record: Record) -> dict[str, str]:
    """What --log-opt labels, labels-regex, env, env-regex and tag add to each record, by name."""
    options = record.host_config.log_config.config
    variables = dict(line.split("=", 1) for line in record.config.env if "=" in line)
    found: dict[str, str] = {}
    for option, values in (("labels", record.config.labels), ("env", variables)):
        names = options.get(option, "").split(",")
        pattern = options.get(f"{option}-regex", "")
        found |= {name: values[name] for name in names if name in values}
        if pattern:
            found |= {name: value for name, value in values.items() if re.search(pattern, name)}
    if options.get("tag"):
        found["tag"] = tag(record, options["tag"])
    return dict(sorted(found.items()))


def tag(record: Record, template: str) -> str:
    """The template with its `{{.Name}}` and the like filled in. Raises UsageError for what isn't one of those."""
    image = record.image_id.removeprefix("sha256:")
    fields = {
        "ID": record.id[:12],
        "FullID": record.id,
        "Name": record.name,
        "ImageID": image[:12],
        "ImageFullID": record.image_id,
        "ImageName": record.image,
        "DaemonName": "minidock",
    }

    def field(match: re.Match[str]) -> str:
        name = match[1].strip().removeprefix(".")
        if name not in fields:
            raise UsageError(f"--log-opt tag: {match[0]} is none of {', '.join(fields)}")
        return fields[name]

    return re.sub(r"\{\{(.*?)\}\}", field, template)
