"""What an image asks for in its own configuration, and doesn't get; docs/escapes.md tells the stories."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tests.support.images import docker_archive
from tests.support.instance import Minidock


def test_2024_40635_a_user_that_is_no_number_of_32_bits_is_not_root(
    minidock: Minidock, busybox_layer_tar: bytes, tmp_path: Path
) -> None:
    """containerd took 2147483648 for a number, which overflowed to another; 4294967295 means "stay who you are"."""
    for user in ("4294967295", "4294967296", "2147483648", "1:4294967295"):
        archive = docker_archive(tmp_path / "user.tar", "user:latest", [busybox_layer_tar], {"User": user})
        minidock("load", "-i", str(archive), check=True)
        result = minidock("run", "--rm", "user", "id")
        assert (result.returncode, result.stdout) == (125, ""), user
        assert "uids and gids must be in range 0-2147483647" in result.stderr


def test_2019_16884_a_volume_of_the_image_s_covers_no_proc(
    minidock: Minidock, busybox_layer_tar: bytes, tmp_path: Path
) -> None:
    """`VOLUME /proc`: labels were then written, and masks laid, in a directory of the image's."""
    for place, said in (("/proc", "is not of type proc"), ("/proc/self/attr", "is inside /proc")):
        archive = docker_archive(tmp_path / "proc.tar", "proc:latest", [busybox_layer_tar], {"Volumes": {place: {}}})
        minidock("load", "-i", str(archive), check=True)
        result = minidock("run", "--rm", "proc", "true")
        assert result.returncode != 0, place
        assert f'"{place}" cannot be mounted because it {said}' in result.stderr


def test_2022_23648_a_volume_is_filled_from_the_image_alone(
    minidock: Minidock, busybox_layer_tar: bytes, tmp_path: Path
) -> None:
    """containerd joined the volume's path with the image's directory, and copied what a symlink there led to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("straight", "upwards"):  # a place each, or the second would cover the first
        (outside / name).mkdir()
        (outside / name / "secret").write_text("the host's")
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as tar:
        for name, target in (
            ("straight", f"{outside}/straight"),
            ("upwards", f"../../../../../../../..{outside}/upwards"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    layers = [busybox_layer_tar, links.getvalue()]
    volumes: dict[str, dict[str, str]] = {"/straight": {}, "/upwards": {}}
    minidock(
        "load", "-i", str(docker_archive(tmp_path / "v.tar", "v:latest", layers, {"Volumes": volumes})), check=True
    )
    seen = minidock("run", "--rm", "v", "sh", "-c", "ls /straight/ /upwards/")
    assert seen.returncode == 0, seen.stderr
    assert "secret" not in seen.stdout
    assert {path.name for path in outside.rglob("*")} == {"straight", "upwards", "secret"}


def test_2026_94603_no_annotation_of_an_image_is_the_container_s(
    minidock: Minidock, busybox_layer_tar: bytes, tmp_path: Path
) -> None:
    """podman read its own wishes (no seccomp, all rights, …) out of the annotations of an image's manifest."""
    wishes = {
        "io.podman.annotations.privileged": "TRUE",
        "io.podman.annotations.seccomp": "unconfined",
        "run.oci.keep_original_groups": "1",
    }
    archive = oci_archive(tmp_path / "wish.tar", "wish:latest", busybox_layer_tar, wishes)
    minidock("load", "-i", str(archive), check=True)
    made = minidock("run", "-d", "wish", "sleep", "100", check=True).stdout.strip()
    config = json.loads((minidock.layout.container_run(made) / "config.json").read_text())
    assert config.get("annotations", {}) == {}
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "CAP_SYS_ADMIN" not in config["process"]["capabilities"]["bounding"]
    minidock("rm", "-f", made, check=True)


def oci_archive(path: Path, name: str, layer: bytes, annotations: dict[str, str]) -> Path:
    """An image layout in a tar, its manifest and index with these annotations."""
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]}}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    blobs: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def blob(raw: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(raw).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = raw
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(raw)}

    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar")],
        "annotations": annotations,
    }
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name, **annotations}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry], "annotations": annotations}).encode()
    with tarfile.open(path, "w") as tar:
        for place, raw in blobs.items():
            member = tarfile.TarInfo(place)
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    return path


def test_2020_15257_no_socket_of_ours_is_reached_by_its_name_alone(minidock: Minidock, busybox_image: Path) -> None:
    """containerd's shim listened at an abstract address, which a container with the host's network could call."""
    minidock("load", "-i", str(busybox_image), check=True)
    made = minidock("run", "-d", "--network", "host", "busybox", "sleep", "100", check=True).stdout.strip()
    seen = minidock("exec", made, "cat", "/proc/net/unix", check=True).stdout.splitlines()[1:]
    addresses = [line.split()[7] for line in seen if len(line.split()) > 7]
    ours = [address for address in addresses if made in address or str(minidock.layout.run) in address]
    assert ours  # the shim's, by their paths
    assert not [address for address in addresses if address.startswith("@") and "minidock" in address]
    for address in ours:
        assert minidock("exec", made, "ls", address).returncode != 0
        facts = Path(address).stat()  # who may not write to it may not connect: unix(7)
        assert (facts.st_uid, facts.st_mode & 0o022) == (0, 0)
    minidock("rm", "-f", made, check=True)
