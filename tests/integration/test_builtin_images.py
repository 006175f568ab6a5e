"""The first run on a machine that has no image and reaches no registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image import builtin
from minidock.image.layers import workplace
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.support.instance import Minidock
from tests.support.needs import require_feature, require_root, require_tool


@pytest.fixture(autouse=True)
def root(layout: Layout) -> Iterator[None]:
    require_root()
    yield
    shutil.rmtree(layout.run, ignore_errors=True)  # the store's locks


def test_hello_world_runs_at_once(minidock: Minidock) -> None:
    first = minidock("run", "--rm", "hello-world", check=True)
    assert first.stdout.startswith("\nHello from a container that minidock made!\n")
    assert "built-in image hello-world" in first.stderr
    again = minidock("run", "--rm", "hello-world", check=True)
    assert again.stdout == first.stdout and again.stderr == ""


def test_busybox_runs_as_root_and_as_a_user(minidock: Minidock) -> None:
    shell = minidock(
        "run", "--rm", "busybox", "sh", "-c", "id -un; id -un mail; ls -ld /tmp | cut -c1-10; pwd", check=True
    )
    assert shell.stdout == "root\nmail\ndrwxrwxrwt\n/\n"
    assert minidock("run", "--rm", "--user", "mail", "busybox", "cat", "/etc/shadow").returncode == 1
    assert minidock("images", "--format", "{{.Repository}}:{{.Tag}}", check=True).stdout == "busybox:latest\n"


def test_debian_is_this_hosts_release(minidock: Minidock) -> None:
    require_tool("mmdebstrap")
    require_feature("network")
    codename = "sed -n 's/^VERSION_CODENAME=//p' /etc/os-release"
    inside = minidock(
        "run",
        "--rm",
        "debian",
        "bash",
        "-c",
        f"{codename}; dpkg --audit; ls /dev/shm /var/lib/apt/lists",
        check=True,
        timeout=400,
    )
    assert inside.stdout.splitlines()[0] == os.popen(codename).read().strip()
    assert "built-in image debian" in inside.stderr
    wrong = minidock("run", "--rm", "debian", "find", "/var/log", "/etc/machine-id", "-type", "f")
    assert wrong.stdout == "", "logs or an identity of the build are in the image"


def test_a_failing_recipe_leaves_nothing(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "recipes" / "odd"
    place.mkdir(parents=True)
    (place / "image.toml").write_text('describe = "x"\nepoch = 1\nneeds = {}\nchanges = []\n')
    (place / "recipe").write_text('mkdir "$OUT/sys"; mount -t tmpfs none "$OUT/sys"; echo x > "$OUT/sys/x"; exit 7\n')
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    store = ImageStore(layout)
    with pytest.raises(MinidockError, match="failed with exit code 7"):
        builtin.build(store, "odd", say=lambda line: None)
    assert list(store.tmp.iterdir()) == [] and store.images() == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text(), "the recipe's mount outlived it"


def test_a_recipe_at_work_is_left_alone(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian takes minutes; meanwhile somebody makes busybox in another terminal, and sweeps what the dead left."""
    place = tmp_path / "recipes" / "slow"
    place.mkdir(parents=True)
    (place / "image.toml").write_text('describe = "x"\nepoch = 1\nneeds = {}\nchanges = []\n')
    go = tmp_path / "go"
    script = f'echo kept > "$OUT/file"; echo at work; while [ ! -e {go} ]; do sleep 0.01; done; cat "$OUT/file"\n'
    (place / "recipe").write_text(script)
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    store, said = ImageStore(layout), []

    def hear(line: str) -> None:
        said.append(line)
        if line == "at work":
            with workplace(store):
                go.touch()

    builtin.build(store, "slow", say=hear)
    assert said[-1] == "kept"


def test_a_bad_instruction_leaves_no_image(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "recipes" / "odd"
    place.mkdir(parents=True)
    (place / "image.toml").write_text('describe = "x"\nepoch = 1\nneeds = {}\nchanges = ["NOSUCH x"]\n')
    (place / "recipe").write_text('echo x > "$OUT/x"\n')
    monkeypatch.setattr(builtin, "directory", lambda: tmp_path / "recipes")
    store = ImageStore(layout)
    with pytest.raises(MinidockError):
        builtin.build(store, "odd", say=lambda line: None)
    assert list(store.tmp.iterdir()) == [] and store.images() == []


def test_the_same_inputs_give_the_same_id(layout: Layout) -> None:
    first = builtin.build(ImageStore(layout), "busybox", say=lambda line: None)
    assert first.tags == ["busybox:latest"]
    shutil.rmtree(layout.root)
    again = builtin.build(ImageStore(layout), "busybox", say=lambda line: None)
    assert first.id == again.id and first.diff_ids == again.diff_ids
