"""Containers as they are written down: one directory each, one JSON file that tells everything.

A name is claimed by creating `names/NAME` with O_EXCL, so two commands can't both have it. The record is replaced
whole; readers need no lock. What changes a container holds `containers-ID.lock` meanwhile.
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.errors import ContainerNotFound, MinidockError, NameInUse, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, MountRequest, PortBinding
from minidock.model.network import EndpointSettings
from minidock.model.state import ContainerState, MountPoint
from minidock.paths import Layout

LONGEST_NAME = 255
"""Bytes of a name, which is a file's: NAME_MAX of limits.h."""


class Record(msgspec.Struct, frozen=True):
    """A container. `layers` are the image's directories, top first; `endpoints` and `ports` are empty until started."""

    id: str
    name: str
    created: str
    image: str
    image_id: str
    config: ContainerConfig
    host_config: HostConfig
    layers: list[str]
    path: str = ""
    args: list[str] = []
    state: ContainerState = ContainerState()
    start_ticks: int = 0
    """Field 22 of /proc/PID/stat: with the pid it names one process for ever, also after the number is reused."""
    endpoints: dict[str, EndpointSettings] = {}
    ports: dict[str, list[PortBinding] | None] = {}
    mounts: list[MountPoint] = []
    requested: dict[str, EndpointSettings] = {}
    isolated: bool = False
    """It has been disconnected from every network."""
    restart_count: int = 0
    platform: str = "linux"
    manually_stopped: bool = False
    """Somebody's stop or kill was the last word: restart policies leave it alone."""
    restart_delay_ms: int = 0
    """How long the last restart waited; 0 when none did since it was started by hand."""
    waiter_pid: int = 0
    waiter_ticks: int = 0
    """Who waits for the next restart (engine.policy), named as the container's process is."""
    mounted_images: dict[str, list[str]] = {}
    """Images that it has as mounts, by id: their directories, top first."""
    inherited: list[MountRequest] = []
    """What was asked for the mounts that are other containers' (--volumes-from)."""
    uid_map: list[tuple[int, int, int]] = []
    """With userns-remap: inside, outside, count, as in /proc/PID/uid_map. Empty without (minidock.engine.userns)."""
    gid_map: list[tuple[int, int, int]] = []
    hidden: bool = False
    """A RUN of a build: no list shows it."""

    @property
    def images(self) -> list[str]:
        """Ids of those that it needs: the one it is made from, and those that it has as mounts."""
        return [id for id in (self.image_id, *self.mounted_images) if id]

    @property
    def directories(self) -> list[str]:
        """All that it needs of images."""
        return [*self.layers, *(path for lower in self.mounted_images.values() for path in lower)]


def _check_length(name: str) -> None:
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise UsageError(f"Invalid container name ({name}), it may have {LONGEST_NAME} characters at most")


def replace(record: Record, **changes: object) -> Record:
    """The record with some fields changed."""
    return msgspec.structs.replace(record, **changes)


