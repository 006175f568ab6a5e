"""--mount: one line of CSV, `type=bind,source=/a,target=/b,readonly`.

`type` is bind, volume (when it is not given), tmpfs or image. -v and --tmpfs, the older ways, are in parse_volumes.py.
"""

from __future__ import annotations

import os
import posixpath

from ..errors import UsageError
from ..model.host import BindOptions, ImageOptions, MountRequest, TmpfsOptions, VolumeOptions
from ..sizes import go_bool
from .units import size


class _Draft:
    """The keys of one --mount, while they are read."""

    def __init__(self) -> None:
        self.kind = "volume"
        self.source = self.target = self.consistency = ""
        self.read_only = False
        self.bind: dict[str, object] = {}
        self.volume: dict[str, object] = {}
        self.tmpfs: dict[str, object] = {}
        self.image: dict[str, object] = {}
        self.recursive = ""


def parse_mount(raw: str) -> MountRequest:
    """One --mount. Errors are Docker's, shown after `invalid argument "…" for "--mount" flag: `."""
    fields = csv_fields(raw)
    if not fields:
        raise UsageError("EOF")
    draft = _Draft()
    for field in fields:
        _take(draft, field)
    if not draft.target:
        raise UsageError("target is required")
    given = {"bind": draft.bind, "volume": draft.volume, "tmpfs": draft.tmpfs, "image": draft.image}
    for prefix, options in given.items():
        if options and draft.kind != prefix:
            raise UsageError(f"cannot mix '{prefix}-*' options with mount type '{draft.kind}'")
    _check_recursive(draft)
    return MountRequest(
        type=draft.kind,
        target=draft.target,
        source=draft.source,
        read_only=draft.read_only,
        consistency=draft.consistency,
        bind_options=BindOptions(**draft.bind) if draft.bind else None,  # type: ignore[arg-type]
        volume_options=VolumeOptions(**draft.volume) if draft.volume else None,  # type: ignore[arg-type]
        tmpfs_options=TmpfsOptions(**draft.tmpfs) if draft.tmpfs else None,  # type: ignore[arg-type]
        image_options=ImageOptions(**draft.image) if draft.image else None,  # type: ignore[arg-type]
    )


_SWITCHES = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src")
_PLAIN = {"source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target"}
_RECURSIVE = {
    "enabled": {},
    "disabled": {"non_recursive": True},
    "writable": {"read_only_non_recursive": True},
    "readonly": {"read_only_force_recursive": True},
}


def _take(draft: _Draft, field: str) -> None:
    key, equals, value = field.partition("=")
    key = key.lower()
    if not equals:
        if key not in _SWITCHES:
            raise UsageError(f"invalid field '{field}' must be a key=value pair")
        value = "true"
    if key == "type":
        draft.kind = value.lower()
    elif key in _PLAIN:
        absolute = key in ("source", "src") and value.split("/")[0] in (".", "..")
        setattr(draft, _PLAIN[key], posixpath.normpath(posixpath.join(os.getcwd(), value)) if absolute else value)
    elif key in ("readonly", "ro"):
        draft.read_only = _truth(key, value)
    elif key == "image-subpath":
        draft.image["subpath"] = value
    elif key == "consistency":
        draft.consistency = value.lower()
    elif not (_take_bind(draft, key, value) or _take_volume(draft, key, value) or _take_tmpfs(draft, key, value)):
        raise UsageError(f"unexpected key '{key}' in '{field}'")


def _take_bind(draft: _Draft, key: str, value: str) -> bool:
    if key == "bind-propagation":
        draft.bind["propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        draft.bind["non_recursive"] = _truth(key, value)
    elif key == "bind-create-src":
        draft.bind["create_mountpoint"] = _truth(key, value)
    elif key == "bind-recursive":
        if value not in _RECURSIVE:
            raise UsageError(
                f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
        draft.recursive = value
        draft.bind.update(_RECURSIVE[value])
    else:
        return False
    return True


def _take_volume(draft: _Draft, key: str, value: str) -> bool:
    if key == "volume-nocopy":
        draft.volume["no_copy"] = _truth(key, value)
    elif key == "volume-subpath":
        draft.volume["subpath"] = value
    elif key == "volume-label":
        labels = draft.volume.setdefault("labels", {})
        assert isinstance(labels, dict)
        labels.update([value.partition("=")[::2]])
    elif key in ("volume-driver", "volume-opt"):
        driver = draft.volume.setdefault("driver_config", {})
        assert isinstance(driver, dict)
        if key == "volume-driver":
            driver["Name"] = value
        else:
            driver.setdefault("Options", {}).update([value.partition("=")[::2]])
    else:
        return False
    return True


def _take_tmpfs(draft: _Draft, key: str, value: str) -> bool:
    try:
        if key == "tmpfs-size":
            draft.tmpfs["size_bytes"] = size(value)
        elif key == "tmpfs-mode":
            draft.tmpfs["mode"] = int(value, 8)
        else:
            return False
    except (UsageError, ValueError):
        raise UsageError(f"invalid value for {key}: {value}") from None
    return True


def _truth(key: str, value: str) -> bool:
    try:
        return go_bool(value)
    except UsageError:
        raise UsageError(f"invalid value for {key}: {value}") from None


def _check_recursive(draft: _Draft) -> None:
    if draft.recursive not in ("writable", "readonly"):
        return
    if not draft.read_only:
        raise UsageError(
            f"option 'bind-recursive={draft.recursive}' requires 'readonly' to be specified in conjunction"
        )
    if draft.recursive == "readonly" and draft.bind.get("propagation") != "rprivate":
        raise UsageError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def csv_fields(line: str) -> list[str]:
    """One record of CSV: a field in quotes may hold commas, and a quote as two."""
    fields: list[str] = []
    at = 0
    while at < len(line):
        if line[at] != '"':
            end = line.find(",", at)
            end = len(line) if end < 0 else end
            field = line[at:end]
            if '"' in field:
                column = len(line[: at + field.index('"')].encode()) + 1
                raise UsageError(f'parse error on line 1, column {column}: bare " in non-quoted-field')
        else:
            end = at + 1
            while (end := line.find('"', end)) >= 0 and line[end : end + 2] == '""':
                end += 2
            if end < 0 or line[end + 1 : end + 2] not in ("", ","):
                problem = 'extraneous or missing " in quoted-field'
                raise UsageError(
                    f"parse error on line 1, column {len(line.encode()) + 1 if end < 0 else end + 1}: {problem}"
                )
            field, end = line[at + 1 : end].replace('""', '"'), end + 1
        fields.append(field)
        at = end + 1
    return fields + ([""] if line.endswith(",") else [])
