"""Pushes that meet trouble: a connection that ends, a registry that changes its mind, a store somewhere else."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.errors import MinidockError, RegistryError
from minidock.image import reference
from minidock.image.importer import import_tar
from minidock.image.registry import client, wire
from minidock.image.registry.auth import Credentials
from minidock.image.registry.pull import pull
from minidock.image.registry.push import push
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.conftest import require_root
from tests.support import hostile_page, tarforge
from tests.support.oddserver import Handler, OddRegistry, odd_registry

BOB = Credentials("bob", "secret")


@pytest.fixture
def odd() -> Iterator[OddRegistry]:
    with odd_registry() as registry:
        registry.blobs.clear()
        registry.manifests.clear()
        yield registry


@pytest.fixture
def store(layout: Layout, odd: OddRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ImageStore]:
    """With an image whose layer came packed (`packed`), and one whose layer is a plain tar (`plain`)."""
    require_root()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    original = wire.Wire.__init__

    def quick(self: wire.Wire, *arguments: object, **options: object) -> None:
        original(self, *arguments, patience=5, pause=0.02, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(client.Wire, "__init__", quick)
    made = ImageStore(layout)
    tar = tarforge.tar(tarforge.member("noise", os.urandom(3 << 20)))
    (tmp_path / "plain.tar").write_bytes(tar)
    with open(tmp_path / "plain.tar", "rb") as source:
        import_tar(made, source, reference=f"{odd.address}/app:plain")
    with odd_registry() as other:
        other.add_image([gzip.compress(tar, 1, mtime=0)])
        pulled = pull(made, reference.parse(f"{other.address}/app:latest"), tell=lambda progress: None)
    made.tag(pulled.image, f"{odd.address}/app:packed")
    yield made
    shutil.rmtree(layout.run, ignore_errors=True)


def send(store: ImageStore, odd: OddRegistry, tag: str, who: Credentials | None = None) -> str:
    """Push, and see that all that the manifest lists is there; the manifest's digest."""
    said = []
    digest, size = push(
        store, reference.parse(f"{odd.address}/app:{tag}"), tell=lambda progress: said.append(progress.status),
        credentials=who,
    )  # fmt: skip
    assert said[-1] == f"{tag}: digest: {digest} size: {size}"
    manifest = client.docs.parse_manifest(odd.manifests[tag][1])
    assert {manifest.config.digest, *(layer.digest for layer in manifest.layers)} <= set(odd.blobs)
    return digest


def hang_up_after(count: int) -> object:
    """Read so many bytes of what is sent, keep them, and hang up."""

    def act(handler: Handler) -> bool:
        if handler.command != "PUT":
            return False
        number = int(handler.path.partition("?")[0].rpartition("/")[2])
        handler.odd.uploads[number] += handler.rfile.read(min(count, int(handler.headers["Content-Length"])))
        handler.close_connection = True
        handler.connection.shutdown(2)
        return True

    return act


def test_packed_goes_as_it_is(store: ImageStore, odd: OddRegistry) -> None:
    digest = send(store, odd, "packed")
    assert digest == store.find(f"{odd.address}/app:packed").manifest_digest
    assert send(store, odd, "packed") == digest and len(odd.uploads) == 2  # a layer and a config, once


def test_plain_is_packed_once(store: ImageStore, odd: OddRegistry) -> None:
    first = send(store, odd, "plain")
    sent = len(odd.uploads)
    assert send(store, odd, "plain") == first and len(odd.uploads) == sent


def test_packing_is_the_same_every_time(store: ImageStore, odd: OddRegistry) -> None:
    """Without memory of an earlier push the same digest comes out."""
    first = send(store, odd, "plain")
    for path in store.layers.glob("*/sources.json"):
        path.unlink()
    odd.blobs.clear()
    assert send(store, odd, "plain") == first


@pytest.mark.parametrize("count", [0, 1 << 20], ids=["before a byte", "in the middle"])
def test_cut_upload_is_gone_on_with(store: ImageStore, odd: OddRegistry, count: int) -> None:
    odd.trick("uploads/0", hang_up_after(count), times=1)  # type: ignore[arg-type]
    send(store, odd, "packed")
    pieces = [headers for method, path, headers in odd.asked if method == "PATCH"]
    assert pieces and pieces[0]["content-range"].startswith(f"{count}-")


