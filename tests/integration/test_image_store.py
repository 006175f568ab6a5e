"""The store: what is loaded is found again, shared, named, removed, and whole after a kill."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidock import files
from minidock.errors import ImageNotFound, InvalidImage, InvalidReference, MinidockError
from minidock.image import buildcache
from minidock.image.archive import load
from minidock.image.compression import zstd_module
from minidock.image.garbage import check
from minidock.image.importer import import_tar
from minidock.image.lookup import lookup_file
from minidock.image.save import save
from minidock.image.store import Image, ImageStore
from minidock.paths import Layout
from tests.support import tarforge as forge
from tests.support.tarforge import directory, member, symlink, tar


def take(store: ImageStore, files: dict[str, bytes] | bytes, **options: str) -> list[str]:
    raw = files if isinstance(files, bytes) else forge.archive(files)
    return load(store, io.BytesIO(raw), say=lambda line: None, **options)


def docker(store: ImageStore, *layers: bytes, tags: list[str] | None = None, **more: object) -> list[str]:
    config = forge.image_config([forge.digest(layer) for layer in layers], **more)
    return take(store, forge.docker_archive(list(layers), config=config, tags=tags))


ONE = tar(member("one", b"1"))
TWO = tar(member("two", b"22"))


def test_an_image_is_found_by_all_its_names(store: ImageStore) -> None:
    lines = docker(store, ONE, TWO, tags=["busybox:latest", "host.example:5000/a/b:v1"])
    assert lines == ["Loaded image: busybox:latest", "Loaded image: host.example:5000/a/b:v1"]
    image = store.find("busybox")
    hexadecimal = image.id.removeprefix("sha256:")
    for name in ("busybox:latest", "docker.io/library/busybox", "host.example:5000/a/b:v1", image.id, hexadecimal):
        assert store.find(name) == image
    for length in (1, 4, 12, 63):
        assert store.find(hexadecimal[:length]) == store.find("sha256:" + hexadecimal[:length]) == image
    assert image.tags == ["busybox:latest", "host.example:5000/a/b:v1"] and image.size == 3
    assert image.config.config.cmd == ["sh"] and image.created == "2026-01-01T00:00:00Z"
    assert image.diff_ids == [forge.digest(ONE), forge.digest(TWO)] and image.platform.startswith("linux/")
    assert [path.parent.name for path in store.lower_dirs(image)] == [each[7:] for each in reversed(image.diff_ids)]
    assert (store.lower_dirs(image)[0] / "two").read_text() == "22" and check(store) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "No such image: nothing:latest"),
        ("nothing:v1", "No such image: nothing:v1"),
        ("user/nothing", "No such image: user/nothing:latest"),
        ("0000", "No such image: 0000:latest"),
        ("0" * 64, "No such image: " + "0" * 64),
        ("sha256:" + "0" * 64, "No such image: sha256:" + "0" * 64),
        ("nothing@sha256:" + "0" * 64, "No such image: nothing@sha256:" + "0" * 64),
    ],
)
def test_what_is_not_here_is_named_as_docker_does(name: str, message: str, store: ImageStore) -> None:
    docker(store, ONE)
    with pytest.raises(ImageNotFound) as caught:
        store.find(name)
    assert caught.value.message == message


def test_a_name_that_is_no_name(store: ImageStore) -> None:
    with pytest.raises(MinidockError, match="invalid reference format"):
        store.find("UPPER/../x")


def test_two_images_with_one_beginning(store: ImageStore) -> None:
    ids: dict[str, str] = {}
    for number in range(40):  # of 40 ids, two share the first digit
        docker(store, ONE, tags=[f"t:{number}"], comment=str(number))
        image_id = store.find(f"t:{number}").id
        if (first := image_id[7]) in ids:
            with pytest.raises(MinidockError, match=f"multiple IDs found with provided prefix: {first}"):
                store.find(first)
            return
        ids[first] = image_id


def test_tags_move_and_go(store: ImageStore) -> None:
    docker(store, ONE, tags=["t:1"])
    old = store.find("t:1")
    lines = docker(store, TWO, tags=["t:1"])
    assert lines == [
        f"The image t:1 already exists, renaming the old one with ID {old.id} to empty string",
        "Loaded image: t:1",
    ]
    new = store.find("t:1")
    assert new.id != old.id and store.find(old.id).tags == []
    assert store.tag(new, "other") is None and store.tag(old, "other") == new.id
    assert store.untag("other") == "other:latest"
    with pytest.raises(InvalidReference, match="ambiguous tag"):
        store.tag(new, f"sha256:{new.id[7:19]}")
    with pytest.raises(ImageNotFound, match="other:latest"):
        store.untag("other")
    with pytest.raises(MinidockError, match="invalid reference format"):
        store.tag(new, "Not Good")
    assert json.loads(store.tags.path.read_text()) == {"docker.io/library/t:1": new.id}


def test_layers_are_shared_and_go_with_the_last_image(store: ImageStore) -> None:
    docker(store, ONE, tags=["a"])
    inode = (store.layer_path(forge.digest(ONE)) / "diff/one").stat().st_ino
    docker(store, ONE, TWO, tags=["b"])
    assert (store.layer_path(forge.digest(ONE)) / "diff/one").stat().st_ino == inode
    a, b = store.find("a"), store.find("b")
    deleted = store.delete(b.id)
    assert deleted[0] == b.id and len(deleted) == 2  # the chain of both layers; that of the lower one is a's
    assert store.ids() == [a.id] and [path.name for path in store.layers.iterdir()] == [forge.digest(ONE)[7:]]
    assert store.delete("a") == [a.id, forge.digest(ONE)]
    left = [path for path in store.root.rglob("*") if path.is_file()]
    assert left == [store.tags.path] and store.read_tags() == {}


def test_layers_that_a_container_uses_stay(store: ImageStore) -> None:
    docker(store, ONE, tags=["a"])
    store.delete("a", keep=lambda: [forge.digest(ONE)])
    assert (store.layer_path(forge.digest(ONE)) / "diff/one").exists()
    assert store.gc() > 0 and not store.layer_path(forge.digest(ONE)).exists()


def test_nothing_is_collected_while_an_image_is_brought_in(store: ImageStore) -> None:
    with store.bringing_in():
        layer = store.add_layer(io.BytesIO(ONE).read)
        assert store.gc() == 0 and store.layer(layer.diff_id) is not None
        image = store.add_image(forge.image_config([layer.diff_id]), [layer])
    assert store.gc() == 0 and store.find(image.id).size == 1


def test_what_killed_writers_have_left_goes(store: ImageStore) -> None:
    docker(store, ONE, tags=["a"])
    cache = buildcache.directory(store)
    cache.mkdir()
    left = [files.aside(top / "no other writer will come.json") for top in (store.records, cache)]
    for path in left:
        path.write_text("half of it")
    with store.bringing_in():
        assert store.gc() == 0 and all(map(Path.exists, left))
    assert store.gc() == 2 * len("half of it") and not any(map(Path.exists, left))


def test_an_image_twice_is_one_image(store: ImageStore) -> None:
    docker(store, ONE, tags=["a"])
    before = sorted(store.root.rglob("*"))
    assert docker(store, ONE, tags=["a"]) == ["Loaded image: a:latest"]
    assert sorted(store.root.rglob("*")) == before


def test_an_image_without_layers(store: ImageStore) -> None:
    docker(store, tags=["empty"])
    assert store.lower_dirs(store.find("empty")) == [] and store.find("empty").size == 0


def test_a_layer_that_comes_twice_is_mounted_once(store: ImageStore) -> None:
    docker(store, ONE, TWO, ONE, tags=["x"])
    names = [path.parent.name for path in store.lower_dirs(store.find("x"))]
    assert names == [forge.digest(ONE)[7:], forge.digest(TWO)[7:]]


def test_nothing_shows_below_an_opaque_root(store: ImageStore) -> None:
    top = tar(member(".wh..wh..opq"), member("new"))
    docker(store, ONE, top, tags=["x"])
    assert [path.parent.name for path in store.lower_dirs(store.find("x"))] == [forge.digest(top)[7:]]


def test_others_on_the_host_can_not_run_setuid_programs_of_images(store: ImageStore) -> None:
    docker(store, tar(member("su", b"x", mode=0o4755)), tags=["x"])
    assert store.layers.stat().st_mode & 0o077 == 0


# Layouts


def layout_of(*images: dict[str, object]) -> forge.Layout:
    """One small image for each dict of arguments, all different, each for the machine that its platform says."""
    made = forge.Layout()
    for fields in images:
        platform = fields.get("platform") or {}
        assert isinstance(platform, dict)
        config = forge.image_config([forge.digest(ONE)], comment=str(fields), **platform)
        made.image([(ONE, ONE)], **{"config": config, **fields})  # type: ignore[arg-type]
    return made


PACKINGS = {
    "": bytes,
    "+gzip": gzip.compress,
    "+zstd": lambda raw: zstd_module().compress(raw),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_layout_in_every_packing(packing: str, store: ImageStore) -> None:
    made = forge.Layout()
    blob = PACKINGS[packing](ONE)
    manifest = made.image([(blob, ONE)], media_type=forge.OCI + "layer.v1.tar" + packing)
    assert take(store, made.done()) == ["Loaded image: test:latest"]
    image = store.find("test")
    assert image.manifest_digest == forge.digest(manifest)
    assert store.blob_path(forge.digest(blob)).read_bytes() == blob
    assert (store.lower_dirs(image)[0] / "one").read_text() == "1"


def test_one_layer_in_two_packings_is_unpacked_once(store: ImageStore) -> None:
    for name, pack in (("a:1", bytes), ("b:1", gzip.compress)):
        made = forge.Layout()
        config = forge.image_config([forge.digest(ONE)], comment=name)
        media_type = forge.OCI + "layer.v1.tar" + ("+gzip" if name == "b:1" else "")
        made.image([(pack(ONE), ONE)], name=name, config=config, media_type=media_type)  # type: ignore[operator]
        take(store, made.done())
    assert len(list(store.layers.iterdir())) == 1 and check(store) == []
    assert len(list(store.blobs.iterdir())) == 2 + 2 + 2


def host(**more: str) -> dict[str, str]:
    return {"os": "linux", "architecture": forge.ARCHITECTURE, **more}


OTHER = {"os": "linux", "architecture": "s390x"}


def test_of_several_platforms_ours_is_taken(store: ImageStore) -> None:
    made = layout_of({"platform": OTHER, "name": "x:1"}, {"platform": host(), "name": "x:1"})
    assert take(store, made.done()) == ["Loaded image: x:1"]
    assert store.find("x:1").manifest_digest == made.entries[1]["digest"]


def test_a_platform_can_be_asked_for(store: ImageStore) -> None:
    made = layout_of({"platform": OTHER, "name": "x:1"}, {"platform": host(), "name": "x:1"})
    take(store, made.done(), platform="linux/s390x")
    assert store.find("x:1").manifest_digest == made.entries[0]["digest"]
    with pytest.raises(InvalidImage, match="no image for linux/riscv64"):
        take(store, made.done(), platform="linux/riscv64")


def test_an_index_in_the_index(store: ImageStore) -> None:
    """As `docker buildx build --output type=oci` writes: platforms below a name, proofs beside them."""
    made = layout_of({"platform": OTHER, "name": ""}, {"platform": host(), "name": ""})
    proof = {**made.entries[0], "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    proof["platform"] = {"os": "unknown", "architecture": "unknown"}
    inner = made.blob(json.dumps({"schemaVersion": 2, "manifests": [*made.entries, proof]}).encode())
    wanted = made.entries[1]["digest"]
    made.entries = [
        forge.descriptor(
            inner, forge.OCI + "index.v1+json", annotations={"io.containerd.image.name": "docker.io/library/x:1"}
        )
    ]
    assert take(store, made.done()) == ["Loaded image: x:1"]
    assert store.find("x:1").manifest_digest == wanted


def test_images_of_several_names_are_all_taken(store: ImageStore) -> None:
    made = layout_of({"name": "a:1"}, {"name": "b/c:2"})
    made.entries.append({**made.entries[0], "annotations": {"org.opencontainers.image.ref.name": "second/name:3"}})
    lines = take(store, made.done())
    assert lines == ["Loaded image: a:1", "Loaded image: second/name:3", "Loaded image: b/c:2"]


@pytest.mark.parametrize("name", ["", "latest", "v1.0"])
def test_an_image_without_a_whole_name_is_told_by_its_id(name: str, store: ImageStore) -> None:
    (line,) = take(store, layout_of({"name": name}).done())
    assert line == f"Loaded image ID: {store.ids()[0]}" and store.images()[0].tags == []


def test_a_layout_for_another_machine_alone_is_taken_unless_asked_for_ours(store: ImageStore) -> None:
    made = layout_of({"platform": OTHER})
    with pytest.raises(InvalidImage, match="no image for"):
        take(store, made.done(), platform=f"linux/{forge.ARCHITECTURE}")
    assert take(store, made.done()) == ["Loaded image: test:latest"]


# Sources


@pytest.mark.parametrize("pack", ["cat", "gzip", "xz", "bzip2", "zstd"])
def test_archives_in_every_packing_from_a_pipe(pack: str, store: ImageStore, tmp_path: Path) -> None:
    raw = forge.archive(forge.docker_archive([ONE]))
    packed = {"zstd": zstd_module().compress}.get(
        pack, lambda raw: subprocess.run([pack], input=raw, capture_output=True, check=True).stdout
    )(raw)
    (tmp_path / "packed").write_bytes(packed)
    with subprocess.Popen(["cat", tmp_path / "packed"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert load(store, process.stdout, say=lambda line: None) == ["Loaded image: test:latest"]
    assert load(store, tmp_path / "packed", say=lambda line: None) == ["Loaded image: test:latest"]


def test_a_file_that_is_not_there(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(MinidockError) as caught:
        load(store, tmp_path / "nothing.tar", say=lambda line: None)
    assert caught.value.message == f"open {tmp_path}/nothing.tar: no such file or directory"


def test_layers_that_are_links_to_each_other(store: ImageStore) -> None:
    """docker save before version 25 makes the layer of a second image a symlink to the first one's."""
    made = forge.docker_archive([ONE, ONE])
    del made["1/layer.tar"]
    take(store, forge.archive(made, symlink("1/layer.tar", "../0/layer.tar")))
    assert store.find("test").diff_ids == [forge.digest(ONE)] * 2


