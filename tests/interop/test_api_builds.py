"""Real clients build images with the classic builder's POST /build."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import docker
import pytest

from tests.support.api import Daemon

DOCKERFILE = """FROM busybox
ARG WHO=nobody
LABEL kind=test
COPY file /copied
RUN echo "made for $WHO" >/made && echo said aloud
CMD ["cat", "/copied", "/made"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (place / "Dockerfile").write_text(DOCKERFILE)
    (place / "file").write_text("from the context\n")
    return place


def build(daemon: Daemon, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {**daemon.environment, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(["docker", "build", *words], env=environment, input=input, capture_output=True, timeout=120)


def test_the_command_builds_runs_and_uses_the_cache(daemon: Daemon, context: Path, tmp_path: Path) -> None:
    iid = tmp_path / "iid"
    built = build(daemon, "-t", "mine:1", "--build-arg", "WHO=me", "--iidfile", str(iid), str(context))
    told = built.stdout.decode()
    assert built.returncode == 0 and "Step 1/" in told and "\nsaid aloud\n" in told, built
    assert f"Successfully built {iid.read_text().removeprefix('sha256:')[:12]}" in told
    assert "Successfully tagged mine:1" in told
    assert daemon.docker("run", "--rm", "mine:1").stdout == "from the context\nmade for me\n"
    again = build(daemon, "--build-arg", "WHO=me", str(context)).stdout.decode()
    assert again.count(" ---> Using cache") >= 2 and "\nsaid aloud\n" not in again
    assert build(daemon, "-q", str(context)).stdout.startswith(b"sha256:")
    assert "Build Cache" in daemon.docker("system", "df").stdout
    assert daemon.docker("builder", "prune", "-af").returncode == 0


def test_failures_have_the_commands_code_and_words(daemon: Daemon, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN exit 7\n")
    failed = build(daemon, str(context))
    assert failed.returncode == 7, failed
    assert b"The command '/bin/sh -c exit 7' returned a non-zero code: 7" in failed.stderr
    (context / "Dockerfile").write_text("FROM busybox\nNOSUCH x\n")
    wrong = build(daemon, str(context))
    assert wrong.returncode == 1 and b"unknown instruction" in wrong.stderr.lower()
    missing = build(daemon, "-f", str(context / "nosuch"), str(context))
    assert missing.returncode == 1


def test_every_instruction_counts_and_stderr_is_red(daemon: Daemon) -> None:
    file = b"ARG TAG=latest\nFROM busybox:$TAG\nENV A=b\nRUN echo out; echo oops >&2\n"
    told = build(daemon, "--label", "c=d", "-", input=file).stdout.decode()
    assert "\nout\n" in told and "\x1b[91moops\n\x1b[0m" in told
    steps = [line.partition(" ")[2] for line in told.replace("\x1b[0m", "").splitlines() if line.startswith("Step ")]
    words = ["ARG TAG=latest", "FROM busybox:$TAG", "ENV A=b", "RUN echo out; echo oops >&2", "LABEL c=d"]
    assert steps == [f"{number}/5 : {text}" for number, text in enumerate(words, 1)]


def test_with_cache_from_only_what_led_to_that_image_is_used(daemon: Daemon) -> None:
    """As the classic builder does; nothing is pulled for it."""
    file = b"FROM busybox\nENV A=b\nRUN echo 1 >/one\nRUN echo 2 >/two\n"
    other = file.replace(b"two", b"three")
    assert build(daemon, "-t", "first", "-", input=file).returncode == 0
    assert build(daemon, "-t", "other", "-", input=other).returncode == 0
    for image, wanted in (("first", 3), ("other", 2), ("nosuch", 0), ("first", 3)):
        told = build(daemon, "--cache-from", image, "-", input=file).stdout.decode()
        assert told.count(" ---> Using cache") == wanted, (image, told)


def test_a_dockerfile_alone_and_docker_py(daemon: Daemon, client: docker.DockerClient) -> None:
    assert build(daemon, "-t", "alone", "-", input=b"FROM busybox\nRUN echo x >/x\n").returncode == 0
    image, lines = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nLABEL a=b\n"), tag="py:1", labels={"c": "d"})
    assert image.labels == {"a": "b", "c": "d"} and "py:1" in image.tags
    assert any("Successfully built" in line.get("stream", "") for line in lines)
    with pytest.raises(docker.errors.BuildError):
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN false\n"))
    with pytest.raises(docker.errors.APIError) as caught:
        client.api._result(client.api._post(client.api._url("/build"), params={"remote": "/etc"}))
    assert caught.value.status_code == 400
