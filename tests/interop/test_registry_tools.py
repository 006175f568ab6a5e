"""One registry, four clients: what minidock, Docker, podman or skopeo push, each of the others pulls, digests equal.

All run in the network namespace of the tests' dockerd, where docker-registry listens on the loopback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.image.garbage import check
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.conftest import Docker, require_root, require_tool
from tests.support.instance import COMMAND
from tests.support.needs import short_directory
from tests.support.registry import Registry
from tests.support.tarforge import digest


class Clients:
    """Each verb for each client: push NAME of the image `busybox`, and the id of what a pull brought."""

    def __init__(self, docker: Docker, layout: Layout, directory: Path) -> None:
        self.docker = docker
        self.layout = layout
        self.directory = directory
        store = ["--root", str(directory / "podman"), "--runroot", short_directory(), "--storage-driver", "vfs"]
        self.podman = ["env", "-u", "DOCKER_CONFIG", require_tool("podman"), *store]  # it insists on the file
        self.skopeo = require_tool("skopeo")

    def run(self, *words: str) -> str:
        return self.docker.inside(*words, check=True).stdout

    def minidock(self, *words: str) -> str:
        return self.run(*COMMAND, "--root", str(self.layout.root), *words)

    def load(self, archive: Path) -> None:
        self.minidock("load", "-q", "-i", str(archive))
        self.docker("load", "-q", "-i", str(archive), check=True)
        self.run(*self.podman, "load", "-q", "-i", str(archive))

    def push(self, who: str, name: str) -> None:
        if who == "minidock":
            self.minidock("tag", "busybox", name)
            self.minidock("push", "-q", name)
            self.minidock("rmi", name)
        elif who == "docker":
            self.docker("tag", "busybox", name, check=True)
            self.docker("push", "-q", name, check=True)
            self.docker("rmi", name, check=True)
        elif who == "podman":
            self.run(*self.podman, "push", "-q", "--tls-verify=false", "busybox", name)
        else:
            archive = f"docker-archive:{self.directory / 'busybox.tar'}"
            self.run(self.skopeo, "copy", "-q", "--dest-tls-verify=false", archive, f"docker://{name}")

    def pull(self, who: str, name: str) -> str:
        return self.pulled(who, name)[0]

    def pulled(self, who: str, name: str) -> tuple[str, str]:
        """The image's id, and the digest that the client has it under."""
        shown, of = "{{.Id}} {{index .RepoDigests 0}}", ("image", "inspect", "-f")
        if who == "skopeo":
            place = self.directory / name.replace("/", "_")
            self.run(self.skopeo, "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"dir:{place}")
            raw = (place / "manifest.json").read_bytes()
            return str(json.loads(raw)["config"]["digest"]), digest(raw)
        if who == "minidock":
            self.minidock("pull", "-q", name)
            said = self.minidock(*of, shown, name)
        elif who == "docker":
            self.docker("pull", "-q", name, check=True)
            said = self.docker(*of, shown, name, check=True).stdout
        else:
            self.run(*self.podman, "pull", "-q", "--tls-verify=false", name)
            said = "sha256:" + self.run(*self.podman, *of, "{{.Id}} @{{.Digest}}", name)
        identity, _, reference = said.strip().partition(" ")
        return identity, reference.partition("@")[2]

    def forget(self, who: str) -> None:
        """The image: what the client pulls next it has to fetch. Others' images of the tests' dockerd stay."""
        if who == "minidock":
            self.minidock("image", "prune", "-af")
        elif who == "docker":
            identity = self.docker("image", "inspect", "-f", "{{.Id}}", "busybox", check=True).stdout.strip()
            self.docker("rmi", "-f", identity, check=True)
        elif who == "podman":
            self.run(*self.podman, "rmi", "-af")

    def digest(self, name: str) -> str:
        """Of the manifest, as skopeo sees it."""
        words = (self.skopeo, "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{name}")
        return self.run(*words).strip()


CLIENTS = ("minidock", "docker", "podman", "skopeo")


@pytest.fixture(scope="module")
def registry(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    require_root()
    registry = Registry(tmp_path_factory.mktemp("registry"), network=docker.pid)
    registry.start()
    yield registry
    registry.stop()


@pytest.fixture(scope="module")
def clients(docker: Docker, busybox_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    directory = tmp_path_factory.mktemp("clients")
    clients = Clients(docker, Layout(directory / "root"), directory)
    (directory / "busybox.tar").symlink_to(busybox_image)
    clients.load(busybox_image)
    yield clients
    import shutil

    shutil.rmtree(clients.layout.run, ignore_errors=True)


PAGE = Path(__file__).resolve().parents[2] / "docs" / "registries.md"


def matrix() -> dict[str, dict[str, str]]:
    """docs/registries.md: who pushed → who pulled → what the page says of the two."""
    lines = PAGE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| pushed by"))
    rows = [[cell.strip().lower() for cell in line.strip("|").split("|")] for line in lines[start : start + 6]]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


@pytest.mark.parametrize("who", CLIENTS)
def test_everybody_pulls_what_somebody_pushed(clients: Clients, registry: Registry, who: str) -> None:
    """The same image: its id is the digest of its config. Everybody has it under the same digest as the registry."""
    name = f"{registry.address}/from/{who}:1"
    clients.push(who, name)
    try:
        for other in CLIENTS:
            clients.forget(other)
        found = {other: clients.pulled(other, name) for other in CLIENTS}
        assert check(ImageStore(clients.layout)) == []
    finally:
        clients.load(clients.directory / "busybox.tar")
    assert len({identity for identity, _ in found.values()}) == 1, found
    there = clients.digest(name)
    assert {other: "equal" if seen == there else seen for other, (_, seen) in found.items()} == matrix()[who]


@pytest.mark.parametrize("who", ["docker", "podman", "skopeo"])
def test_passed_on_unchanged(clients: Clients, registry: Registry, who: str) -> None:
    """Pulled from one name and pushed to another, the manifest is byte for byte the same."""
    first, second = f"{registry.address}/origin/{who}:1", f"{registry.address}/copy/{who}:1"
    clients.push(who, first)
    clients.minidock("rmi", "-f", clients.minidock("images", "-q", "--no-trunc", "busybox").strip() or "busybox")
    clients.minidock("pull", "-q", first)
    clients.minidock("tag", first, second)
    clients.minidock("push", "-q", second)
    assert clients.digest(first) == clients.digest(second)
    clients.minidock("load", "-q", "-i", str(clients.directory / "busybox.tar"))


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_packings(clients: Clients, registry: Registry, packing: str) -> None:
    """OCI manifests with layers packed either way."""
    name = f"{registry.address}/packed/{packing}:1"
    archive = f"docker-archive:{clients.directory / 'busybox.tar'}"
    flags = ["--dest-tls-verify=false", "--format", "oci", "--dest-compress-format", packing]
    clients.run(clients.skopeo, "copy", "-q", *flags, archive, f"docker://{name}")
    before = clients.minidock("images", "-q", "--no-trunc", "busybox").strip()
    clients.minidock("rmi", "-f", before)
    clients.minidock("pull", "-q", name)
    assert clients.minidock("images", "-q", "--no-trunc", name).strip().startswith("sha256:")
    clients.minidock("load", "-q", "-i", str(clients.directory / "busybox.tar"))
    assert check(ImageStore(clients.layout)) == []


def test_index(clients: Clients, registry: Registry) -> None:
    """A manifest list that podman made of images for two platforms; each of us takes its own."""
    name = f"{registry.address}/index"
    clients.push("skopeo", f"{name}/amd64:1")
    clients.run(*clients.podman, "manifest", "create", "both")
    clients.run(*clients.podman, "manifest", "add", "--tls-verify=false", "both", f"docker://{name}/amd64:1")
    archive = f"docker-archive:{clients.directory / 'busybox.tar'}"
    oci = ["--dest-tls-verify=false", "--format", "oci"]  # so that it has another digest
    clients.run(clients.skopeo, "copy", "-q", *oci, archive, f"docker://{name}/arm64:1")
    second = ["--arch", "arm64", "--tls-verify=false", "both", f"docker://{name}/arm64:1"]
    clients.run(*clients.podman, "manifest", "add", *second)
    clients.run(*clients.podman, "manifest", "push", "--tls-verify=false", "both", f"docker://{name}:1")
    assert clients.pull("minidock", f"{name}:1") == clients.pull("docker", f"{name}:1")
    looked = json.loads(clients.minidock("manifest", "inspect", "-v", f"{name}:1"))
    assert looked[0]["Descriptor"]["platform"]["os"] == "linux"
