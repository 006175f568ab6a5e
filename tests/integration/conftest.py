"""What several files of integration tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.image.registry import client, wire
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.conftest import require_root
from tests.support.oddserver import OddRegistry, odd_registry


@pytest.fixture
def store(layout: Layout) -> ImageStore:
    """Of an instance of the test's own, empty."""
    require_root()
    return ImageStore(layout)


@pytest.fixture
def odd() -> Iterator[OddRegistry]:
    with odd_registry() as registry:
        yield registry


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two seconds of silence are enough, and pauses between tries are short; nobody's config.json is read."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    original = wire.Wire.__init__

    def quick(self: wire.Wire, *arguments: object, **options: object) -> None:
        original(self, *arguments, patience=2, pause=0.02, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client.Wire, "__init__", quick)
