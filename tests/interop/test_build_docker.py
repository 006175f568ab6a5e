"""The same Dockerfiles to Docker's classic builder and to minidock: equal trees, equal configs, histories of one shape.

Docker's images are saved and loaded into a store of ours, so that both sides are read in the same way.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from minidock.build.tree import Tree
from minidock.image.store import Image, ImageStore
from minidock.paths import Layout
from tests.support import buildcontext
from tests.support.buildcases import Case, cases
from tests.support.dockerd import Docker
from tests.support.instance import Minidock
from tests.support.needs import require_root

KNOWN = {
    "all/.dockerignore": "Docker's client adds the name of a Dockerfile from outside the context to it",
    "all/modes/setuid": "the classic builder loses the setuid bit of what COPY copies; its successor doesn't",
    "modes/setuid": "as above",
}
"""Paths whose differences are Docker's, and why."""
TRIGGER = "FROM base\nONBUILD RUN echo triggered > /t\nONBUILD ENV TRIGGERED=yes\nONBUILD COPY hello.txt /on\n"


class Both(msgspec.Struct, frozen=True):
    """What came of all cases: images by name, and what failed."""

    theirs: dict[str, Image]
    ours: dict[str, Image]
    store: ImageStore
    problems: dict[str, str]


@pytest.fixture(scope="module")
def both(docker: Docker, busybox_layer_tar: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    require_root()
    place = tmp_path_factory.mktemp("builds")
    context = buildcontext.make(place / "context")
    (place / "base.tar").write_bytes(busybox_layer_tar)
    ours = Minidock(Layout(place / "root"))
    files = {}
    for case in [Case("trigger-image", TRIGGER, []), *cases()]:
        files[case.name] = place / f"{case.name}.Dockerfile"
        files[case.name].write_text(case.dockerfile)
    docker("import", "-c", "ENV PATH=/usr/local/bin:/usr/bin:/bin", "-c", 'CMD ["sh"]', str(place / "base.tar"), "base")
    archive = place / "base-image.tar"
    docker("save", "-o", str(archive), "base", check=True)
    ours("load", "-i", str(archive), check=True)
    problems: dict[str, str] = {}

    def one(case: Case, engine: Any, tag: str) -> None:
        words = ["build", "-q", "-t", tag, "-f", str(files[case.name]), *case.options, str(context)]
        if engine is docker:
            done = docker.inside("env", "DOCKER_BUILDKIT=0", docker.client, *words)
        else:
            done = ours(*words, timeout=120)
        if done.returncode:
            who = "docker" if engine is docker else "minidock"
            problems[case.name] = f"{problems.get(case.name, '')}{who}: {done.stdout}{done.stderr}"

    trigger = Case("trigger-image", TRIGGER, [])
    for engine in (docker, ours):
        one(trigger, engine, "trigger")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda case: one(case, docker, f"case-{case.name}"), cases()))
        list(pool.map(lambda case: one(case, ours, f"ours-{case.name}"), cases()))
    made = [f"case-{case.name}" for case in cases() if case.name not in problems]
    docker("save", "-o", str(place / "theirs.tar"), *made, check=True)
    ours("load", "-q", "-i", str(place / "theirs.tar"), check=True)
    store = ImageStore(ours.layout)
    yield Both(
        {case.name: store.find(f"case-{case.name}") for case in cases() if case.name not in problems},
        {case.name: store.find(f"ours-{case.name}") for case in cases() if case.name not in problems},
        store,
        problems,
    )
    docker("rmi", "-f", *made, "trigger", "base")
    ours.close()


def tree_of(store: ImageStore, image: Image) -> dict[str, str]:
    """Path → kind, mode, owner, content or target, attributes. Not times: a RUN's are those of its moment."""
    rows = {}
    tree = Tree(store.lower_dirs(image))
    for parts, directory, status in tree.walk():
        name = parts[-1]
        kind = stat.S_IFMT(status.st_mode)
        facts = [f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"]
        if kind == stat.S_IFREG:
            fd = directory.open(name)
            with open(fd, "rb") as file:
                facts.append(repr(file.read()[:2000]))
            facts.append(str(status.st_size))
        elif kind == stat.S_IFLNK:
            facts.append(directory.readlink(name))
        facts += [f"{key}={value!r}" for key, value in directory.xattrs(name).items()]
        rows["/".join(parts)] = " ".join(facts)
    return rows


def config_of(image: Image) -> dict[str, Any]:
    """What the image runs, as it is written, without what is empty."""
    config = {key: value for key, value in msgspec.to_builtins(image.config.config).items() if value}
    config["Author"] = image.config.author
    return config


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [
        f"{key}: docker {theirs.get(key)!r}, minidock {ours.get(key)!r}"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_same_image(case: Case, both: Both) -> None:
    assert case.name not in both.problems, both.problems[case.name]
    theirs, ours = both.theirs[case.name], both.ours[case.name]
    trees = [tree_of(both.store, image) for image in (theirs, ours)]
    found = differences(*({path: facts for path, facts in tree.items() if path not in KNOWN} for tree in trees))
    found += differences(config_of(theirs), config_of(ours))
    shape = [[entry.empty_layer for entry in image.config.history] for image in (theirs, ours)]
    if shape[0] != shape[1]:
        found.append(f"history: docker {theirs.config.history}\nminidock {ours.config.history}")
    assert not found, "\n".join(found)
