"""Contexts and files from elsewhere: http, tars behind it, git with a ref and a directory."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import Build, build, cached, shell
from tests.support.instance import Minidock
from tests.support.needs import require_tool

__all__ = ["build"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory, and its address on a server on loopback."""
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def tar_of(**files: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), 1_600_000_000
            tar.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


def test_add_address(build: Build, minidock: Minidock, served: tuple[Path, str]) -> None:
    """The file as it is, private to root, with the server's time; a tar stays packed unless --unpack."""
    root, address = served
    (root / "file.txt").write_text("from the web\n")
    os.utime(root / "file.txt", (1_500_000_000, 1_500_000_000))
    (root / "a.tgz").write_bytes(tar_of(inside="i"))
    digest = hashlib.sha256(b"from the web\n").hexdigest()
    dockerfile = f"""FROM busybox
ADD --checksum=sha256:{digest} {address}/file.txt /d/
ADD --chown=5:6 --chmod=644 {address}/file.txt /named
ADD {address}/a.tgz /packed/
ADD --unpack=true {address}/a.tgz /unpacked/
"""
    build(dockerfile)
    assert shell(minidock, "cat /d/file.txt; stat -c '%a %u %Y' /d/file.txt") == "from the web\n600 0 1500000000\n"
    told = shell(minidock, "stat -c '%a %u %g' /named; cd /; ls -d packed/* unpacked/*")
    assert told == "644 5 6\npacked/a.tgz\nunpacked/inside\n"
    assert cached(build(dockerfile)) == ["1", "2", "3", "4", "5"]
    (root / "file.txt").write_text("changed\n")
    wrong = build(dockerfile, check=False)
    assert wrong.returncode == 1 and "digest mismatch" in wrong.stderr and f"instead of sha256:{digest}" in wrong.stderr
    wrong = build(f"FROM busybox\nADD {address}/nosuch /x\n", check=False)
    assert "invalid response status 404" in wrong.stderr


def test_context_from_an_address(build: Build, minidock: Minidock, served: tuple[Path, str]) -> None:
    root, address = served
    (root / "Only").write_text("FROM busybox\nRUN echo alone > /x\n")
    minidock("build", "-t", "out", f"{address}/Only", check=True)
    assert shell(minidock, "cat /x") == "alone\n"
    (root / "context.tar.gz").write_bytes(tar_of(Dockerfile="FROM busybox\nCOPY f /f\n", f="packed"))
    minidock("build", "-t", "out", f"{address}/context.tar.gz", check=True)
    assert shell(minidock, "cat /f") == "packed"
    told = minidock("build", f"{address}/nosuch")
    assert told.returncode == 1 and "invalid response status 404" in told.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """git://… of a repository with a branch, a tag, a directory and a symlink that leads out."""
    git = require_tool("git")
    root = tmp_path / "git" / "app.git"
    root.mkdir(parents=True)

    def run(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run([git, "-C", str(root), *identity, *words], check=True, capture_output=True)

    run("init")
    (root / "Dockerfile").write_text("FROM busybox\nCOPY . /c/\n")
    (root / "sub").mkdir()
    (root / "sub" / "Dockerfile").write_text("FROM busybox\nCOPY inside /inside\n")
    (root / "sub" / "inside").write_text("in the directory\n")
    (root / "out").symlink_to("../../..")
    run("add", ".")
    run("commit", "-m", "one")
    run("tag", "v1")
    run("checkout", "-b", "side")
    (root / "sub" / "inside").write_text("on the side\n")
    run("commit", "-am", "two")
    run("checkout", "main")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--listen=127.0.0.1", f"--port={port}", f"--base-path={root.parent}"]
    daemon = subprocess.Popen(
        [git, "daemon", "--export-all", "--reuseaddr", *where], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"git://127.0.0.1:{port}/app.git"
    os.killpg(daemon.pid, 15)
    daemon.wait()


def test_git_context(build: Build, minidock: Minidock, repository: str) -> None:
    """And CVE-2026-33748: by the fragment's directory BuildKit came out of the repository."""
    minidock("build", "-t", "out", repository, check=True)
    assert shell(minidock, "ls -A /c") == "Dockerfile\nout\nsub\n"
    inside = {"#:sub": "in the directory\n", "#v1:sub": "in the directory\n", "#side:sub": "on the side\n"}
    inside["#:out/sub"] = "in the directory\n"  # the symlink leads up and out: for a repository its root is "/"
    for fragment, text in inside.items():
        minidock("build", "-t", "out", f"{repository}{fragment}", check=True)
        assert shell(minidock, "cat /inside") == text
    wrong = {
        "#nosuch": "repository does not contain ref nosuch: git checkout: ",
        "#:nosuch": "no directory of the repository",
        "#:../../../etc": "no directory",
        "#--x": "not a git reference",
    }
    for fragment, said in wrong.items():
        told = minidock("build", f"{repository}{fragment}")
        assert told.returncode in (1, 125) and said in told.stderr


def test_git_without_depth(
    build: Build, minidock: Minidock, repository: str, served: tuple[Path, str], tmp_path: Path
) -> None:
    """Plain files on a web server, from which git can't take single commits."""
    root, address = served
    for words in (
        ["clone", "-q", "--bare", str(tmp_path / "git/app.git"), str(root / "a.git")],
        ["update-server-info"],
    ):
        place = ["-C", str(root / "a.git")] if words[0] != "clone" else []
        subprocess.run(["git", *place, *words], check=True)
    for fragment, text in {"": "in the directory\n", "#side:": "on the side\n"}.items():
        minidock("build", "-t", "out", f"{address}/a.git{fragment}", check=True)
        assert shell(minidock, "cat /c/sub/inside") == text


def test_named_contexts(build: Build, minidock: Minidock, served: tuple[Path, str], repository: str) -> None:
    """--build-context from an address is the one file `context`; of a repository, its files."""
    root, address = served
    (root / "file.txt").write_text("from the web\n")
    given = ("--build-context", f"web={address}/file.txt", "--build-context", f"repo={repository}#side:sub")
    build("FROM busybox\nCOPY --from=web /context /web\nCOPY --from=repo / /repo/\n", *given)
    assert shell(minidock, "cat /web; ls -A /repo") == "from the web\nDockerfile\ninside\n"


def test_add_git(build: Build, minidock: Minidock, repository: str) -> None:
    build(f"FROM busybox\nADD {repository}#side:sub /sub/\nADD --keep-git-dir=true {repository} /all/\n")
    told = shell(minidock, "cat /sub/inside; test -d /all/.git && echo kept; ls -A /sub")
    assert told == "on the side\nkept\nDockerfile\ninside\n"


def test_checksum_of_git(build: Build, minidock: Minidock, repository: str, tmp_path: Path) -> None:
    """It is the commit's, and may be cut short or come from a variable, as BuildKit's."""
    words = ["git", "-C", str(tmp_path / "git" / "app.git"), "rev-parse", "side"]
    commit = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    dockerfile = f"FROM busybox\nARG SUM\nADD --checksum=$SUM {repository}#side:sub /sub/\n"
    for right in (commit, commit[:12]):
        build(dockerfile, "--build-arg", f"SUM={right}")
    wrong = build(dockerfile, "--build-arg", f"SUM={'0' * 40}", check=False)
    assert wrong.returncode == 1 and f"expected checksum to match {'0' * 40}, got {commit}" in wrong.stderr