# Files of images


def test_a_file_of_the_merged_image(store: ImageStore) -> None:
    below = tar(
        directory("etc"), member("etc/passwd", b"below"), member("etc/gone", b"x"), member("opaque/hidden", b"x"),
        symlink("link", "etc/passwd"), symlink("abs", "/dir/../etc"), directory("dir"), member("covered/file", b"x"),
        symlink("up", "../../../../etc/passwd"), symlink("loop", "loop"), member("etc/shadow", b"s", mode=0),
    )  # fmt: skip
    above = tar(
        member("etc/passwd", b"above"), member("etc/.wh.gone"), member("opaque/.wh..wh..opq"), member("covered", b""),
        symlink("across", "abs/passwd"), member("pipe", kind=b"6"), symlink("host", "/proc/self/root/etc/passwd"),
    )  # fmt: skip
    docker(store, below, above, tags=["x"])
    dirs = store.lower_dirs(store.find("x"))
    for path in ("/etc/passwd", "etc//passwd", "link", "abs/passwd", "across", "up", "/../etc/./passwd", "dir/../link"):
        assert lookup_file(dirs, path) == b"above", path
    assert lookup_file(dirs, "etc/shadow") == b"s"
    for path in (
        "etc/gone",
        "opaque/hidden",
        "covered/file",
        "loop",
        "pipe",
        "etc",
        "",
        "/",
        "nothing",
        "host",
        "x" * 300,
    ):
        assert lookup_file(dirs, path) is None, path


