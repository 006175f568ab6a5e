"""-v, --mount and --tmpfs: what of the host, of a volume or of memory appears where in the container.

-v      [source:]target[:options]    source with a slash or dot in front is a path of the host, else a volume's name
--mount type=bind,source=/a,target=/b,readonly      one line of CSV
--tmpfs target[:options]
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ..errors import UsageError
from ..model import BindOptions, MountRequest, TmpfsOptions, VolumeOptions
from .flags import go_bool, go_quote
from .units import size

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
MODES = {
    **dict.fromkeys(("rw", "ro"), "access"),
    **dict.fromkeys(("z", "Z"), "label"),
    **dict.fromkeys(PROPAGATIONS, "propagation"),
    **dict.fromkeys(("consistent", "cached", "delegated"), "consistency"),
    "nocopy": "copy",
}
"""Option of -v → its group; of each group at most one."""


def parse_volumes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(binds "source:target[:options]" with absolute host paths, targets of anonymous volumes)."""
    binds, anonymous = [], []
    for word in words:
        if not word:
            raise UsageError("invalid empty volume spec")
        parts = word.split(":")
        if "" in parts:
            raise UsageError(f"invalid spec: {word}: empty section between colons")
        if len(parts) == 1:
            anonymous.append(_target(word, word, "volume"))
            continue
        if len(parts) > 3 or (len(parts) == 2 and parts[1] in MODES and not parts[1].startswith("/")):
            raise UsageError(f"invalid volume specification: '{word}'")
        source = _host_path(parts[0])
        kind = "bind" if source.startswith("/") else "volume"
        target = _target(word, parts[1], kind)
        options = parts[2] if len(parts) == 3 else ""
        _check_mode(word, kind, options)
        binds.append(":".join(filter(None, (source, target, options))))
    return binds, anonymous


def _host_path(source: str) -> str:
    """A path of the host made absolute, without resolving links; anything else is the name of a volume."""
    if source.startswith("/"):
        return posixpath.normpath(source).replace("//", "/")
    if source.startswith(".") and source.split("/")[0] in (".", ".."):
        return posixpath.normpath(posixpath.join(os.getcwd(), source))
    return source


def _target(word: str, target: str, kind: str) -> str:
    """The clean path inside. Raises with Docker's sentence when it isn't one, or is the root itself."""
    problem = target_problem(target)
    if problem:
        raise UsageError(f"invalid volume specification: '{word}': invalid mount config for type \"{kind}\": {problem}")
    return posixpath.normpath(target)


def target_problem(target: str) -> str:
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if posixpath.normpath(target) in ("/", "//"):
        return "invalid specification: destination can't be '/'"
    return ""


def _check_mode(word: str, kind: str, options: str) -> None:
    """Options of -v: known ones, one of each group, and those that fit the kind."""
    if not options:
        return
    groups: set[str] = set()
    for option in options.split(","):
        group = MODES.get(option, "")
        if not group or group in groups:
            raise UsageError(f"invalid mode: {options}")
        groups.add(group)
    for group, allowed, member in (("copy", "volume", "VolumeOptions"), ("propagation", "bind", "BindOptions")):
        if group in groups and kind != allowed:
            raise UsageError(
                f"invalid volume specification: '{word}': invalid mount config for type \"{kind}\": "
                f"field {member} must not be specified"
            )


def parse_tmpfs(words: Sequence[str]) -> dict[str, str]:
    """Options by target; the last of a target wins."""
    found = {}
    for word in words:
        target, _, options = word.partition(":")
        if not target.startswith("/"):
            raise UsageError(f"invalid mount path: '{target}' mount path must be absolute")
        found[posixpath.normpath(target)] = options
    return found


# --mount


class _Draft:
    """The keys of one --mount, while they are read."""

    def __init__(self) -> None:
        self.kind = "volume"
        self.source = self.target = self.consistency = ""
        self.read_only = False
        self.bind: dict[str, object] = {}
        self.volume: dict[str, object] = {}
        self.tmpfs: dict[str, object] = {}
        self.recursive = ""


def parse_mount(raw: str) -> MountRequest:
    """One --mount. Errors are Docker's, shown after `invalid argument "…" for "--mount" flag: `."""
    fields = _csv(raw)
    if not fields:
        raise UsageError("EOF")
    draft = _Draft()
    for field in fields:
        _take(draft, field)
    if not draft.target:
        raise UsageError("target is required")
    for options, prefix in ((draft.bind, "bind"), (draft.volume, "volume"), (draft.tmpfs, "tmpfs")):
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


def _csv(line: str) -> list[str]:
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
                raise UsageError(f"parse error on line 1, column {len(line) if end < 0 else end + 1}: {problem}")
            field, end = line[at + 1 : end].replace('""', '"'), end + 1
        fields.append(field)
        at = end + 1
    return fields + ([""] if line.endswith(",") else [])


def check_mount(mount: MountRequest) -> None:
    """What Docker's server refuses in a --mount. Whether a bind's source is there, the engine sees."""
    problem = ""
    if mount.type not in ("bind", "volume", "tmpfs"):
        problem = "mount type unknown"
    elif target_problem(mount.target):
        problem = target_problem(mount.target)
    elif mount.type == "bind" and not mount.source:
        problem = "field Source must not be empty"
    elif mount.type == "bind" and not mount.source.startswith("/"):
        problem = f"invalid mount path: '{mount.source}' mount path must be absolute"
    elif mount.type == "tmpfs" and mount.source:
        problem = "field Source must not be specified"
    elif mount.bind_options and mount.bind_options.propagation not in ("", *PROPAGATIONS):
        problem = f"invalid propagation mode: {mount.bind_options.propagation}"
    if problem:
        raise UsageError(f"invalid mount config for type {go_quote(mount.type)}: {problem}")
