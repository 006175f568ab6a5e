"""Images between minidock and the tools that others use: Docker, skopeo, buildah, podman and umoci, both ways."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.image.archive import load
from minidock.image.garbage import check
from minidock.image.save import save
from minidock.image.store import Image, ImageStore
from minidock.paths import Layout
from tests.conftest import Docker, require_root, require_tool
from tests.support import tarforge
from tests.support.oddtree import facts, odd_tree

DOCKERFILE = """
FROM base:1
RUN ["/bin/busybox", "sh", "-c", "busybox rm -r /odd/read-only && busybox mkdir /odd/read-only && echo x >/odd/new"]
RUN ["/bin/busybox", "sh", "-c", "busybox rm /odd/large /odd/fifo && busybox chmod 4711 /odd/mode2"]
RUN ["/bin/busybox", "sh", "-c", "busybox rm -r /odd/setgid && echo file >/odd/setgid"]
ENV A=b
EXPOSE 80/tcp
VOLUME /data
LABEL one=1
"""


@pytest.fixture
def store(layout: Layout) -> ImageStore:
    require_root()
    return ImageStore(layout)


@pytest.fixture(scope="session")
def base_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with busybox and one of everything, as GNU tar packs it."""
    require_root()
    top = tmp_path_factory.mktemp("base")
    (top / "root/bin").mkdir(parents=True)
    shutil.copy(require_tool("busybox"), top / "root/bin/busybox")
    odd_tree(top / "root/odd")
    path = top / "base.tar"
    run(
        "tar", "-C", str(top / "root"), "--format=pax", "--xattrs", "--xattrs-include=*", "-cf", str(path), "bin", "odd"
    )
    return path


@pytest.fixture(scope="session")
def built(docker: Docker, base_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image in Docker, of four layers with whiteouts and opaque directories."""
    context = tmp_path_factory.mktemp("context")
    (context / "Dockerfile").write_text(DOCKERFILE)
    docker("import", "-c", 'CMD ["/bin/busybox"]', str(base_tar), "base:1", check=True)
    docker.inside(
        "env", "DOCKER_BUILDKIT=0", docker.client, "build", "--network=none", "-t", "built:1", str(context), check=True
    )
    return "built:1"


@pytest.fixture(scope="session")
def archive(docker: Docker, built: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "docker.tar"
    docker("save", "-o", str(path), built, "base:1", check=True)
    return path


def run(*command: str, input: bytes | None = None) -> str:
    result = subprocess.run(command, input=input, capture_output=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout.decode()}{result.stderr.decode()}"
    return result.stdout.decode()


def loaded(store: ImageStore, path: Path) -> list[str]:
    lines = load(store, path, say=lambda line: None)
    assert check(store) == [] and not list(store.tmp.iterdir())
    return lines


def write(store: ImageStore, path: Path, *names: str) -> Path:
    with open(path, "wb") as out:
        save(store, list(names), out)
    return path


# In


def test_docker_save(store: ImageStore, docker: Docker, built: str, archive: Path) -> None:
    """Ids, sizes and configs are Docker's, and each layer's directory is as Docker's own unpacking made it."""
    assert sorted(loaded(store, archive)) == ["Loaded image: base:1", "Loaded image: built:1"]
    image = store.find(built)
    (theirs,) = json.loads(docker("inspect", built).stdout)
    assert (image.id, image.size, image.created) == (theirs["Id"], theirs["Size"], theirs["Created"])
    assert image.diff_ids == theirs["RootFS"]["Layers"] and image.config.config.env == theirs["Config"]["Env"]
    driver = theirs["GraphDriver"]
    assert driver["Name"] == "overlay2"
    dirs = [driver["Data"]["UpperDir"], *driver["Data"]["LowerDir"].split(":")]
    assert len(dirs) == len(store.lower_dirs(image)) == 4
    for ours, other in zip(store.lower_dirs(image), dirs, strict=True):
        assert stripped(facts(ours)) == stripped(facts(Path(other)))


def stripped(found: dict[bytes, tuple]) -> dict[bytes, tuple]:  # type: ignore[type-arg]
    """Without what differs between any two directories of overlayfs: marks of origin, whiteouts' times and modes.

    Docker also leaves out holes and whatever attribute is not user.* or a capability, and times before 1970.
    """
    kept = {}
    for name, (mode, owner, links, size, device, time, content, attributes) in found.items():
        whiteout = stat.S_ISCHR(mode) and device == 0
        marks = {
            key: value for key, value in attributes.items() if not key.startswith("trusted.") or key.endswith(".opaque")
        }
        kept[name] = (
            0 if whiteout else mode,
            owner,
            0 if whiteout else links,
            size,
            device,
            0 if whiteout else max(time, 0),
            content,
            marks,
        )
    return kept


def test_docker_save_to_a_pipe_packed(store: ImageStore, docker: Docker, built: str) -> None:
    """docker save | zstd | minidock load"""
    script = f"{docker.client} save {built} | gzip -1"
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, env={**os.environ, **docker.environment}
    ) as process:
        assert process.stdout is not None
        assert load(store, process.stdout, say=lambda line: None) == ["Loaded image: built:1"]


