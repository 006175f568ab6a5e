"""--platform of rmi, save, history, push and inspect: the image's own, or an error in the daemon's words."""

from __future__ import annotations

from typing import Any, cast

import pytest

from minidock.cli import of_platform
from minidock.cli.commands import Complaint
from minidock.errors import NotFound


class Engine:
    def __init__(self, system: str, architecture: str, variant: str = "") -> None:
        self.found = {"Os": system, "Architecture": architecture, "Variant": variant}

    def inspect_image(self, ref: str) -> dict[str, Any]:
        return self.found


def check(engine: Engine, wanted: str) -> None:
    of_platform.check(cast("Any", engine), ["busybox"], wanted)


@pytest.mark.parametrize("wanted", ["", "linux", "amd64", "linux/amd64", "linux/x86_64", "Linux/AMD64"])
def test_its_own(wanted: str) -> None:
    check(Engine("linux", "amd64"), wanted)


@pytest.mark.parametrize("wanted", ["linux/arm/v7", "arm", "linux/armhf"])
def test_its_own_variant(wanted: str) -> None:
    check(Engine("linux", "arm", "v7"), wanted)


@pytest.mark.parametrize(
    ("wanted", "shown"), [("linux/arm64", "linux/arm64"), ("windows", "windows"), ("linux/amd64/v3", "linux/amd64/v3")]
)
def test_another(wanted: str, shown: str) -> None:
    with pytest.raises(NotFound) as caught:
        check(Engine("linux", "amd64"), wanted)
    does_not = f"its platform (linux/amd64) does not match the specified platform ({shown})"
    assert caught.value.message == f"image with reference busybox was found but {does_not}"


def test_none_that_there_is() -> None:
    with pytest.raises(Complaint, match="unknown operating system or architecture"):
        check(Engine("linux", "amd64"), "beos")
