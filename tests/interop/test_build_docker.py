"""The same Dockerfiles to Docker's classic builder and to minidock: equal trees, equal configs, histories of one shape.

Docker's images are saved and loaded into a store of ours, so that both sides are read in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from minidock.image.store import Image, ImageStore
from minidock.paths import Layout
from tests.support import buildcontext
from tests.support.buildcases import Case, cases
from tests.support.buildlooks import config_of, differences, tree_of
from tests.support.dockerd import Docker
from tests.support.instance import Minidock
from tests.support.needs import require_root

KNOWN = {
    "all/.dockerignore": "Docker's client adds the name of a Dockerfile from outside the context to it",
    "all/modes/setuid": "the classic builder loses the setuid bit of what COPY copies; its successor doesn't",
    "modes/setuid": "as above",
    "mine": "WORKDIR's directory is root's there, and USER's with its successor",
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


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_same_image(case: Case, both: Both) -> None:
    assert case.name not in both.problems, both.problems[case.name]
    theirs, ours = both.theirs[case.name], both.ours[case.name]
    trees = [tree_of(both.store, image) for image in (theirs, ours)]
    trees = [{path: facts for path, facts in tree.items() if path not in KNOWN} for tree in trees]
    found = differences("docker", *trees) + differences("docker", config_of(theirs), config_of(ours))
    shape = [[entry.empty_layer for entry in image.config.history] for image in (theirs, ours)]
    if shape[0] != shape[1]:
        found.append(f"history: docker {theirs.config.history}\nminidock {ours.config.history}")
    assert not found, "\n".join(found)