SKOPEO = [
    ("oci:{out}:new/name:2", []),
    ("oci:{out}:new/name:2", ["--dest-compress-format", "zstd"]),
    ("oci-archive:{out}:new/name:2", []),
    ("oci-archive:{out}:new/name:2", ["--dest-compress-format", "zstd"]),
    ("docker-archive:{out}:new/name:2", []),
]


@pytest.mark.parametrize(
    ("target", "options"), SKOPEO, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_skopeo(target: str, options: list[str], store: ImageStore, archive: Path, tmp_path: Path) -> None:
    skopeo = require_tool("skopeo")
    out = tmp_path / "out"
    copy_with_skopeo(skopeo, *options, f"docker-archive:{archive}:built:1", target.format(out=out))
    assert loaded(store, out) == ["Loaded image: new/name:2"]
    image = store.find("new/name:2")
    kinds = {layer.media_type.partition("+")[2] for layer in store.manifest(image).layers}
    assert kinds == {"zstd" if "zstd" in options else "" if target.startswith("docker") else "gzip"}
    if not target.startswith("docker"):
        shown = json.loads(run(skopeo, "inspect", target.format(out=out)))
        assert shown["Digest"] == image.manifest_digest
        assert shown["Layers"] == [layer.digest for layer in store.manifest(image).layers]
    assert same_as_docker(store, image, archive)


def copy_with_skopeo(skopeo: str, *arguments: str) -> None:
    """skopeo 1.9 writes the layers of a docker-archive at the same time, and now and then one into another."""
    for attempt in range(5):
        try:
            run(skopeo, "--insecure-policy", "copy", *arguments)
            return
        except AssertionError as error:
            if "write too long" not in str(error) or attempt == 4:
                raise
            Path(arguments[-1].split(":")[1]).unlink(missing_ok=True)


def same_as_docker(store: ImageStore, image: Image, archive: Path) -> bool:
    """Its layers are those of the archive that Docker saved."""
    other = ImageStore(Layout(store.root.parent / "other"))
    load(other, archive, say=lambda line: None)
    shutil.rmtree(other.layout.run, ignore_errors=True)
    pairs = zip(store.lower_dirs(image), other.lower_dirs(other.find("built:1")), strict=True)
    return all(stripped(facts(ours)) == stripped(facts(theirs)) for ours, theirs in pairs)


@pytest.fixture
def containers() -> Iterator[list[str]]:
    """Options that keep podman and buildah to a storage of the test's own; podman wants short paths."""
    with tempfile.TemporaryDirectory(prefix="mdt-") as top:
        yield ["--root", f"{top}/storage", "--runroot", f"{top}/run", "--storage-driver", "vfs"]


@pytest.mark.parametrize(
    "target", ["oci-archive:{out}:buildah/made:1", "docker-archive:{out}:buildah/made:1", "oci:{out}:buildah/made:1"]
)
def test_buildah(target: str, store: ImageStore, containers: list[str], base_tar: Path, tmp_path: Path) -> None:
    buildah = [require_tool("buildah"), *containers]
    name = run(*buildah, "from", "scratch").strip()
    base = tmp_path / "base.tar"
    shutil.copy(base_tar, base)
    run("tar", "--delete", "-f", str(base), "odd/link", "odd/hard-link-to-symlink")  # buildah's add fails on them
    run(*buildah, "add", name, str(base), "/")
    run(*buildah, "config", "--env", "A=b", "--cmd", '["/bin/busybox"]', "--user", "bob", name)
    run(*buildah, "commit", "--quiet", name, target.format(out=tmp_path / "out"))
    assert loaded(store, tmp_path / "out") == ["Loaded image: buildah/made:1"]
    image = store.find("buildah/made:1")
    assert image.config.config.env == ["A=b"] and image.config.config.user == "bob"
    assert (store.lower_dirs(image)[0] / "odd/mode8").lstat().st_mode & 0o7777 == 0o4755


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive", "oci-dir"])
def test_podman_save(form: str, store: ImageStore, containers: list[str], archive: Path, tmp_path: Path) -> None:
    podman = [require_tool("podman"), *containers]
    run(*podman, "load", "-i", str(archive))
    run(*podman, "save", "--format", form, "-o", str(tmp_path / "out"), "built:1")
    assert loaded(store, tmp_path / "out") == ["Loaded image: built:1"] or store.images()[0].tags == [
        "localhost/built:1"
    ]
    assert same_as_docker(store, store.images()[0], archive)


def test_umoci(store: ImageStore, base_tar: Path, tmp_path: Path) -> None:
    """A layout that umoci wrote, and what umoci makes of the same layers: the trees don't differ."""
    umoci, out = require_tool("umoci"), tmp_path / "layout"
    run(umoci, "init", "--layout", str(out))
    run(umoci, "new", "--image", f"{out}:v1")
    run(umoci, "raw", "add-layer", "--image", f"{out}:v1", str(base_tar))
    (tmp_path / "new").mkdir()
    (tmp_path / "new/file").write_text("new")
    run(umoci, "insert", "--image", f"{out}:v1", str(tmp_path / "new"), "/odd/sticky")
    run(umoci, "insert", "--image", f"{out}:v1", "--whiteout", "/odd/large")
    run(umoci, "insert", "--image", f"{out}:v1", "--opaque", str(tmp_path / "new"), "/odd/setgid")
    run(umoci, "config", "--image", f"{out}:v1", "--config.user", "bob", "--config.env", "A=b")
    (line,) = loaded(store, out)
    image = store.images()[0]
    assert line == f"Loaded image ID: {image.id}" and image.config.config.user == "bob"
    run(umoci, "raw", "unpack", "--image", f"{out}:v1", str(tmp_path / "theirs"))
    merged = tmp_path / "merged"
    merged.mkdir()
    lower = ":".join(map(str, store.lower_dirs(image)))
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower}", str(merged))
    try:
        ours, theirs = stripped(facts(merged)), stripped(facts(tmp_path / "theirs"))
    finally:
        run("umount", str(merged))
    assert sorted(ours) == sorted(theirs)
    # Where a layer has a file but not its directory, umoci lets the directory keep its time, and Docker doesn't.
    assert {name for name in ours if ours[name] != theirs[name]} == {b"odd"}


