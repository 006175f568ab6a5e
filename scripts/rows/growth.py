"""Many stopped containers, images and small files, quickly, for the rows of scripts/bench that ask how cost grows.

Each container is made by the engine's own create, as `minidock create` would, only without a new interpreter for each.
Their state is that of one that has really run and ended: so the records are what 1,000 runs would have left.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from minidock.engine import Engine
from minidock.engine.record import Records, replace
from minidock.image.importer import import_tar
from minidock.image.store import ImageStore
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.requests import CreateRequest
from minidock.paths import Layout
from tests.support import tarforge


@contextlib.contextmanager
def stopped(layout: Layout, run: Callable[..., str], count: int) -> Iterator[None]:
    """`run` executes a command of minidock's. They are gone afterwards."""
    engine, records = Engine(layout), Records(layout)
    request = CreateRequest(config=ContainerConfig(image="busybox", cmd=["true"]), host_config=HostConfig())
    model = run("create", "busybox", "true").strip()
    made = [model]
    try:
        run("start", "-a", model)
        ended = records.read(model).state
        while len(made) < count:
            made.append(engine.create(request).id)
            records.write(replace(records.read(made[-1]), state=ended), durable=False)
        yield
    finally:
        for identifier in made:
            engine.remove(identifier)


@contextlib.contextmanager
def images(layout: Layout, count: int) -> Iterator[None]:
    """So many images of a layer each, beside those that are there."""
    store = ImageStore(layout)
    try:
        for number in range(count):
            layer = tarforge.tar(tarforge.member("number", b"%d" % number))
            import_tar(store, io.BytesIO(layer), reference=f"growth:{number}")
        yield
    finally:
        for number in range(count):
            store.delete(f"growth:{number}")


def small_files(path: Path, count: int = 100_000) -> Path:
    """A tar of files of 200 to 3,200 bytes, a hundred in a directory: what a package manager leaves."""
    with path.open("wb") as out:
        for number in range(count):
            where = f"d{number // 100 % 50}/e{number // 100}"
            if number % 100 == 0:
                out.write(tarforge.directory(f"{where}/"))
            out.write(tarforge.member(f"{where}/file{number}", b"x" * (200 + number * 37 % 3000)))
        out.write(tarforge.END)
    return path
