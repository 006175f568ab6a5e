"""Where everything lies. An instance is its root directory: two roots never meet (DESIGN: instances don't meet).

/var/lib/minidock/            --root, MINIDOCK_ROOT: survives a reboot
    images/                   the image store (minidock.image.store)
    containers/<id>/          container.json, <id>-json.log or -local.log, hostname, hosts, resolv.conf,
                              init/, upper/ and work/
    names/<name>              the id of who has claimed the name
    networks/  volumes/
    builds/<id>               whose lock says that a build has the container, which no list shows
    build-mounts/             directories of RUN --mount=type=cache
    events/log                what happened, a line of JSON each (minidock.engine.events); log.1 is the older part
    config.json               settings of the instance (minidock.engine.userns), where somebody has made it
/run/minidock/                gone after a reboot, as are the mounts and processes that it tells about
    locks/                    one file a lock, held with flock(2)
    containers/<id>/          journal.json, config.json, attach.sock, exit.json, exec/, rootfs/ (mount point)

An ordinary user's own instance (minidock.engine.rootless) has the same below ~/.local/share/minidock and
$XDG_RUNTIME_DIR/minidock: XDG Base Directory Specification.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .digests import hex_digest
from .whoami import ordinary_user

DEFAULT_ROOT = Path("/var/lib/minidock")


class Layout:
    """The directories and kernel names of one instance. Pure: creates nothing."""

    def __init__(self, root: Path = DEFAULT_ROOT, *, user: int | None = None) -> None:
        """`user` is the ordinary user whose instance it is; None for root's."""
        self.user = user
        self.root = Path(os.path.abspath(root))
        self.is_default = self.root == (DEFAULT_ROOT if user is None else users_root())
        # Socket paths are limited to 107 bytes (unix(7)), so run state never lies below a long --root.
        tag = "" if self.is_default else f"-{_short_hash(self.root)}"
        self.run = Path("/run" if user is None else users_run(user)) / f"minidock{tag}"
        self.images = self.root / "images"
        self.containers = self.root / "containers"
        self.networks = self.root / "networks"
        self.volumes = self.root / "volumes"
        self.events = self.root / "events"
        self.settings = self.root / "config.json"
        self.cgroup_parent = f"/minidock{tag}"
        """Cgroup of the instance, relative to each hierarchy's mount."""
        self.nft_table = f"minidock{tag}"
        """Name of the instance's own nftables tables (families ip and ip6)."""
        self.bridge = f"md{tag}" if tag else "md0"
        """Name of the default bridge; interface names have at most 15 bytes (IFNAMSIZ)."""

    def container(self, container_id: str) -> Path:
        """Lasting files of a container."""
        return self.containers / container_id

    def container_run(self, container_id: str) -> Path:
        """Run-time files of a container; the id is cut to 12 characters to keep socket paths short."""
        return self.run / "containers" / container_id[:12]

    def lock(self, name: str) -> Path:
        return self.run / "locks" / name


def _short_hash(path: Path) -> str:
    """Six hex digits of a path."""
    return hex_digest(os.fsencode(path))[:6]


def users_root() -> Path:
    """Where an ordinary user's instance lies."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "minidock"


def users_run(user: int) -> Path:
    """What is gone after a reboot: in the directory that the session manager made for the user, else in /tmp.

    A variable that somebody else's session has left us (su) names a directory that isn't ours, and doesn't count.
    """
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{user}"):
        with contextlib.suppress(OSError):
            if os.path.isabs(place) and os.stat(place).st_uid == os.geteuid():
                return Path(place)
    return Path(f"/tmp/minidock-{user}")


def from_environment(root: str | None = None) -> Layout:
    """The instance that --root or MINIDOCK_ROOT names, or the default one: root's, or the ordinary user's own."""
    chosen, user = root or os.environ.get("MINIDOCK_ROOT"), ordinary_user()
    if not chosen:
        return Layout() if user is None else Layout(users_root(), user=user)
    place = Path(chosen)
    return Layout(place, user=user if user is not None and _is_ours(place) else None)


def _is_ours(place: Path) -> bool:
    """Whether a directory belongs to us, or could be made by us: others' instances we can only read."""
    if place.exists():
        return place.stat().st_uid == os.geteuid()
    while not place.exists():
        place = place.parent
    return os.access(place, os.W_OK)
