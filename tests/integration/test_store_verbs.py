"""rmi, prune and df: what the parity cases can't show, because Docker 20.10 or the shared engine there can't."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from minidock import files
from minidock.engine import Engine
from minidock.errors import ImageInUse, ImageNotFound
from minidock.image.store import ImageStore
from minidock.model.requests import Commit
from tests.conftest import Minidock, require_root

DIGEST = "sha256:" + "5" * 64


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Engine:
    require_root()
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    return Engine(minidock.layout)


def tag_digest(engine: Engine, name: str) -> None:
    """As a pull by tag does: the name by the manifest's digest, too."""
    store = ImageStore(engine.layout)
    store.tag(store.find("busybox"), f"{name}@{DIGEST}")


def test_a_tag_takes_its_digest_along(engine: Engine) -> None:
    tag_digest(engine, "busybox")
    rows = engine.remove_image("busybox")
    assert rows[:2] == [("Untagged", "busybox:latest"), ("Untagged", f"busybox@{DIGEST}")]
    assert {what for what, _ in rows[2:]} == {"Deleted"}
    assert engine.images(all=True) == []


def test_by_digest(engine: Engine) -> None:
    tag_digest(engine, "busybox")
    assert engine.remove_image(f"busybox@{DIGEST}") == [("Untagged", f"busybox@{DIGEST}")]
    assert engine.images()[0].repo_tags == ["busybox:latest"]


def test_an_id_of_two_repositories_must_be_forced(engine: Engine) -> None:
    tag_digest(engine, "mirror.example.org/busybox")
    image_id = engine.images()[0].id
    with pytest.raises(ImageInUse, match="referenced in multiple repositories"):
        engine.remove_image(image_id)
    assert len(engine.remove_image(image_id, force=True)) > 2


def test_intermediate_images_are_hidden_and_go_with_their_child(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "--name", "one", "--network", "none", "busybox", "touch", "/a", check=True)
    first = engine.commit("one", Commit())
    minidock("run", "--name", "two", "--network", "none", first, "touch", "/b", check=True)
    engine.commit("two", Commit(reference="made"))
    minidock("rm", "one", "two", check=True)
    assert first not in [row.id for row in engine.images()]
    assert first in [row.id for row in engine.images(all=True)]
    assert [row.id for row in engine.history("made")][1] == first
    with pytest.raises(ImageInUse, match="dependent child images"):
        engine.remove_image(first, force=True)
    assert ("Deleted", first) in engine.remove_image("made")
    assert [row.repo_tags for row in engine.images(all=True)] == [["busybox:latest"]]


def test_no_prune_keeps_what_it_was_made_from(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "--name", "one", "--network", "none", "busybox", "touch", "/a", check=True)
    first = engine.commit("one", Commit())
    minidock("create", "--name", "two", "--network", "none", first, "true", check=True)
    engine.commit("two", Commit(reference="made"))
    minidock("rm", "one", "two", check=True)
    minidock("rmi", "--no-prune", "made", check=True)
    assert first in [row.id for row in engine.images()]


def test_prune_all_and_what_it_says_it_frees(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "--name", "one", "--network", "none", "-v", "/data", "busybox", "sh", "-c",
             "head -c 50000 /dev/zero > /f; head -c 70000 /dev/zero > /data/f", check=True)  # fmt: skip
    engine.commit("one", Commit(reference="made"))
    before = engine.disk_usage()
    assert [(volume.links, volume.size) for volume in before.volumes] == [(1, 70_000)]
    assert before.containers[0].size_rw == 50_000
    busybox = next(row for row in before.images if row.repo_tags == ["busybox:latest"])
    assert (busybox.shared_size, busybox.containers) == (busybox.size, 1)
    gone = engine.prune(all=True, volumes=True)
    assert (len(gone.containers), len(gone.volumes)) == (1, 1)
    assert gone.space == before.layers_size + 50_000 + 70_000
    after = engine.disk_usage()
    assert (after.layers_size, after.images, after.containers, after.volumes) == (0, [], [], [])
    assert list(ImageStore(engine.layout).layers.iterdir()) == []
    with pytest.raises(ImageNotFound):
        engine.history("busybox")