# Out


@pytest.fixture
def both(store: ImageStore, archive: Path, tmp_path: Path) -> Path:
    """An archive that minidock wrote, of one image from Docker and one from skopeo with layers in gzip."""
    load(store, archive, say=lambda line: None)
    skopeo = require_tool("skopeo")
    run(skopeo, "--insecure-policy", "copy", f"docker-archive:{archive}:built:1", f"oci:{tmp_path}/oci:packed:1")
    load(store, tmp_path / "oci", say=lambda line: None)
    return write(store, tmp_path / "both.tar", "built:1", "packed:1")


def test_docker_load(both: Path, store: ImageStore, docker: Docker) -> None:
    for name in ("built:1", "packed:1"):
        docker("rmi", "-f", name)
    assert docker("load", "-i", str(both), check=True).stdout == "Loaded image: built:1\nLoaded image: packed:1\n"
    for name in ("built:1", "packed:1"):
        assert docker("inspect", "-f", "{{.Id}}", name).stdout.strip() == store.find(name).id
    command = ["run", "--rm", "--network=none", "packed:1", "/bin/busybox", "cat", "/odd/new", "/odd/setgid"]
    assert docker(*command, check=True).stdout == "x\nfile\n"


def test_podman_load(both: Path, store: ImageStore, containers: list[str]) -> None:
    podman = [require_tool("podman"), *containers]
    run(*podman, "load", "-i", str(both))
    for name in ("built:1", "packed:1"):
        shown = json.loads(run(*podman, "image", "inspect", name))[0]
        assert "sha256:" + shown["Id"] == store.find(name).id and shown["RootFS"]["Layers"] == store.find(name).diff_ids


@pytest.mark.parametrize("name", ["built:1", "packed:1"])
def test_skopeo_reads_what_is_saved(name: str, both: Path, store: ImageStore, tmp_path: Path) -> None:
    skopeo = require_tool("skopeo")
    image, path = store.find(name), write(store, tmp_path / "one.tar", name)
    oci = json.loads(run(skopeo, "inspect", f"oci-archive:{path}"))
    assert oci["Digest"] == image.manifest_digest
    assert oci["Layers"] == [layer.digest for layer in store.manifest(image).layers]
    old = json.loads(run(skopeo, "inspect", f"docker-archive:{path}"))
    assert old["Layers"] == image.diff_ids and old["Architecture"] == image.architecture
    config = run(skopeo, "inspect", "--config", "--raw", f"docker-archive:{path}:{name}")
    assert tarforge.digest(config.encode()) == image.id
    for transport in ("oci-archive", "docker-archive"):
        run(skopeo, "--insecure-policy", "copy", f"{transport}:{path}", f"dir:{tmp_path}/{transport}")


def test_umoci_reads_what_is_saved(both: Path, store: ImageStore, tmp_path: Path) -> None:
    """An OCI layout once it is out of its tar."""
    umoci = require_tool("umoci")
    (tmp_path / "layout").mkdir()
    run("tar", "-xf", str(write(store, tmp_path / "one.tar", "packed:1")), "-C", str(tmp_path / "layout"))
    shown = json.loads(run(umoci, "stat", "--image", f"{tmp_path}/layout:1", "--json"))
    digests = [each["layer"]["digest"] for each in shown["history"] if each["layer"]]
    assert digests == [layer.digest for layer in store.manifest(store.find("packed:1")).layers]
