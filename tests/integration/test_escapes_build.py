"""Published ways out of a build: by what a RUN has mounted, and by what is tidied up after it. docs/escapes.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builds import Build, build, shell
from tests.support.instance import Minidock

__all__ = ["build"]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host's that a build wants to reach."""
    path = tmp_path / "outside"
    (path / "place").mkdir(parents=True)
    (path / "secret").write_text("secret of the host\n")
    return path


def _untouched(outside: Path) -> bool:
    return sorted(path.name for path in outside.rglob("*")) == ["place", "secret"]


def test_2024_23651_a_link_in_a_cache_leads_nowhere(build: Build, outside: Path) -> None:
    """BuildKit looked up `source` in the cache by its path, while another RUN swapped it for a link to the host's root:
    here what a cache mount shows is the cache, and no path in it is ever looked up."""
    told = build(
        f"""FROM busybox
RUN --mount=type=cache,id=shared,target=/c ln -s {outside} /c/way
RUN --mount=type=cache,id=shared,source=/way,target=/d cat /d/secret; touch /d/new /d/place/new; true
""",
        check=False,
    )
    assert "secret of the host" not in told.stderr
    assert _untouched(outside)


def test_2024_23652_nothing_is_removed_by_a_path_of_the_container(
    build: Build, minidock: Minidock, outside: Path
) -> None:
    """BuildKit removed the empty mount point afterwards, by its path: a link was there by then, to one of the host."""
    build(
        f"""FROM busybox
RUN mkdir /real && ln -s real /d
RUN --mount=type=tmpfs,target=/d/place touch /d/place/x && rm /d && ln -s {outside} /d
"""
    )
    assert _untouched(outside)
    assert shell(minidock, "readlink /d; ls /real") == f"{outside}\n"


def test_2024_23653_no_run_has_more_rights_than_a_container(build: Build, minidock: Minidock) -> None:
    """BuildKit ran a container with all rights for whoever asked its API in the right way."""
    told = build("FROM busybox\nRUN --security=insecure true\n", check=False)
    assert told.returncode == 1
    assert "security.insecure is not allowed" in told.stderr
    script = "grep -E 'CapEff|CapBnd|^Seccomp:' /proc/self/status"
    build(f"# syntax=example.invalid/evil\nFROM busybox\nRUN {script} > /rights\n")
    rights = shell(minidock, "cat /rights")
    assert rights == shell(minidock, script, image="busybox")
    assert "Seccomp:\t2" in rights


@pytest.mark.parametrize("kind", ["bind", "cache"])
def test_2024_1753_what_is_mounted_from_a_stage_is_the_stage_s(build: Build, outside: Path, kind: str) -> None:
    """buildah bound `source` by its path, and the stage had a link there."""
    told = build(
        f"""FROM busybox AS base
RUN ln -s {outside} /way
FROM busybox
RUN --mount=type={kind},from=base,source=/way,target=/x,rw cat /x/secret; touch /x/new; true
""",
        check=False,
    )
    assert told.returncode == 1
    assert "not found" in told.stderr
    assert "secret of the host" not in told.stderr
    assert _untouched(outside)


@pytest.mark.parametrize("key", ["id", "target"])
def test_2024_9675_a_cache_lies_where_caches_lie(build: Build, outside: Path, key: str) -> None:
    """buildah took the mount's words for a path below its directory of caches, dots and all."""
    up = f"{'../' * 20}{str(outside).lstrip('/')}"
    options = f"id={up},target=/c" if key == "id" else f"target={up}"
    build(f"FROM busybox\nRUN --mount=type=cache,{options} touch /c/new {outside}/new 2>/dev/null; true\n", check=False)
    assert _untouched(outside)


def test_2024_9407_nobody_sets_the_propagation_of_a_mount(build: Build) -> None:
    """buildah handed `bind-propagation` on to mount(2), whatever it was."""
    told = build("FROM busybox\nRUN --mount=type=bind,target=/x,bind-propagation=/etc true\n", check=False)
    assert told.returncode == 1
    assert "unexpected key 'bind-propagation'" in told.stderr
