"""build by way of a daemon: the context as it is sent, and what comes back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.engine.build_context import Source, source
from tests.interop.test_remote_daemons import Remote, loaded, remote

__all__ = ["loaded", "remote"]


@pytest.fixture
def builder(remote: Remote) -> Iterator[Remote]:
    yield remote
    remote("rmi", "-f", "made:1")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    (place / "below").mkdir(parents=True)
    (place / "below" / "file").write_text("text\n")
    (place / "below" / "link").symlink_to("file")
    (place / "secret").write_text("not yours\n")
    (place / ".dockerignore").write_text("secret\n*.md\nDockerfile\n")
    (place / "Dockerfile").write_text(
        "FROM busybox\nARG WHO=nobody\nCOPY . /in\nRUN ls -A /in && echo for $WHO >/who\n"
    )
    return place


def packed(found: Source) -> dict[str, tarfile.TarInfo]:
    out = io.BytesIO()
    assert found.pack is not None
    found.pack(out.write)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        return {member.name: member for member in archive}


def test_what_is_ignored_stays_here_and_the_dockerfile_always_travels(context: Path, tmp_path: Path) -> None:
    found = source(str(context), "", io.BytesIO(), tmp_path)
    members = packed(found)
    assert found.dockerfile == "Dockerfile"
    assert sorted(members) == [".dockerignore", "Dockerfile", "below", "below/file", "below/link"]
    assert members["below/link"].linkname == "file" and {member.uid for member in members.values()} == {0}


def test_a_dockerfile_from_elsewhere_gets_a_name_that_is_ignored(context: Path, tmp_path: Path) -> None:
    other = tmp_path / "Other"
    other.write_text("FROM busybox\n")
    for file, stdin in ((str(other), b""), ("-", b"FROM busybox\n")):
        found = source(str(context), file, io.BytesIO(stdin), tmp_path)
        assert found.dockerfile.startswith(".dockerfile.") and found.dockerfile in packed(found)


def test_a_dockerfile_alone_and_a_tar_on_stdin_and_an_address(tmp_path: Path) -> None:
    assert sorted(packed(source("-", "", io.BytesIO(b"FROM busybox\n"), tmp_path))) == ["Dockerfile"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("Dockerfile"))
    out.seek(0)
    assert source("-", "", out, tmp_path).read is not None
    address = source("https://example.org/x.git#main:sub", "", io.BytesIO(), tmp_path)
    assert address.address == "https://example.org/x.git#main:sub" and address.pack is None


def test_a_build_sees_its_context_and_its_arguments(builder: Remote, context: Path) -> None:
    built = builder("build", "-t", "made:1", "--build-arg", "WHO=you", "--label", "a=b", str(context))
    assert built.returncode == 0, built.stderr
    assert "] COPY . /in\n" in built.stderr and "DONE" in built.stderr
    ran = builder("run", "--rm", "made:1", "sh", "-c", "cat /in/below/link /who; ls -A /in")
    assert ran.stdout == "text\nfor you\n.dockerignore\nbelow\n"
    assert builder("image", "inspect", "-f", "{{.Config.Labels.a}}", "made:1").stdout == "b\n"
    again = builder("build", "-q", "-t", "made:1", "--build-arg", "WHO=you", "--label", "a=b", str(context))
    assert again.stdout == builder("image", "inspect", "-f", "{{.Id}}", "made:1").stdout


def test_a_build_from_stdin_with_a_file_from_elsewhere(builder: Remote, context: Path) -> None:
    text = "FROM busybox\nCOPY . /in\nRUN test ! -e /in/secret && ls -A /in >/seen\n"
    assert builder("build", "-t", "made:1", "-f", "-", str(context), input=text).returncode == 0
    assert builder("run", "--rm", "made:1", "cat", "/seen").stdout == "below\n"
    assert builder("build", "-t", "made:1", "-", input="FROM busybox\nRUN echo alone >/x\n").returncode == 0
    assert builder("run", "--rm", "made:1", "cat", "/x").stdout == "alone\n"


def test_a_build_that_fails_says_where(builder: Remote, context: Path) -> None:
    failed = builder("build", "-", input="FROM busybox\nRUN echo before; exit 3\n")
    assert failed.returncode == 1 and "returned a non-zero code: 3" in failed.stderr and "before" in failed.stderr
    missing = builder("build", str(context / "nope"))
    assert missing.returncode == 1 and "not found" in missing.stderr
    secret = builder("build", "--secret", "id=x,src=/etc/hostname", str(context))
    assert secret.returncode == 1 and "--secret can't be asked of a daemon" in secret.stderr
