"""An ordinary user's engine: the same one, in a user namespace of his own (kernel/unprivileged.py).

Each command enters that namespace before it does anything else, and is root there. All below then works as for the
machine's root, on what belongs to the namespace. What belongs to the host stays out of reach: fitted() and check() say
what that is. One process holds the namespace while anybody is in there: `flock`, which wants a lock alone
that every command and every shim shares, and so sleeps until the last of them has gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
from collections.abc import Iterator

import msgspec

from minidock import files, whoami
from minidock.engine import limits
from minidock.errors import MinidockError, Unsupported
from minidock.kernel import subid, unprivileged
from minidock.model.host import HostConfig
from minidock.paths import Layout
from minidock.spec import IdMapping, Mount, Spec

MEMBERS = "user-namespace-members"
"""The lock that everybody in the namespace shares."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds the namespace: named as a container's process is."""

    pid: int
    ticks: int


def enter(layout: Layout) -> None:
    """Be root of the user's namespace from now on; it is made when there is none.

    Raises MinidockError for a user without subordinate ids, Unsupported where no user may do this.
    """
    inside = os.geteuid() == 0
    maps = None if inside else id_maps(layout)
    _own_directory(layout)
    _share_membership(layout)
    with files.locked(layout.lock("user-namespace")):
        holder = _holder(layout)
        if holder is None:
            holder = _new_holder(layout, maps)
    if not inside:
        user = os.geteuid()
        unprivileged.enter(holder.pid)
        os.environ[whoami.VARIABLE] = str(user)
    elif os.stat(f"/proc/{holder.pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino:
        raise MinidockError(f"this process is left over from an earlier user namespace of user {layout.user}")


def id_maps(layout: Layout) -> tuple[list[IdMapping], list[IdMapping]]:
    """Users and groups of the namespace: root is the user himself, then come his subordinate ids.

    Raises MinidockError when he has none.
    """
    number = layout.user or 0
    try:
        facts = pwd.getpwuid(number)
    except KeyError:
        raise MinidockError(
            f"user {number} has no name on this host, and so no subordinate ids",
            hint="only root can run containers for him",
        ) from None
    pairs = ((subid.SUBUID, number), (subid.SUBGID, facts.pw_gid))
    found = []
    for file, own in pairs:
        lines = subid.mappings(file, facts.pw_name, number)
        moved = [IdMapping(line.container_id + 1, line.host_id, line.size) for line in lines]
        found.append([IdMapping(0, own, 1), *moved])
    return found[0], found[1]


def unshare_options(layout: Layout) -> str:
    """The same maps for unshare(1), which takes one range beside the user himself. Raises Unsupported for more."""
    maps = id_maps(layout)
    if any(len(lines) > 2 for lines in maps):
        raise Unsupported("a script can't make this container: unshare(1) takes one range of subordinate ids, not more")
    pairs = zip(("--map-users", "--map-groups"), maps, strict=True)
    return " ".join(f"{option}={lines[1].host_id},1,{lines[1].size}" for option, lines in pairs)


def _own_directory(layout: Layout) -> None:
    """In /tmp anybody could have put something at the place of our run directory: it has to be ours alone.

    Nor may others walk into the instance: a setuid program of an image would run as the user, for whoever finds it.
    """
    if not layout.root.exists():
        layout.root.mkdir(mode=0o700, parents=True)
    for place in dict.fromkeys([layout.run.parent, layout.run]):
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700, parents=True)
        facts = os.stat(place, follow_symlinks=False)
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise MinidockError(f"{place} is not a directory that only user {layout.user} can write to")


def _share_membership(layout: Layout) -> None:
    """Held until we end, and by whatever we become or leave behind: so it isn't closed by execve(2)."""
    lock = layout.lock(MEMBERS)
    lock.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)  # waits for a holder that is just about to go
    os.set_inheritable(fd, True)


def _holder(layout: Layout) -> Holder | None:
    from minidock.engine.record import ticks

    try:
        found = files.read_json(layout.run / "holder.json", Holder)
    except FileNotFoundError:
        return None
    return found if ticks(found.pid) == found.ticks != 0 else None