class Records:
    """All containers of an instance."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.names = layout.root / "names"

    def path(self, container_id: str) -> Path:
        return self.layout.container(container_id) / "container.json"

    @contextlib.contextmanager
    def locked(self, container_id: str) -> Iterator[None]:
        """Keep other commands from changing the same container. Never held while waiting for it to end."""
        lock = self.layout.lock(f"container-{container_id[:12]}")
        with files.locked(lock):
            try:
                yield
            finally:
                if not self.layout.container(container_id).exists():  # removed, by us or before: no lock outlives it
                    lock.unlink(missing_ok=True)

    # finding

    def ids(self) -> list[str]:
        """Ids of all that have a record."""
        with contextlib.suppress(FileNotFoundError):
            return [entry for entry in os.listdir(self.layout.containers) if len(entry) == 64]
        return []

    def read(self, container_id: str) -> Record:
        """Raises ContainerNotFound when it is gone, or was never finished being created."""
        try:
            return files.read_json(self.path(container_id), Record)
        except FileNotFoundError as error:
            raise ContainerNotFound(container_id) from error

    def all(self) -> list[Record]:
        """Every container, newest first; without those of builds."""
        records = []
        for container_id in self.ids():
            with contextlib.suppress(ContainerNotFound):
                records.append(self.read(container_id))
        records = [record for record in records if not record.hidden]
        return sorted(records, key=lambda record: record.created, reverse=True)

    def find(self, ref: str) -> Record:
        """By id, by name (with or without Docker's leading slash), or by a prefix of an id that only one has."""
        name = ref.removeprefix("/")
        if "/" in name:
            from minidock.engine import link_names

            return link_names.find(self, ref)
        if not name or name in (".", "..") or len(os.fsencode(name)) > LONGEST_NAME:
            raise ContainerNotFound(ref)
        if len(name) == 64 and self.path(name).exists():
            return self.read(name)
        with contextlib.suppress(FileNotFoundError):
            return self.read((self.names / name).read_text(encoding="ascii").strip())
        matches = [container_id for container_id in self.ids() if container_id.startswith(name)]
        if len(matches) > 1:
            raise MinidockError(f"Multiple IDs found with provided prefix: {name}", hint="give more of the id")
        if not matches:
            raise ContainerNotFound(ref)
        return self.read(matches[0])

    # writing

    def write(self, record: Record, *, durable: bool = True) -> None:
        files.write_json(self.path(record.id), record, durable=durable and not record.host_config.auto_remove)

    def write_if_room(self, record: Record, *, durable: bool = True) -> bool:
        """False when the disk is full: what has happened is then known from /run only, and `rm` still works."""
        try:
            self.write(record, durable=durable)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False
        return True

    def claim_name(self, name: str, container_id: str) -> None:
        """Raises NameInUse, UsageError. A name whose container was never finished (kill -9) is taken over."""
        _check_length(name)
        self.names.mkdir(parents=True, exist_ok=True)
        if not files.claim(self.names / name, container_id.encode()):
            with files.locked(self.layout.lock("names")):
                self._take_over(name, container_id)

    def rename(self, record: Record, name: str) -> Record:
        """Claim the new name, write it down, let go of the old one. Raises NameInUse.

        Under the lock of those who take names over: what a killed rename leaves claimed is theirs after it.
        """
        _check_length(name)
        renamed = replace(record, name=name)
        with files.locked(self.layout.lock("names")):
            if not files.claim(self.names / name, record.id.encode()):
                self._take_over(name, record.id)
            self.write(renamed)
        self.release_name(record.name, record.id)
        return renamed

    def _take_over(self, name: str, container_id: str) -> None:
        path = self.names / name
        holder = ""
        with contextlib.suppress(FileNotFoundError):
            holder = path.read_text(encoding="ascii").strip()
        if holder and self.layout.container(holder).exists() and not self._has_another_name(holder, name):
            raise NameInUse(name, holder)
        path.unlink(missing_ok=True)
        if not files.claim(path, container_id.encode()):
            raise NameInUse(name, holder)

    def _has_another_name(self, container_id: str, name: str) -> bool:
        """After a rename that was killed. One without a record is being created, and has it."""
        try:
            return self.read(container_id).name != name
        except ContainerNotFound:
            return False

    def release_strays(self) -> None:
        """Names of containers that are gone, or have another one. Nobody may be creating one meanwhile."""
        with files.locked(self.layout.lock("names")):
            for path in self.names.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    holder = path.read_text(encoding="ascii").strip()
                    there = bool(holder) and self.layout.container(holder).exists()
                    if not there or self._has_another_name(holder, path.name):
                        path.unlink()

    def release_name(self, name: str, container_id: str) -> None:
        """Only the one who holds it lets go of it."""
        if not name:
            return
        path = self.names / name
        with contextlib.suppress(FileNotFoundError):
            if path.read_text(encoding="ascii").strip() == container_id:
                path.unlink()


def ticks(pid: int) -> int:
    """When the process started, in clock ticks after boot (proc_pid_stat(5), field 22); 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(record: Record) -> bool:
    """Whether the container's first process is there: that one, not another with its number."""
    return record.state.pid > 0 and ticks(record.state.pid) == record.start_ticks != 0


def waiting(record: Record) -> bool:
    """Whether somebody is there who will start it again."""
    return record.state.restarting and record.waiter_pid > 0 and ticks(record.waiter_pid) == record.waiter_ticks != 0


def cgroup_of(layout: Layout, record: Record) -> str:
    """The container's cgroup, relative to each hierarchy's mount."""
    return f"{record.host_config.cgroup_parent or layout.cgroup_parent}/{record.id}"


def refresh(layout: Layout, record: Record) -> Record:
    """The record as it truly is: one that says running and isn't gets finished first."""
    if not record.state.running or alive(record) or waiting(record):
        return record
    from minidock.engine.finish import finish  # networks, volumes and more: not for those who only look

    with contextlib.suppress(ContainerNotFound):
        return finish(layout, record.id)
    return replace(record, state=msgspec.structs.replace(record.state, status="removing", running=False, pid=0))


def end_the_dead(layout: Layout) -> int:
    """Finish all containers that say running and aren't, with what they hold; how many there were."""
    found = [record for record in Records(layout).all() if refresh(layout, record) is not record]
    return len(found)