# Import and save


def test_import(store: ImageStore) -> None:
    image = import_tar(
        store,
        io.BytesIO(gzip.compress(ONE)),
        reference="imp",
        message="hello",
        changes=["CMD x"],
        platform="linux/arm/v7",
    )
    assert image.tags == ["imp:latest"] and image.config.config.cmd == ["/bin/sh", "-c", "x"]
    assert image.diff_ids == [forge.digest(ONE)] and (image.architecture, image.variant) == ("arm", "v7")
    assert [each.comment for each in image.config.history] == ["hello"]
    assert import_tar(store, io.BytesIO(ONE)).tags == []
    for name, change in (("Bad", "CMD x"), ("good", "RUN x")):
        with pytest.raises(MinidockError):
            import_tar(store, io.BytesIO(ONE), reference=name, changes=[change])


def saved(store: ImageStore, *names: str) -> bytes:
    out = io.BytesIO()
    save(store, list(names), out)
    return out.getvalue()


def test_what_is_saved_is_loaded_again_with_all_its_digests(store: ImageStore, tmp_path: Path) -> None:
    made = forge.Layout()
    made.image([(gzip.compress(ONE), ONE), (TWO, TWO)], name="oci:1", media_type=forge.OCI + "layer.v1.tar")
    take(store, made.done())
    docker(store, ONE, tags=["a:1", "a:2", "b:1"])
    other = ImageStore(Layout(tmp_path / "other"))
    raw = saved(store, "oci:1", "a")
    assert raw == saved(store, "oci:1", "a") and len(raw) % 10240 == 0
    assert take(other, raw) == ["Loaded image: oci:1", "Loaded image: a:1", "Loaded image: a:2"]
    for name in ("oci:1", "a:1"):
        ours, theirs = store.find(name), other.find(name)
        assert (ours.id, ours.manifest_digest) == (theirs.id, theirs.manifest_digest)
    assert saved(other, "oci:1", "a") == raw
    shutil.rmtree(other.layout.run)


