"""Where the image of `run NAME` comes from: a registry when there is one, else a recipe, and nobody waits long."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from minidock.engine import ensure, registries
from minidock.errors import RegistryError, Unreachable
from minidock.image.registry import names
from minidock.paths import Layout

PULLED, BUILT = "pulled", "built"
DENIED, DEAD = RegistryError("pull access denied"), Unreachable("no such host")


def happened(monkeypatch: pytest.MonkeyPatch, layout: Layout, name: str, policy: str, hub: object) -> list[str]:
    """What was done and said; `hub` is None when it doesn't answer, an error that it gives, or True."""
    told: list[str] = []

    def pull(*_: Any, **__: Any) -> None:
        if isinstance(hub, RegistryError):
            raise hub
        told.append(PULLED)

    monkeypatch.setattr(ensure, "_hub_answers", lambda: hub is not None)
    monkeypatch.setattr(ensure, "_build", lambda *_: told.append(BUILT))
    monkeypatch.setattr(registries, "pull", pull)
    ensure.ensure(layout, name, policy=policy, platform="", say=told.append, tell=lambda _: None)
    return told


ABSENT = "Unable to find image 'busybox:latest' locally"


@pytest.mark.parametrize(
    ("policy", "hub", "then"),
    [
        ("missing", True, [ABSENT, PULLED]),
        ("missing", None, [ABSENT, BUILT]),
        ("missing", DENIED, [ABSENT, "pull access denied; going on with the built-in image", BUILT]),
        ("missing", DEAD, [ABSENT, "no such host; going on with the built-in image", BUILT]),
        ("always", True, [PULLED]),
        ("always", DEAD, ["no such host; going on with the built-in image", BUILT]),
    ],
)
def test_a_registry_comes_first(
    monkeypatch: pytest.MonkeyPatch, layout: Layout, policy: str, hub: object, then: list[str]
) -> None:
    assert happened(monkeypatch, layout, "busybox", policy, hub) == then


@pytest.mark.parametrize(
    ("name", "policy", "hub"),
    [("busybox", "always", DENIED), ("alpine", "missing", DENIED), ("busybox:1", "missing", DEAD)],
)
def test_what_no_recipe_replaces_is_an_error(
    monkeypatch: pytest.MonkeyPatch, layout: Layout, name: str, policy: str, hub: RegistryError
) -> None:
    with pytest.raises(type(hub), match=hub.message):
        happened(monkeypatch, layout, name, policy, hub)


def test_a_hub_behind_a_proxy_is_asked_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert ensure._hub_answers()


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "ftp", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


@pytest.mark.usefixtures("direct")
def test_a_hub_that_refuses_or_has_no_address_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1", "nothing.invalid"):
        monkeypatch.setattr(names, "HUB_HOST", host)
        assert not ensure._hub_answers()


@pytest.mark.usefixtures("direct")
def test_one_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a name server that is out of reach: glibc would ask it for ten seconds and more."""
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\nexec sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(ensure.sys, "executable", str(stuck))
    monkeypatch.setattr(ensure, "PATIENCE", 0.2)
    begun = time.monotonic()
    assert not ensure._hub_answers()
    assert time.monotonic() - begun < 30
