"""Many stopped containers, quickly, for the rows of scripts/bench that ask how cost grows.

Each is made by the engine's own create, as `minidock create` would, only without a new interpreter for each. Their
state is that of one that has really run and ended: so the records are what 1,000 runs would have left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from minidock.engine import Engine
from minidock.engine.record import Records, replace
from minidock.model import ContainerConfig, CreateRequest, HostConfig
from minidock.paths import Layout


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
