"""Builds in a context of the test's own, and looks at what came out."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def build(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Build:
    """`build("FROM busybox …", "--pull", files={"a": "text"})`: the image `out` from a context of those files."""
    require_root()
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    context = tmp_path / "context"
    context.mkdir()

    def run(
        dockerfile: str,
        *options: str,
        files: dict[str, str] | None = None,
        check: bool = True,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        for name, text in {"Dockerfile": dockerfile, **(files or {})}.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return minidock("build", "-t", "out", *options, str(context), check=check, env=env)

    return run


def shell(minidock: Minidock, script: str, image: str = "out") -> str:
    """What the script prints in the image."""
    return minidock("run", "--rm", "--network", "none", image, "sh", "-c", script, check=True).stdout


def inspect(minidock: Minidock, image: str = "out") -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(minidock("image", "inspect", image, check=True).stdout)
    return found[0]


def cached(told: subprocess.CompletedProcess[str]) -> list[str]:
    """The numbers of the steps that came from the cache."""
    return re.findall(r"^#\d+ \[(?:\S+ )?(\d+)/\d+\] .*\n(?:#\d+ \d.*\n)*#\d+ CACHED", told.stderr, flags=re.MULTILINE)


def everything_kept(minidock: Minidock) -> bytes:
    """All bytes that the instance has on disk: blobs, layers, records, cache."""
    found = b""
    for directory, _, names in os.walk(minidock.layout.root):
        for name in names:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                found += path.read_bytes()
    return found


def remains(minidock: Minidock) -> list[str]:
    """What of containers and unfinished work is there."""
    layout = minidock.layout
    places = [layout.containers, layout.root / "builds", layout.images / "tmp", layout.run / "containers"]
    places += [layout.run / "secrets"]
    return [f"{place}/{name}" for place in places if place.is_dir() for name in os.listdir(place)]
