"""manifest create, annotate, push: images of several repositories under one name, and each platform gets its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from minidock.engine import manifests
from minidock.errors import InvalidImage, MinidockError
from minidock.paths import Layout
from tests.conftest import Minidock, require_root
from tests.support.oddserver import layer, odd_registry
from tests.support.registry import running
from tests.support.tarforge import digest


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_each_platform_gets_its_own(minidock: Minidock, tmp_path: Path, own_config: Path) -> None:
    """By docker-registry, which mounts the blobs of the other repositories."""
    require_root()
    with running(tmp_path / "registry") as registry:
        target, names = f"{registry.address}/both:1", [f"{registry.address}/{one}:1" for one in ("one", "two")]
        for name in names:
            tree = tmp_path / name.rpartition("/")[2]
            tree.mkdir()
            (tree / "file").write_text(name)
            packed = tmp_path / "tree.tar"
            subprocess.run(["tar", "-C", tree, "-cf", packed, "."], check=True)
            minidock("import", str(packed), name, check=True)
            minidock("push", "-q", name, check=True)
            minidock("rmi", name, check=True)
        made = minidock("manifest", "create", target, *names, check=True).stdout
        assert made == f"Created manifest list {target}\n"
        minidock("manifest", "annotate", "--arch", "arm64", "--variant", "v8", target, names[1], check=True)
        told = minidock("manifest", "push", "--purge", target, check=True).stdout.splitlines()
        assert len(told) == 3 and told[0].startswith(f"Pushed ref {registry.address}/both@sha256:")
        assert not list((own_config / "manifests").iterdir())
        listed = json.loads(minidock("manifest", "inspect", target, check=True).stdout)
        assert [one["platform"]["architecture"] for one in listed["manifests"]] == ["amd64", "arm64"]
        for platform, name in zip(("linux/amd64", "linux/arm64"), names, strict=True):
            pulled = minidock("pull", "--platform", platform, target, check=True).stdout
            assert f"Digest: {told[2]}" in pulled
            history = minidock("image", "inspect", "-f", "{{index .RootFS.Layers 0}}", target, check=True).stdout
            layers = Path(minidock.layout.images) / "layers" / history.strip().removeprefix("sha256:") / "diff"
            assert (layers / "file").read_text() == name


def test_what_is_not_mounted_is_copied(layout: Layout) -> None:
    said: list[str] = []
    with odd_registry() as odd:
        raw, target = odd.manifests["latest"][1], f"{odd.address}/all:1"
        manifests.create(layout, target, [f"{odd.address}/app:latest"], amend=False, insecure=False)
        before = dict(odd.blobs)
        odd.trick("/v2/all/blobs/sha256", lambda handler: handler.refuse(404, "BLOB_UNKNOWN", "no") is None)
        pushed = manifests.push(layout, target, insecure=False, purge=False, say=said.append)
        assert said == [f"Pushed ref {odd.address}/all@{digest(raw)} with digest: {digest(raw)}"]
        assert [bytes(upload) for upload in odd.uploads] == [before[odd.layer_digest()], before[_config(raw)]]
        assert json.loads(odd.manifests["1"][1])["manifests"][0]["digest"] == digest(raw)
        assert digest(odd.manifests["1"][1]) == pushed


def _config(manifest: bytes) -> str:
    return str(json.loads(manifest)["config"]["digest"])


def test_a_list_that_somebody_has_changed(layout: Layout, own_config: Path) -> None:
    """What lies in the user's own directory is checked as well: the registry would take it."""
    with odd_registry() as odd:
        odd.add_image([layer("other", b"x")], tag="other")
        target, image = f"{odd.address}/all:1", f"{odd.address}/app:latest"
        manifests.create(layout, target, [image], amend=False, insecure=False)
        (path,) = (own_config / "manifests").glob("*/*")
        entry = json.loads(path.read_text())
        path.write_text(json.dumps({**entry, "Raw": "e30="}))
        with pytest.raises(InvalidImage, match="has the digest"):
            manifests.push(layout, target, insecure=False, purge=False, say=print)
        path.write_text(json.dumps({**entry, "Descriptor": {**entry["Descriptor"], "platform": {"os": "linux"}}}))
        with pytest.raises(MinidockError, match="must have an OS and Architecture"):
            manifests.push(layout, target, insecure=False, purge=False, say=print)
        path.write_text("{")
        with pytest.raises(InvalidImage, match="not JSON"):
            manifests.push(layout, target, insecure=False, purge=False, say=print)
