"""userns-remap: containers whose root is nobody on the host.

An instance has it on when `config.json` in its root directory says so, as Docker's daemon.json does:

    {"userns-remap": "default"}         or "user", "user:group", by name or number

The ids come from /etc/subuid and /etc/subgid, `default` stands for the user dockremap there. What a container got is
kept in its record: changing the file changes later containers only. Layers aren't copied, and lie on disk with the
image's owners: kernel/idmap.py. `--userns host` turns it off for one container.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.kernel import subid, user
from minidock.model.host import HostConfig
from minidock.paths import Layout
from minidock.spec import IdMapping

if TYPE_CHECKING:
    from minidock.engine.record import Record

DEFAULT = "dockremap"
"""Docker's name for it."""


class Settings(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """config.json of an instance."""

    userns_remap: str = ""
    cdi_spec_dirs: list[str] = []
    """Where CDI files are looked for (device_requests.py), lowest priority first."""


class IdMaps(msgspec.Struct, frozen=True):
    """A container's users and groups: inside, outside, count."""

    uids: list[IdMapping]
    gids: list[IdMapping]

    def owner(self) -> tuple[int, int]:
        """Who its root is on the host."""
        return user.outside(self.uids, 0), user.outside(self.gids, 0)

    def inside(self, uid: int, gid: int) -> tuple[int, int]:
        """Who somebody of the host is in it; nobody (65534) for whom it doesn't know."""
        return user.inside(self.uids, uid), user.inside(self.gids, gid)


def settings(layout: Layout) -> Settings:
    """Raises MinidockError for a file that says something else, or badly."""
    try:
        raw = layout.settings.read_bytes()
    except (FileNotFoundError, PermissionError):  # a dry run may be somebody's who can't read it
        return Settings()
    try:
        return msgspec.json.decode(raw, type=Settings)
    except msgspec.DecodeError as error:
        raise MinidockError(f"{layout.settings}: {error}", hint='such as {"userns-remap": "default"}') from error


def maps(record: Record) -> IdMaps | None:
    """What a container was given when it was created."""
    if not record.uid_map:
        return None
    return IdMaps([IdMapping(*line) for line in record.uid_map], [IdMapping(*line) for line in record.gid_map])


def remap(layout: Layout, host: HostConfig) -> IdMaps | None:
    """The maps for a new container; None without. Raises UsageError for what a user namespace rules out."""
    wanted = settings(layout).userns_remap
    if not wanted or host.userns_mode == "host":
        return None
    if layout.user is not None:
        raise Unsupported("without root there is no userns-remap: the whole instance is in a user namespace already")
    _check(host)
    name, colon, group = wanted.partition(":")
    name = DEFAULT if name == "default" else name
    group = group if colon else name
    return IdMaps(
        subid.mappings(subid.SUBUID, name, subid.user_id(name)),
        subid.mappings(subid.SUBGID, group, subid.group_id(group)),
    )


def _check(host: HostConfig) -> None:
    if host.privileged:
        raise UsageError(
            "privileged mode is incompatible with user namespaces.  "
            "You must run the container in the host namespace when running privileged mode"
        )
    shared = (
        (host.network_mode, "host's network"),
        (host.pid_mode, "host PID"),
        (host.ipc_mode, "host's IPC"),
        (host.cgroupns_mode, "host's cgroup"),
    )
    for mode, words in shared:
        if mode == "host":
            raise UsageError(f"cannot share the {words} namespace when user namespaces are enabled")


def give(path: str | os.PathLike[str], record: Record) -> None:
    """A file or directory that was made for a container belongs to its root."""
    found = maps(record)
    if found:
        os.chown(path, *found.owner())


def whose(maps: IdMaps | None, source: str, user: tuple[int, int]) -> IdMaps:
    """-v SOURCE:TARGET:idmap: the maps by which what belongs to the source's owner is the container's user's."""
    from minidock.kernel import idmap

    try:
        facts = os.stat(source)
    except FileNotFoundError:  # a dry run: it would be made, and be root's
        facts = os.stat("/")
    inside = maps or IdMaps([idmap.EVERYBODY], [idmap.EVERYBODY])
    return IdMaps(
        idmap.exchange(facts.st_uid, user[0], inside.uids), idmap.exchange(facts.st_gid, user[1], inside.gids)
    )
