"""--gpus for NVIDIA, on a tree made by hand: what a program in the container finds of the driver. No GPU is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import fakegpu
from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool


@pytest.fixture
def driver(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Iterator[Path]:
    """An instance whose only CDI file was generated from the tree, and the image `asker`."""
    require_root()
    require_tool("gcc")
    minidock("load", "-i", str(busybox_image), check=True)
    root = fakegpu.tree(tmp_path / "host")
    image = fakegpu.asker(tmp_path)
    (image.parent / "Dockerfile").write_text(
        "FROM busybox\nCOPY image/ /\nENV NVIDIA_DRIVER_CAPABILITIES=compute,video\n"
    )
    minidock("build", "-q", "-t", "asker", str(tmp_path), check=True)
    (tmp_path / "cdi").mkdir()
    minidock("cdi", "generate", "--driver-root", str(root), "-o", str(tmp_path / "cdi/gpu.json"), check=True)
    minidock.layout.settings.write_text(json.dumps({"cdi-spec-dirs": [str(tmp_path / "cdi")]}))
    yield root
    for name in minidock("ps", "-aq", check=True).stdout.split():
        minidock("rm", "-f", name, check=True)


def test_a_program_finds_the_libraries_of_the_capabilities_that_it_has(minidock: Minidock, driver: Path) -> None:
    """By their SONAMEs, in a directory that the image's loader doesn't know: no hook, no ldconfig in the image."""
    minidock("create", "--name", "gpu", "--gpus", "all", "asker", "/ask", check=True)
    for _ in range(2):  # a second start changes nothing
        said = dict(line.split() for line in minidock("start", "-a", "gpu", check=True).stdout.splitlines())
        assert said == {
            "libcuda.so.1": "found",
            "libcuda.so": "found",
            "libnvidia-ml.so.1": "missing",
            "libnvcuvid.so.1": "found",
        }
    changed = minidock("diff", "gpu", check=True).stdout
    assert "A /etc/ld.so.cache" in changed and "A /etc/ld.so.conf.d/zz-minidock.conf" in changed
    script = "nvidia-smi; echo $NVIDIA_VISIBLE_DEVICES $NVIDIA_DRIVER_CAPABILITIES; ls /dev | grep nvidia"
    options = ("--rm", "--gpus", '"device=1","capabilities=utility"')
    said = minidock("run", *options, "asker", "sh", "-c", script, check=True).stdout
    nodes = ["nvidia-uvm", "nvidia-uvm-tools", "nvidia1", "nvidiactl"]
    assert said.split() == ["NVIDIA-SMI", "1", "utility", *nodes]
    plain = minidock("run", "--rm", "--gpus", "1", "busybox", "ls", "-a", "/etc", check=True).stdout
    assert "ld.so" not in plain  # no glibc, no cache
    wrong = minidock("run", "--rm", "--gpus", "1", "-e", "NVIDIA_DRIVER_CAPABILITIES=fly", "asker", "/ask")
    assert (
        wrong.returncode == 125 and "unsupported capabilities found in NVIDIA_DRIVER_CAPABILITIES: fly" in wrong.stderr
    )