def test_what_can_not_be_saved(store: ImageStore) -> None:
    docker(store, ONE, tags=["a:1"])
    for name, message in (("nothing", "No such image: nothing"), ("a:2", "reference does not exist")):
        with pytest.raises(MinidockError) as caught:
            saved(store, name)
        assert caught.value.message == message
    for asked in (store.find("a:1").id[7:20], store.find("a:1").id):  # an id reads as a name with a tag
        assert b'"RepoTags":null' in saved(store, asked)


# Many at once, and sudden ends


LOADER = """
import sys
from pathlib import Path
from minidock.image import buildcache
from minidock.image.archive import load
from minidock.image.store import ImageStore
from minidock.paths import Layout
print(load(ImageStore(Layout(Path(sys.argv[1]))), Path(sys.argv[2]), say=lambda line: None))
"""


def loader(store: ImageStore, archive: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LOADER, store.layout.root, archive], stdout=subprocess.PIPE)


def many_files(count: int) -> bytes:
    return tar(*(member(f"d{number % 50}/f{number}", b"x" * (number % 500)) for number in range(count)))


def test_many_loads_of_one_image_at_once(store: ImageStore, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(forge.archive(forge.docker_archive([many_files(3000), ONE])))
    running = [loader(store, path) for _ in range(4)]
    assert [process.communicate()[0] for process in running] == [b"['Loaded image: test:latest']\n"] * 4
    assert check(store) == [] and not list(store.tmp.iterdir())
    assert sum(1 for _ in (store.layer_path(store.find("test").diff_ids[0]) / "diff").rglob("f*")) == 3000


def test_a_load_killed_at_any_moment_leaves_a_sound_store(store: ImageStore, tmp_path: Path) -> None:
    """Twelve kills; after each the store is whole, and the last, unharmed load finds all that it needs."""
    path = tmp_path / "image.tar"
    layers = [many_files(4000), ONE, tar(member("big", bytes(5_000_000)))]
    path.write_bytes(forge.archive(forge.docker_archive(layers)))
    chance = random.Random(7)
    began = time.monotonic()
    loader(store, path).wait()
    whole = time.monotonic() - began
    store.delete("test")
    for _ in range(12):
        process = loader(store, path)
        time.sleep(chance.uniform(0.1, 1.0) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert check(store) == []
    assert load(store, path, say=lambda line: None) == ["Loaded image: test:latest"]
    image: Image = store.find("test")
    assert [
        files.read_json(place.parent / "layer.json", dict[str, object])["entries"]
        for place in reversed(store.lower_dirs(image))
    ] == [4000, 1, 1]
    assert not list(store.tmp.iterdir()) and check(store) == []
    store.delete("test")
    assert not [each for each in store.root.rglob("*") if each.is_file() and each != store.tags.path]


def test_memory_stays_small(store: ImageStore, tmp_path: Path) -> None:
    """A layer of 150 MiB in a process that never has more than 60 MB (VmHWM of proc(5))."""
    layer, path = tmp_path / "layer.tar", tmp_path / "image.tar"
    size = 150 << 20
    with open(layer, "wb") as file:
        file.write(forge.block(b"big", size=size))
        file.truncate(512 + size + 1024)
    digest = subprocess.run(["sha256sum", layer], capture_output=True, text=True, check=True).stdout.split()[0]
    config = forge.image_config([f"sha256:{digest}"])
    item = json.dumps([{"Config": "config.json", "RepoTags": ["big:1"], "Layers": ["layer.tar"]}]).encode()
    with open(path, "wb") as file:
        file.write(forge.member("config.json", config) + forge.member("manifest.json", item))
        file.write(forge.block(b"layer.tar", size=layer.stat().st_size))
        with open(layer, "rb") as source:
            shutil.copyfileobj(source, file)
    script = f"{LOADER}\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    result = subprocess.run(
        [sys.executable, "-c", script, store.layout.root, path], capture_output=True, text=True, check=True
    )
    assert "big:1" in result.stdout and int(result.stdout.split()[-1]) < 60_000
    assert os.stat(store.lower_dirs(store.find("big:1"))[0] / "big").st_size == size
