"""Every client at every workflow: one test a cell of the table in docs/api.md, which is held to what is here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.paths import Layout
from tests.conftest import Minidock, require_root, require_tool
from tests.interop.clients import WORKFLOWS, Client
from tests.interop.clients.compose import Compose1, Compose2
from tests.interop.clients.docker_command import DockerCommand
from tests.interop.clients.docker_py import DockerPy
from tests.interop.clients.testcontainers_python import Testcontainers
from tests.interop.clients.whales import Whales
from tests.support.api import Daemon, serving

CLIENTS = (DockerCommand, DockerPy, Compose1, Compose2, Testcontainers, Whales)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[Daemon]:
    """One daemon for all cells."""
    require_root()
    require_tool("docker")
    box = Minidock(Layout(tmp_path_factory.mktemp("matrix") / "root"))
    try:
        box("load", "-i", str(busybox_image), check=True)
        with serving(box) as running:
            yield running
    finally:
        box.close()


@pytest.fixture(scope="module")
def client(served: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[type[Client]], Client]]:
    """A client is made for its first cell, and closed after the last."""
    with contextlib.ExitStack() as stack:
        made: dict[type[Client], Client] = {}

        def one(kind: type[Client]) -> Client:
            if kind not in made:
                made[kind] = kind(served, tmp_path_factory.mktemp("client"))
                stack.callback(made[kind].close)
            return made[kind]

        yield one


CELLS = [pytest.param(kind, name, id=f"{kind.NAME} {name}") for kind in CLIENTS for name in kind.cells()]


@pytest.mark.parametrize(("kind", "workflow"), CELLS)
def test_cell(client: Callable[[type[Client]], Client], served: Daemon, kind: type[Client], workflow: str) -> None:
    """It does what it says, and leaves no container, network or volume behind."""
    asked = client(kind)
    before = _everything(served)
    getattr(asked, workflow)()
    assert len(_everything(served)) == len(before)


def _everything(daemon: Daemon) -> list[str]:
    listings = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"), ("images", "-q"))
    return [line for words in listings for line in daemon.docker(*words).stdout.split()]


def test_the_table_says_which_cells_there_are() -> None:
    rows = [["workflow", *(kind.NAME for kind in CLIENTS)], ["---"] * (len(CLIENTS) + 1)]
    rows += [[f"`{name}`", *(kind.LACKS.get(name, "yes") for kind in CLIENTS)] for name in WORKFLOWS]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows).replace("| --- |", "|---|").replace(" --- |", "---|")
    assert table in PAGE.read_text(), f"docs/api.md needs this table:\n{table}"