def _new_holder(layout: Layout, maps: tuple[list[IdMapping], list[IdMapping]] | None) -> Holder:
    """In the namespace where we are, or containers run whose holder somebody has killed; else in a new one."""
    from minidock.engine.record import ticks

    flock, true = shutil.which("flock", path="/usr/bin:/bin"), shutil.which("true", path="/usr/bin:/bin")
    if flock is None or true is None:
        raise Unsupported("nobody can hold a user namespace here: util-linux's flock is missing")
    stay = [flock, "--exclusive", str(layout.lock(MEMBERS)), true]
    survivor = _survivor(layout)
    if maps is None or survivor:
        pid = unprivileged.keep(0 if maps is None else survivor, stay)
    else:
        pid = unprivileged.make(*maps, stay)
    holder = Holder(pid, ticks(pid))
    files.write_json(layout.run / "holder.json", holder, durable=False)
    return holder


def _survivor(layout: Layout) -> int:
    """The pid of a container that runs; 0 when none does."""
    from minidock.engine.record import Records, alive

    return next((record.state.pid for record in Records(layout).all() if alive(record)), 0)


def check(host: HostConfig) -> None:
    """Raises Unsupported for what an ordinary user can't have, with the reason. Nothing is left out silently."""
    for asked, what, why in _refusals(host):
        if asked:
            raise Unsupported(f"without root there is no {what}: {why}", hint="run it as root")


def _refusals(host: HostConfig) -> Iterator[tuple[bool, str, str]]:
    found = limits.resources(host)
    for name, limit in (("memory", found.memory), ("cpu", found.cpu), ("pids", found.pids), ("io", found.block_io)):
        yield limit is not None, f"{name} limit", NO_CGROUP
    yield bool(host.device_cgroup_rules), "--device-cgroup-rule", NO_CGROUP
    yield bool(host.cgroup_parent), "--cgroup-parent", NO_CGROUP
    yield host.cgroupns_mode == "host", "--cgroupns host", NO_CGROUP
    yield host.pid_mode == "host", "--pid host", "the host's processes are not the user namespace's to show in /proc"
    yield host.ipc_mode == "host", "--ipc host", "the host's message queues are not the user namespace's to mount"


NO_CGROUP = "it takes a cgroup of the container's own, and those of this host are root's"


def fitted(layout: Layout, config: Spec, host: HostConfig) -> Spec:
    """A bundle's config for the user's namespace. Raises Unsupported: see check."""
    check(host)
    mounts = [_mount(mount, config) for mount in config.mounts if mount.type != "cgroup"]
    sysctl = dict(config.linux.sysctl)
    if PING in sysctl:  # a group that nobody in there can be can't be named
        sysctl[PING] = f"0 {_last_group(layout)}"
    linux = msgspec.structs.replace(config.linux, sysctl=sysctl, resources=None)
    process = config.process
    if (
        process and not process.oom_score_adj
    ):  # only root may lower it, to 0 too: what nobody asked for stays the caller's
        process = msgspec.structs.replace(process, oom_score_adj=None)
    return msgspec.structs.replace(config, mounts=mounts, linux=linux, process=process)


def _last_group(layout: Layout) -> int:
    """Of the namespace; a dry run of somebody who can have none tells of himself alone."""
    try:
        return sum(line.size for line in id_maps(layout)[1]) - 1
    except MinidockError:
        return 0


PING = "net.ipv4.ping_group_range"


def _mount(mount: Mount, config: Spec) -> Mount:
    """sysfs shows a network, and can be mounted by whoever owns that: the host's is bound instead, read-only."""
    if mount.type == "sysfs" and config.linux.namespace("network") is None:
        return Mount(mount.destination, "bind", "/sys", ["rbind", "rslave", "rro", "nosuid", "noexec", "nodev"])
    return mount


def no_cgroup(layout: Layout, what: str) -> None:
    """Raises Unsupported in a user's instance, for a verb that needs the container's own cgroup."""
    if layout.user is not None:
        raise Unsupported(f"without root there is no {what}: {NO_CGROUP}", hint="run the container as root")


def no_bridge(layout: Layout) -> None:
    """Raises Unsupported in a user's instance, for what is about networks that somebody makes."""
    if layout.user is not None:
        raise Unsupported(
            "without root there are no networks of one's own: bridges and the cables to them belong to the host's root",
            hint="the default network, none and host are there",
        )
