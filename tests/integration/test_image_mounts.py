"""--mount type=image: another image's files, read-only, for as long as the container exists."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.support.images import docker_archive
from tests.support.instance import Minidock
from tests.support.needs import require_root

LAYERS = [
    {"model/a": b"old", "model/b": b"one\n", "etc/passwd": b"of the image\n"},
    {"model/.wh.a": b"", "model/sub/deep": b"two\n", "model/out": "/etc", "model/up": "../../../etc/passwd"},
]
WHOLE = "type=image,source=weights,target=/m"


def layer(members: dict[str, bytes | str]) -> bytes:
    """Files, and symbolic links where there is text."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def loaded(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Minidock:
    require_root()
    weights = docker_archive(tmp_path / "weights.tar", "weights:latest", [layer(one) for one in LAYERS])
    for archive in (busybox_image, weights):
        minidock("load", "-i", str(archive), check=True)
    return minidock


def read(box: Minidock, mount: str, script: str) -> str:
    words = ("--rm", "--network", "none", "--mount", mount, "busybox", "sh", "-c", script)
    return box("run", *words, check=True).stdout


def test_its_layers_are_one_tree_that_nobody_writes_to(loaded: Minidock) -> None:
    script = "cd /m/model; echo *; cat b sub/deep; touch /m/x 2>&1; grep -c ' /m ' /proc/self/mountinfo"
    told = read(loaded, WHOLE, script)
    assert told == "b out sub up\none\ntwo\ntouch: /m/x: Read-only file system\n1\n"


@pytest.mark.parametrize(
    ("subpath", "script", "told"),
    [
        ("model/sub", "cat /m/deep", "two\n"),
        ("model/b", "cat /m", "one\n"),
        ("model/out", "cat /m/passwd", "of the image\n"),  # links lead to places of the image, never the host's
        ("model/up", "cat /m", "of the image\n"),
    ],
)
def test_a_part_of_it(loaded: Minidock, subpath: str, script: str, told: str) -> None:
    assert read(loaded, f"{WHOLE},image-subpath={subpath}", script) == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("source=nosuch", 'invalid mount config for type "image": No such image: nosuch:latest (minidock pull nosuch)'),
        ("source=weights,image-subpath=../x", "subpath must be a relative path within the volume"),
        ("source=weights,image-subpath=/model", "subpath must be a relative path within the volume"),
        ("source=weights,image-subpath=nosuch", "cannot access path nosuch in the image for /m: no such file"),
    ],
)
def test_what_is_not_there_is_said_and_leaves_nothing(loaded: Minidock, words: str, told: str) -> None:
    refused = loaded("run", "--rm", "--mount", f"type=image,target=/m,{words}", "busybox", "true")
    assert refused.returncode == 125 and told in refused.stderr
    assert loaded("ps", "-aq", check=True).stdout == ""


def test_the_image_is_in_use_and_its_files_stay_until_the_container_goes(loaded: Minidock) -> None:
    loaded("create", "--name", "one", "--network", "none", "--mount", WHOLE, "busybox", "cat", "/m/model/b", check=True)
    loaded("create", "--name", "two", "--volumes-from", "one", "--network", "none", "busybox", "ls", "/m", check=True)
    refused = loaded("rmi", "weights")
    assert refused.returncode == 1 and "is using its referenced image" in refused.stderr
    assert "weights" not in loaded("image", "prune", "-a", "-f", check=True).stdout
    [point] = json.loads(loaded("inspect", "one", check=True).stdout)[0]["Mounts"]
    assert (point["Type"], point["Name"], point["RW"]) == ("image", "weights", False)
    loaded("rmi", "-f", "weights", check=True)
    assert loaded("start", "-a", "one", check=True).stdout == "one\n"
    loaded("rm", "one", check=True)
    assert loaded("start", "-a", "two", check=True).stdout == "etc\nmodel\n"
    kept = {path.name for path in (loaded.layout.images / "layers").iterdir()}
    loaded("rm", "two", check=True)
    loaded("image", "prune", "-f", check=True)
    assert len(kept) == 3 and len(list((loaded.layout.images / "layers").iterdir())) == 1


def test_cp_sees_it_in_a_container_that_runs_or_has_ended(loaded: Minidock, tmp_path: Path) -> None:
    part = f"{WHOLE},image-subpath=model"
    loaded("run", "-d", "--name", "one", "--network", "none", "--mount", part, "busybox", "sleep", "600", check=True)
    for _ in range(2):
        loaded("cp", "one:/m/sub/deep", str(tmp_path / "copied"), check=True)
        assert (tmp_path / "copied").read_text() == "two\n"
        (tmp_path / "copied").unlink()
        loaded("stop", "-t", "0", "one", check=True)


def test_as_many_layers_as_an_image_may_have(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> None:
    """Their names don't fit one page of mount(2)'s options."""
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    layers = [layer({f"f{number}": b"x"}) for number in range(120)]
    minidock("load", "-i", str(docker_archive(tmp_path / "many.tar", "weights:latest", layers)), check=True)
    assert read(minidock, WHOLE, "ls /m | wc -l") == "120\n"
