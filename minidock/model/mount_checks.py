"""What Docker's server refuses in -v, --mount and --tmpfs, whoever asks for it. Texts are Docker's."""

from __future__ import annotations

import posixpath

from minidock.errors import UsageError
from minidock.model.host import MountRequest

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
MODES = {
    **dict.fromkeys(("rw", "ro", "rro"), "access"),
    **dict.fromkeys(("z", "Z"), "label"),
    **dict.fromkeys(PROPAGATIONS, "propagation"),
    **dict.fromkeys(("consistent", "cached", "delegated"), "consistency"),
    "nocopy": "copy",
    "idmap": "owners",
}
"""Option of -v → its group; of each group at most one. All are Docker's but two: `idmap`, what belongs to the source's
owner is the container's user's (kernel/idmap.py); and nerdctl's `rro`, with all that is mounted below, as `ro` here."""

BELONGS = (
    ("copy", "volume", "VolumeOptions"),
    ("propagation", "bind", "BindOptions"),
    ("owners", "bind", "BindOptions"),
)
"""Group → what it is for, and the API's member that it would be in."""

FOR = {"volume": "volume", "bind": "directory or file of the host"}


def check_mode(word: str, kind: str, options: str) -> None:
    """Options of -v: known ones, one of each group, and those that fit the kind."""
    if not options:
        return
    groups: set[str] = set()
    for option in options.split(","):
        group = MODES.get(option, "")
        if not group or group in groups:
            raise UsageError(f"invalid mode: {options}")
        groups.add(group)
    for group, allowed, member in BELONGS:
        if group in groups and kind != allowed:
            raise UsageError(
                f"invalid volume specification: '{word}': invalid mount config for type \"{kind}\": "
                f"field {member} must not be specified",
                hint=f"{options} holds what only a {FOR[allowed]} can have",
            )


def check_mount(mount: MountRequest) -> None:
    """What Docker's server refuses in a --mount. Whether a bind's source is there, is seen when it is planned."""
    problem = ""
    if mount.type not in ("bind", "volume", "tmpfs", "image"):
        problem = "mount type unknown"
    elif mount.image_options and mount.type != "image":
        problem = "field ImageOptions must not be specified"
    elif target_problem(mount.target):
        problem = target_problem(mount.target)
    elif mount.type in ("bind", "image") and not mount.source:
        problem = "field Source must not be empty"
    elif mount.type == "bind" and not mount.source.startswith("/"):
        problem = f"invalid mount path: '{mount.source}' mount path must be absolute"
    elif mount.type == "tmpfs" and mount.source:
        problem = "field Source must not be specified"
    elif mount.type == "image" and _other_options(mount):
        problem = f"field {_other_options(mount)} must not be specified"
    elif mount.image_options and leads_out(mount.image_options.subpath):
        problem = "subpath must be a relative path within the volume"
    elif mount.bind_options and mount.bind_options.propagation not in ("", *PROPAGATIONS):
        problem = f"invalid propagation mode: {mount.bind_options.propagation}"
    if problem:
        raise UsageError(f'invalid mount config for type "{mount.type}": {problem}')


def _other_options(mount: MountRequest) -> str:
    given = {
        "BindOptions": mount.bind_options,
        "VolumeOptions": mount.volume_options,
        "TmpfsOptions": mount.tmpfs_options,
    }
    return next((name for name, options in given.items() if options), "")


def leads_out(subpath: str) -> bool:
    """Whether a path is no path inside: absolute, or by `..`."""
    return subpath.startswith("/") or posixpath.normpath(subpath).split("/")[0] == ".."


def target_problem(target: str) -> str:
    """What is wrong with a place inside; nothing when it is an absolute path, and not the root itself."""
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if posixpath.normpath(target) in ("/", "//"):
        return "invalid specification: destination can't be '/'"
    return ""
