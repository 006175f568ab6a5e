"""What `docker manifest` does: looks at what a registry has without pulling it, and puts lists of images together."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from minidock.errors import InvalidReference, MinidockError, NotFound, RegistryError
from minidock.image import manifest as docs
from minidock.image import reference
from minidock.image.reference import Reference
from minidock.image.registry import client, lists
from minidock.image.registry.pull import closing
from minidock.paths import Layout

SYSTEMS = {
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 mips64 mips64le ppc64 ppc64le riscv64 s390x loong64",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "windows": "386 amd64 arm64",
}
"""Which architectures there are on which system (docker/cli, manifest/util.go)."""


# Looking


def inspect(layout: Layout, text: str, *, listed: str = "", verbose: bool, insecure: bool) -> Any:  # noqa: ANN401 - JSON
    """The manifest or list as the registry has it, or a list that is being put together here; an image of such a list
    with `listed`. With `verbose` what is known of each image."""
    name, here = _name(text), lists.Lists()
    if listed:
        entry = here.entry(_name(listed), name)
        return entry if verbose else json.loads(base64.b64decode(entry["Raw"]))
    if here.exists(name):
        entries = here.entries(name)
        return entries if verbose else json.loads(lists.document(name, entries))
    (repository,) = client.repositories(layout, name, insecure=insecure)
    with closing(repository), _missing(name):
        found = repository.manifest(name.digest or name.tag)
        document = json.loads(found.raw)
        if not verbose:
            return document
        if "manifests" not in document:
            return described(repository, found, name.full)
        shown = [
            (f"{name.full}@{one['digest']}", repository.manifest(one["digest"]), one.get("platform"))
            for one in document["manifests"]
        ]
        return [described(repository, each, ref, platform) for ref, each, platform in shown]


class _missing:
    """What a registry doesn't know, in Docker's words."""

    def __init__(self, name: Reference) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RegistryError) and error.status == 404:
            raise RegistryError(f"no such manifest: {self.name.familiar}", status=404) from error


def described(repository: client.Repository, found: client.Found, ref: str, platform: Any = None) -> dict[str, Any]:  # noqa: ANN401
    """An image of a registry as `manifest inspect -v` shows it. Its platform is what its config says."""
    manifest = docs.parse_manifest(found.raw)
    if platform is None:
        config = docs.parse_config(repository.blob(manifest.config.digest).body(docs.MAX_DOCUMENT))
        told = {"os.version": config.os_version, "variant": config.variant}
        platform = {"architecture": config.architecture, "os": config.os or "linux"}
        platform |= {key: value for key, value in told.items() if value}
    kind = "OCIManifest" if found.media_type == docs.OCI_MANIFEST else "SchemaV2Manifest"
    size, document = len(found.raw), json.loads(found.raw)
    descriptor = {"mediaType": found.media_type, "digest": found.digest, "size": size, "platform": platform}
    return {"Ref": ref, "Descriptor": descriptor, "Raw": base64.b64encode(found.raw).decode(), kind: document}


# Putting together


def create(layout: Layout, target: str, images: Sequence[str], *, amend: bool, insecure: bool) -> str:
    """A list of images that a registry has; its full name."""
    name, here = _name(target, "error parsing name for manifest list"), lists.Lists()
    if here.exists(name) and not amend:
        raise MinidockError("refusing to amend an existing manifest list with no --amend flag")
    for text in images:
        image = _name(text)
        try:
            entry = here.entry(name, image)
        except NotFound:
            entry = _asked(layout, image, insecure)
        here.save(name, image, entry)
    return name.full


def _asked(layout: Layout, image: Reference, insecure: bool) -> lists.Entry:
    (repository,) = client.repositories(layout, image, insecure=insecure)
    with closing(repository), _missing(image):
        found = repository.manifest(image.digest or image.tag)
        if "manifests" in json.loads(found.raw):
            raise MinidockError(f"{image.full} is a manifest list")
        return described(repository, found, image.full)


def annotate(
    target: str, text: str, *, system: str, architecture: str, variant: str, version: str, features: Sequence[str]
) -> None:
    """Say of an image in a list what it runs on."""
    name = _name(target, "annotate: error parsing name for manifest list")
    image, here = _name(text, "annotate: error parsing name for manifest"), lists.Lists()
    try:
        entry = here.entry(name, image)
    except NotFound:
        raise NotFound(f"manifest for image {text} does not exist in {target}") from None
    known = entry["Descriptor"].get("platform") or {}
    old = known.get("os.features", [])
    kept = [*old, *(one for one in dict.fromkeys(features) if one not in old)]
    runs_on = (system or known.get("os", ""), architecture or known.get("architecture", ""))
    wanted = {
        "architecture": runs_on[1],
        "os": runs_on[0],
        "os.version": version or known.get("os.version", ""),
        "os.features": kept,
        "variant": variant or known.get("variant", ""),
    }
    if runs_on[1] not in SYSTEMS.get(runs_on[0], "").split():
        pair = f"{system}/{architecture}"
        raise MinidockError(f"manifest entry for image has unsupported os/arch combination: {pair}")
    entry["Descriptor"]["platform"] = {key: value for key, value in wanted.items() if value}
    here.save(name, image, entry)


def push(layout: Layout, target: str, *, insecure: bool, purge: bool, say: Callable[[str], None]) -> str:
    """The list's digest in its registry."""
    name, here = _name(target), lists.Lists()
    digest = lists.push(layout, name, here.entries(name), insecure=insecure, say=say)
    if purge:
        here.remove(name)
    return digest


def remove(target: str) -> None:
    """Raises NotFound."""
    lists.Lists().remove(_name(target))


def _name(text: str, failure: str = "") -> Reference:
    try:
        return reference.parse(text).tagged()
    except InvalidReference as error:
        raise InvalidReference(f"{failure} {text}: {error.message}") if failure else error from None
