"""build --build-context: a name in FROM, COPY --from and RUN --mount=from that means something else for once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builds import Build, build, cached, inspect, shell
from tests.support.instance import Minidock

__all__ = ["build"]


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Another directory, with a .dockerignore of its own."""
    place = tmp_path / "more"
    (place / "sub").mkdir(parents=True)
    for name, text in {"file": "more\n", "sub/deep": "deep\n", "gone.log": "x", ".dockerignore": "*.log\n"}.items():
        (place / name).write_text(text)
    return place


def test_a_directory(build: Build, minidock: Minidock, more: Path) -> None:
    """Its files are root's, what its .dockerignore names is not there, and nothing outside of it."""
    (more / "out").symlink_to("../context/file")
    (more / "file").chmod(0o640)
    dockerfile = """FROM busybox
COPY --from=more / /all/
COPY file /mine
RUN --mount=from=more,target=/m cat /m/sub/deep > /mounted && ls -A /m > /list
RUN --mount=from=more,source=sub,target=/m cat /m/deep >> /mounted
"""
    given = ("--build-context", f"more={more}")
    build(dockerfile, *given, files={"file": "mine\n"})
    assert shell(minidock, "cat /all/file /mine /mounted; stat -c '%a %u:%g' /all/file") == (
        "more\nmine\ndeep\ndeep\n640 0:0\n"
    )
    assert shell(minidock, "ls -A /all; cat /list") == ".dockerignore\nfile\nout\nsub\n" * 2
    assert cached(build(dockerfile, *given)) == ["1", "2", "3", "4", "5"]
    (more / "sub/deep").write_text("changed\n")
    assert cached(build(dockerfile, *given)) == ["1"]
    told = build("FROM busybox\nCOPY --from=more out /taken\n", *given, check=False)
    assert told.returncode == 1 and "out: file not found" in told.stderr


def test_it_goes_before_a_stage_and_an_image(build: Build, minidock: Minidock, more: Path) -> None:
    """The stage of that name is then not built at all; `debian:latest` and `debian` are one name."""
    build(
        "FROM nosuch:9 AS made\nRUN exit 5\nFROM debian:latest\nCOPY --from=made /file /taken\n",
        *("--build-context", f"made={more}", "--build-context", "docker.io/library/debian=docker-image://busybox"),
    )
    assert shell(minidock, "cat /taken") == "more\n"
    build(
        "FROM busybox\nRUN --mount=from=other,target=/o test -x /o/bin/busybox\nCOPY --from=other /etc/passwd /taken\n",
        *("--build-context", "other=docker-image://busybox:latest"),
    )
    assert shell(minidock, "cmp /taken /etc/passwd") == ""


def test_from_files(build: Build, minidock: Minidock, more: Path) -> None:
    """FROM of a directory: its files are the image, with one layer for them."""
    dockerfile = "FROM more\nCOPY --from=busybox /bin /bin\nENV A=1\n"
    given = ("--build-context", f"more={more}")
    build(dockerfile, *given)
    assert shell(minidock, "cat /file /sub/deep; test ! -e /gone.log") == "more\ndeep\n"
    found = inspect(minidock)
    assert len(found["RootFS"]["Layers"]) == 2 and "A=1" in found["Config"]["Env"]
    assert cached(build(dockerfile, *given)) == ["1", "2"] and inspect(minidock)["Id"] == found["Id"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("alone", "invalid context value: alone, expected key=value"),
        ("=x", "invalid context value: =x, expected key=value"),
        ("a b=.", "invalid context name a b"),
        ("x=/nonexistent", "failed to get build context x: /nonexistent is no directory"),
        ("x=oci-layout:///tmp/x", "oci-layout:///tmp/x is not supported by this version of minidock: a directory"),
        ("x=target:other", "target:other is not supported"),
    ],
)
def test_no_context(minidock: Minidock, given: str, said: str) -> None:
    told = minidock("build", "--build-context", given, ".")
    assert told.returncode in (1, 125) and said in told.stderr
