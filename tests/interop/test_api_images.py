"""Real clients look at images, and move them as archives."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import docker
import pytest

from tests.support.api import Daemon
from tests.support.odd_answers import answering


def test_images_are_saved_loaded_imported_and_told_of(daemon: Daemon, tmp_path: Path) -> None:
    image = daemon.docker("images", "-q", "--no-trunc", "busybox").stdout.strip()
    daemon.docker("tag", "busybox", "other:1")
    archive = str(tmp_path / "saved.tar")
    assert daemon.docker("save", "-o", archive, "busybox", "other:1").returncode == 0
    assert set(daemon.docker("rmi", "busybox", "other:1").stdout.splitlines()) >= {"Untagged: other:1"}
    loaded = daemon.docker("load", "-i", archive).stdout.splitlines()
    assert sorted(loaded) == ["Loaded image: busybox:latest", "Loaded image: other:1"]
    assert daemon.docker("images", "-q", "--no-trunc", "other").stdout.strip() == image
    assert "No such image: nosuch" in daemon.docker("save", "nosuch", "-o", str(tmp_path / "x")).stderr
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        entry = tarfile.TarInfo("hello")
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"hi"))
    words = ("import", "-c", "CMD /hello", "-m", "why", str(tmp_path / "root.tar"), "mine:3")
    assert daemon.docker(*words).stdout.startswith("sha256:")
    facts = json.loads(daemon.docker("inspect", "mine:3").stdout)[0]
    assert facts["Config"]["Cmd"] == ["/bin/sh", "-c", "/hello"] and facts["RepoTags"] == ["mine:3"]
    assert "TYPE" in daemon.docker("system", "df").stdout
    assert "Images" in daemon.docker("system", "df", "-v").stdout.replace("Images space usage", "Images")


def test_what_is_no_archive_is_refused_in_the_stream(daemon: Daemon) -> None:
    bad = subprocess.run(["docker", "load"], env=daemon.environment, input=b"no archive" * 1000, capture_output=True)
    assert bad.returncode == 1 and b"Traceback" not in bad.stderr and bad.stderr
    assert daemon.docker("images", "-q").stdout != ""


def test_docker_py_saves_loads_prunes_and_reads_history(client: docker.DockerClient) -> None:
    image = client.images.get("busybox")
    saved = b"".join(image.save(named=True))
    assert client.images.load(saved)[0].id == image.id
    assert image.history()[0]["Id"]
    client.images.prune()
    assert client.images.get("busybox").id == image.id
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch/at:all")
    with pytest.raises(docker.errors.APIError):
        client.api.import_image_from_data(b"no tar", repository="x")
    assert client.df()["Images"][0]["RepoTags"] == ["busybox:latest"]


def test_what_is_not_here_says_so(daemon: Daemon, client: docker.DockerClient) -> None:
    assert "not a swarm manager" in daemon.docker("node", "ls").stderr
    assert "not a swarm manager" in daemon.docker("service", "ls").stderr
    assert daemon.docker("plugin", "ls", "-q").stdout == ""
    assert client.plugins.list() == []
    with pytest.raises(docker.errors.NotFound, match='plugin "some/one" not found'):
        client.plugins.get("some/one")


def test_an_import_from_what_breaks_off_is_told(daemon: Daemon) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc") as address:
        done = daemon.docker("import", address, "mine:4")
    assert done.returncode == 1 and f"failed to load {address}: IncompleteRead" in done.stderr
