"""The shim's log beside a real dockerd's: the same output, the same bytes but for the times."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minidock.engine import logs
from tests.support.dockerd import Docker
from tests.support.shim import Shim

NASTY = (Path(__file__).parent.parent / "support" / "nasty.sh").read_text()
TIME = re.compile(rb'"time":"[^"]*"')


@pytest.fixture(scope="module")
def docker_log(docker: Docker, busybox_image: Path) -> Path:
    docker("load", "-i", str(busybox_image), check=True)
    name = docker("create", "--network", "none", "busybox", "sh", "-c", NASTY, check=True).stdout.strip()
    docker("start", "-a", name, check=True)
    return Path(docker("inspect", "-f", "{{.LogPath}}", name, check=True).stdout.strip())


@pytest.fixture
def our_log(tmp_path: Path) -> Path:
    one = Shim(tmp_path, f"exec busybox sh -c '{quoted(NASTY)}'")
    assert one.output()[2] == 0
    one.close()
    return one.log.path


def quoted(script: str) -> str:
    return script.replace("'", "'\\''")


def test_the_same_output_makes_the_same_log(docker_log: Path, our_log: Path) -> None:
    theirs, ours = (TIME.sub(b"", path.read_bytes()).splitlines() for path in (docker_log, our_log))
    assert len(theirs) > 300
    assert ours == theirs


def test_pieces_of_a_line_share_their_time_in_both(docker_log: Path, our_log: Path) -> None:
    for path in (docker_log, our_log):
        records = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        pieces = [pair for pair in itertools.pairwise(records) if not pair[0]["log"].endswith("\n")]
        assert len(pieces) > 20
        assert all(piece["time"] == following["time"] for piece, following in pieces)


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {}),
        ("--tail 3", {"tail": 3}),
        ("--tail 0", {"tail": 0}),
        ("-t --tail 320", {"tail": 320, "timestamps": True}),
    ],
)
def test_our_reader_prints_what_docker_logs_prints(
    docker: Docker, docker_log: Path, tmp_path: Path, flags: str, options: dict[str, Any]
) -> None:
    printed = tmp_path / "printed"
    docker.inside("sh", "-c", f"docker logs {flags} {docker_log.parent.name} > {printed}", check=True)
    assert b"".join(text for _, text in logs.read(docker_log, **options)) == printed.read_bytes()
