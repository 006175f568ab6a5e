"""Dockerfiles that the classic builder can't build, or builds otherwise: BuildKit's images and buildah's beside ours.

Debian has no BuildKit, so what it makes has been written down (tests/support/recordbuildkit.py); buildah is asked each
time, about as much of the language as Debian's knows.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.support import buildcontext
from tests.support.buildcases import Case, cases
from tests.support.buildlooks import differences
from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool
from tests.support.recordbuildkit import BASE, RECORD, looks

NAME = "buildkit.txt"
KNOWN = {
    "chmod-and-chown": {
        "tree": "BuildKit's mkdir loses the setgid bit that --chmod gives, on the topmost directory only"
    },
    "chmod-symbolic": {"modes": "BuildKit gives a symbolic --chmod to all directories but the topmost"},
    "add-tar-chown": dict.fromkeys(
        ("p", "p/dir", "p/dir/new", "p/file"),
        "BuildKit gives --chown to what comes out of an archive; the classic builder doesn't, nor do we",
    ),
    "exclude-wildcards": {"t/two.txt": "BuildKit keeps a file that a wildcard names; its reference has it excluded"},
    "exclude-documented": dict.fromkeys(("a", "a/hello.txt", "b", "b/hello.txt", "c", "c/two.txt"), "as above"),
    "shell-form-entrypoint-and-env": {"ArgsEscaped": "means something on Windows only"},
}
"""Case → path or field of the configuration → why it differs from BuildKit's."""
BUILDAH: dict[str, dict[str, str]] = {
    "mount-bind-from-stage": {},
    "mount-cache-from": {},
    "mount-secret-elsewhere": {"etc/deep": "buildah leaves the directory that it has made to mount something in"},
    "mount-several": {},
    "mount-and-user": {},
    "setuid-kept": {"modes/setuid": "buildah loses it, as the classic builder does"},
    "chmod-octal": {"tree": "buildah doesn't give --chmod to the topmost directory; BuildKit does"},
    "topdir": {"n9": "as above"},
}
"""The cases that buildah is asked about, with the paths that differ, and why."""
MADE_FOR_RUN = ("etc/hostname", "etc/hosts", "etc/resolv.conf", "run")
"""Empty files and a directory that a RUN of buildah's leaves in the image."""


class Builds:
    """Our images of all cases, and buildah's of some."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.context = buildcontext.make(place / "context")
        self.ours = Minidock(Layout(place / "root"))
        self.store = ImageStore(self.ours.layout)
        self.problems: dict[str, str] = {}

    def prepare(self, busybox: bytes) -> None:
        (self.place / "base.tar").write_bytes(busybox)
        self.ours("import", *BASE, str(self.place / "base.tar"), "base", check=True)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._build, cases(NAME)))

    def words(self, case: Case) -> list[str]:
        file = self.place / f"{case.name}.Dockerfile"
        file.write_text(case.dockerfile)
        return ["-f", str(file), *(option.format(context=self.context) for option in case.options), str(self.context)]

    def _build(self, case: Case) -> None:
        done = self.ours("build", "-q", "-t", case.name, *self.words(case), timeout=120)
        if done.returncode:
            self.problems[case.name] = f"{done.stdout}{done.stderr}"

    def by_buildah(self, case: Case) -> dict[str, Any]:
        """The image's looks, after a way through an archive into our store."""
        buildah = [require_tool("buildah"), "--root", f"{self.place}/b", "--runroot", f"{self.place}/r"]
        buildah += ["--storage-driver", "vfs"]
        runtime = ["--runtime", require_tool("runc"), "--isolation", "oci"]
        base, out = self.place / "base-image.tar", self.place / f"{case.name}.tar"
        if not base.exists():
            self.ours("save", "-o", str(base), "base", check=True)
            subprocess.run([*buildah, "pull", "-q", f"docker-archive:{base}"], check=True, capture_output=True)
        tag = f"buildah-{case.name}"
        for words in (
            ["bud", "-q", "--format", "docker", "--pull-never", *runtime, "-t", tag, *self.words(case)],
            ["push", "-q", f"localhost/{tag}", f"docker-archive:{out}:{tag}:latest"],
        ):
            subprocess.run([*buildah, *words], check=True, capture_output=True, timeout=120)
        self.ours("load", "-q", "-i", str(out), check=True)
        found = looks(self.store, tag)
        del found["config"]["Labels"]["io.buildah.version"]
        return found


@pytest.fixture(scope="module")
def builds(busybox_layer_tar: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    require_root()
    made = Builds(tmp_path_factory.mktemp("b"))
    made.prepare(busybox_layer_tar)
    yield made
    made.ours.close()


def same(who: str, theirs: dict[str, Any], ours: dict[str, Any], known: dict[str, str]) -> None:
    """Equal but for what is known, which must really differ."""
    found = [line for part in ("tree", "config") for line in differences(who, theirs[part], ours[part])]
    names = {line.partition(": ")[0] for line in found}
    assert names == set(known), "\n".join(found)


@pytest.mark.parametrize("case", cases(NAME), ids=lambda case: case.name)
def test_as_buildkit(case: Case, builds: Builds) -> None:
    assert case.name not in builds.problems, builds.problems[case.name]
    recorded = json.loads(RECORD.read_text())["cases"][case.name]
    same("BuildKit", recorded, looks(builds.store, case.name), KNOWN.get(case.name, {}))


@pytest.mark.parametrize("name", BUILDAH)
def test_as_buildah(name: str, builds: Builds) -> None:
    [case] = [case for case in cases(NAME) if case.name == name]
    theirs, ours = builds.by_buildah(case), looks(builds.store, name)
    for looked in (theirs, ours):
        looked["tree"] = {path: facts for path, facts in looked["tree"].items() if path not in MADE_FOR_RUN}
        looked["config"] = {key: value for key, value in looked["config"].items() if value}
    same("buildah", theirs, ours, BUILDAH[name])