def test_prune_spares_named_volumes_and_running_containers(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "-d", "--name", "one", "--network", "none", "-v", "named:/data", "busybox", "sleep", "100",
             check=True)  # fmt: skip
    gone = engine.prune(all=True, volumes=True)
    assert (gone.containers, gone.volumes, gone.images) == ([], [], [])
    minidock("rm", "-f", "one", check=True)
    assert engine.prune(volumes=True).volumes == []


def test_images_until(minidock: Minidock, engine: Engine) -> None:
    """Docker 20.10 doesn't know this filter of lists; newer ones do."""
    assert engine.images(filters={"until": ["0"]}) == []
    assert minidock("images", "-q", "--filter", "until=1h", check=True).stdout != ""
    assert minidock("images", "-q", "--filter", "until=2000-01-01", check=True).stdout == ""


def test_an_image_stays_while_somebody_makes_a_container_of_it(minidock: Minidock, engine: Engine) -> None:
    """Between the look at the image and the written record no other command can see that it is used."""
    with files.locked(minidock.layout.lock("creating"), shared=True):  # as create holds it
        removal = minidock.popen("rmi", "busybox", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            removal.wait(1)
        assert engine.images()[0].repo_tags == ["busybox:latest"]
    assert removal.communicate(timeout=30)[1] == b"" and engine.images(all=True) == []


def test_a_tag_takes_its_digest_along_though_another_repository_has_the_image(engine: Engine) -> None:
    """As Docker does; so the image is of one repository again, and who uses it keeps its last name."""
    for name in ("here.example.org/one:1", "here.example.org/one:2"):
        engine.tag("busybox", name)
    tag_digest(engine, "here.example.org/one")
    assert engine.remove_image("here.example.org/one:1") == [("Untagged", "here.example.org/one:1")]
    rows = engine.remove_image("here.example.org/one:2")
    assert rows == [("Untagged", "here.example.org/one:2"), ("Untagged", f"here.example.org/one@{DIGEST}")]
    assert engine.images()[0].repo_tags == ["busybox:latest"]


def test_layers_outlive_their_image_as_long_as_a_container_lies_on_them(minidock: Minidock, engine: Engine) -> None:
    minidock("create", "--name", "last", "--network", "none", "busybox", "true", check=True)
    layers = minidock.layout.images / "layers"
    before = sorted(layers.iterdir())
    assert [what for what, _ in engine.remove_image("busybox", force=True)] == ["Untagged", "Deleted"]
    minidock("builder", "prune", "-af", check=True)
    minidock("image", "prune", "-af", check=True)
    assert sorted(layers.iterdir()) == before
    assert minidock("start", "-a", "last").returncode == 0
    minidock("rm", "last", check=True)
    assert list(layers.iterdir()) == []


def test_a_container_is_listed_by_its_images_id_when_the_name_has_gone(minidock: Minidock, engine: Engine) -> None:
    """As Docker lists it: the name would tell of an image that it was never made from."""
    engine.tag("busybox", "here.example.org/other")
    image_id = engine.images()[0].id
    for asked in ("busybox", "docker.io/library/busybox:latest", "here.example.org/other", image_id[7:19]):
        minidock("create", "--network", "none", asked, "true", check=True)

    def listed() -> list[str]:
        return [row.image for row in engine.containers(all=True)][::-1]

    assert listed() == ["busybox", "docker.io/library/busybox:latest", "here.example.org/other", image_id[7:19]]
    ImageStore(engine.layout).untag("busybox")
    assert listed() == [image_id, image_id, "here.example.org/other", image_id[7:19]]
    minidock("rm", *minidock("ps", "-aq").stdout.split(), check=True)