def test_upload_that_the_registry_forgot(store: ImageStore, odd: OddRegistry) -> None:
    """Then it begins again."""
    odd.trick("uploads/0", hang_up_after(1 << 20), times=1)  # type: ignore[arg-type]
    odd.trick("uploads/0", lambda handler: handler.refuse(404, "BLOB_UPLOAD_UNKNOWN", "gone") is None)
    send(store, odd, "packed")


def test_upload_cut_for_good(store: ImageStore, odd: OddRegistry) -> None:
    def hang_up(handler: Handler) -> bool:
        handler.close_connection = True
        return True

    odd.trick("uploads/", hang_up)
    with hostile_page.refusal(RegistryError, r"EOF|reset|closed"):
        send(store, odd, "packed")
    assert odd.manifests == {}


def test_401_within_an_upload(store: ImageStore, odd: OddRegistry) -> None:
    """The body is sent again from its beginning, with a password."""

    def judge(handler: Handler) -> bool:
        if handler.command == "GET" or "Authorization" in handler.headers:
            return False
        handler.body()
        return handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": "Basic"}) is None

    odd.trick("/v2/.+", judge)
    send(store, odd, "packed", BOB)
    send(store, odd, "plain", BOB)


def test_upload_to_another_host_without_credentials(store: ImageStore, odd: OddRegistry) -> None:
    with odd_registry() as elsewhere:
        elsewhere.blobs = odd.blobs

        def judge(handler: Handler) -> bool:
            if "Authorization" not in handler.headers:
                handler.body()
                return handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": "Basic"}) is None
            if handler.command != "POST":
                return False
            elsewhere.uploads.append(bytearray())
            place = f"http://{elsewhere.address}/v2/x/blobs/uploads/{len(elsewhere.uploads) - 1}"
            return handler.reply(202, headers={"Location": place}) is None

        odd.trick("/v2/", judge)
        send(store, odd, "packed", BOB)
        assert elsewhere.requests("uploads")
        assert all("authorization" not in headers for headers in elsewhere.requests("."))


@pytest.mark.parametrize(
    ("pattern", "status", "code", "text"),
    [
        ("manifests/", 400, "MANIFEST_INVALID", "manifest invalid: no"),
        ("uploads/$", 403, "DENIED", "denied: no"),
        ("uploads/0", 400, "DIGEST_INVALID", "digest invalid: no"),
        ("uploads/0", 413, "SIZE_INVALID", "size invalid: no"),
        ("uploads/$", 429, "TOOMANYREQUESTS", "toomanyrequests: no"),
    ],
    ids=["the manifest", "all", "the bytes", "the size", "for now"],
)
def test_refused(store: ImageStore, odd: OddRegistry, pattern: str, status: int, code: str, text: str) -> None:
    def refuse(handler: Handler) -> bool:
        if handler.command in ("HEAD", "GET"):
            return False
        handler.body()
        return handler.refuse(status, code, "no") is None

    odd.trick(pattern, refuse)
    with hostile_page.refusal(RegistryError, text):
        send(store, odd, "packed")
    assert f"{odd.address}/app@" not in " ".join(store.read_tags())


def test_no_place_to_upload_to(store: ImageStore, odd: OddRegistry) -> None:
    odd.trick("uploads/$", lambda handler: handler.reply(202) is None)
    with hostile_page.refusal(RegistryError, "does not say where to upload"):
        send(store, odd, "packed")


def test_manifest_filed_under_another_digest(store: ImageStore, odd: OddRegistry) -> None:
    headers = {"Docker-Content-Digest": tarforge.digest(b"x")}

    def lie(handler: Handler) -> bool:
        handler.body()
        return handler.reply(201, headers=headers) is None

    odd.trick("manifests/", lie)
    with hostile_page.refusal(RegistryError, "the registry filed manifest"):
        send(store, odd, "packed")


def test_missing_blob(store: ImageStore, odd: OddRegistry) -> None:
    for path in store.blobs.iterdir():
        if path.stat().st_size > 1 << 20:
            path.unlink()
    with hostile_page.refusal(MinidockError, "missing from the store"):
        send(store, odd, "packed")
