"""After a kill -9: what a command left half done, the next one puts right.

Five kinds of remains. A container whose start was killed has a journal and no process: its steps are undone. A
creation that was killed has a directory without a record: it is removed. A run directory that was being deleted has
a name that ends in `.gone`. A name, or a lock in /run, may be left of a container that is no more. Whether
somebody is still at it, is told by locks, which die with their holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from minidock import files
from minidock.paths import Layout

GONE = ".gone"
LOCK = "container-"


@contextlib.contextmanager
def creating(layout: Layout) -> Iterator[None]:
    """Held, shared, while a container's directory has no record yet."""
    repair(layout)
    with files.locked(layout.lock("creating"), shared=True):
        yield


def repair(layout: Layout) -> None:
    """Cheap when there is nothing to do: five directories are read. Needs root, and does nothing without."""
    if os.geteuid() != 0:
        return
    _half_started(layout)
    _half_created(layout)
    _half_built(layout)
    _stray_names(layout)
    _stray_locks(layout)


def _half_started(layout: Layout) -> None:
    from minidock.engine.record import Records, alive
    from minidock.errors import ContainerNotFound

    records = Records(layout)
    started = _entries(layout.run / "containers")
    ids = {name[:12]: name for name in _entries(layout.containers)}  # read later: has whatever was started by then
    for name in started:
        if name.endswith(GONE):
            with contextlib.suppress(OSError):  # somebody else is at it too
                files.remove_tree(layout.run / "containers" / name)
            continue
        with _if_free(layout, f"container-{name}") as free:
            if not free:
                continue
            try:
                record = records.read(ids.get(name, name))
            except ContainerNotFound:
                _clear(layout, name)
                continue
            if not record.state.running and not alive(record):
                _clear(layout, record.id)


def _clear(layout: Layout, container_id: str) -> None:
    from minidock.engine.finish import clear  # loaded only when there is something to repair

    clear(layout, container_id)


def _half_created(layout: Layout) -> None:
    unwritten = (layout.containers / name for name in _entries(layout.containers))
    entries = [path for path in unwritten if not (path / "container.json").exists()]
    if not entries:
        return
    with _if_free(layout, "creating") as free:
        for path in entries if free else []:
            if not (path / "container.json").exists():
                with contextlib.suppress(OSError):
                    files.remove_tree(path)


def _half_built(layout: Layout) -> None:
    """Containers of builds that were killed: what they do is of use to nobody."""
    for container_id in _entries(layout.root / "builds"):
        path = layout.root / "builds" / container_id
        with _if_free_file(path) as free:
            if free:
                from minidock.engine.build_run import abandon  # loaded only when there is something to repair

                abandon(layout, container_id)
                path.unlink(missing_ok=True)


def _stray_names(layout: Layout) -> None:
    """Of containers that were created or removed in part only. All but those of builds have a name: counting tells."""
    names, builds = _entries(layout.root / "names"), _entries(layout.root / "builds")
    if len(names) > len({*_entries(layout.containers)} - {*builds}):
        from minidock.engine.record import Records

        with _if_free(layout, "creating") as free:
            if free:
                Records(layout).release_strays()


def _stray_locks(layout: Layout) -> None:
    """Of containers that are gone: who looked after one, and was killed, has made the lock again."""

    def stray() -> list[str]:
        names = [name for name in _entries(layout.run / "locks") if name.startswith(LOCK)]
        known = {LOCK + name[:12] for name in _entries(layout.containers)}  # read after them: has all that hold one
        return [name for name in names if name not in known]

    if stray():
        with _if_free(layout, "creating") as free:
            for name in stray() if free else []:
                layout.lock(name).unlink(missing_ok=True)


def _entries(path: os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _if_free(layout: Layout, name: str) -> Iterator[bool]:
    """Take the lock if nobody holds it."""
    with _if_free_file(layout.lock(name)) as free:
        yield free


@contextlib.contextmanager
def _if_free_file(path: Path) -> Iterator[bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(fd)
