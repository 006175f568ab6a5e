"""Images as they lie here, and as archives; and the room that everything takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

from minidock.daemon.lines import body, lines
from minidock.daemon.spawner import Reply
from minidock.daemon.verbs.common import Arguments, Verb, plainly
from minidock.engine import Engine
from minidock.errors import MinidockError, UsageError
from minidock.model.usage import VolumeUsage


def prune_images(engine: Engine, given: Arguments, reply: Reply) -> object:
    rows, freed = engine.prune_images(given["filters"])
    return {"ImagesDeleted": [{what: name} for what, name in rows] or None, "SpaceReclaimed": freed}


def ensure_image(engine: Engine, given: Arguments, reply: Reply) -> object:
    """Have it, from a registry or a recipe, before a container of a swarm's task is made."""
    from minidock.engine import ensure

    ensure.ensure(
        engine.layout,
        given["name"],
        policy="missing",
        platform="",
        say=lambda line: None,
        tell=lambda one: None,
        auth=given["auth"],
    )
    return None


# As archives


def save(engine: Engine, given: Arguments, reply: Reply) -> object:
    if not given["names"]:
        raise UsageError("at least one image name is needed")
    with body(reply) as out:
        engine.save(given["names"], out)
    return None


def load(engine: Engine, given: Arguments, reply: Reply) -> object:
    """The archive comes by the second descriptor. Clients look for what fails in the stream only."""
    reply.begin()
    with lines(reply) as told, _sent(reply) as source:
        engine.load(source, platform=given["platform"], say=lambda line: told.stream(f"{line}\n"))
    return None


@contextlib.contextmanager
def _sent(reply: Reply) -> Iterator[BinaryIO]:
    with os.fdopen(reply.descriptors[1], "rb") as source:
        yield source


def import_image(engine: Engine, given: Arguments, reply: Reply) -> object:
    """From the request's body (`-`), or from an address."""
    source = given.pop("source")
    given["reference"] = given["reference"] or None
    with lines(reply) as told, _sent(reply) if source == "-" else _fetched(source) as file:
        told.say(status=engine.import_image(file, **given))
    return None


@contextlib.contextmanager
def _fetched(address: str) -> Iterator[BinaryIO]:
    from http.client import HTTPException
    from urllib.error import HTTPError

    from minidock.web import opened, unfollowed

    if "://" not in address:
        address = f"http://{address}"
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"unsupported scheme: {address}")
    try:
        answer = opened(address, timeout=60)
    except HTTPError as error:
        raise MinidockError(f"failed to load {address}: {unfollowed(error) or error.reason}") from None
    except (OSError, ValueError, HTTPException) as error:  # no answer, or no address: all that a client can spell
        raise MinidockError(f"failed to load {address}: {getattr(error, 'reason', error)}") from None
    with answer:
        try:
            yield answer
        except HTTPException as error:  # it broke off, in the middle of a chunk
            raise MinidockError(f"failed to load {address}: {error}") from None


# Room


def disk_usage(engine: Engine, given: Arguments, reply: Reply) -> object:
    """API GET /system/df. `types` limits it to some of container, image, volume and build-cache."""
    used = engine.disk_usage()
    wanted = set(given["types"]) or {"container", "image", "volume", "build-cache"}
    answer: dict[str, object] = {}
    if "image" in wanted:
        answer |= {"LayersSize": used.layers_size, "Images": used.images}
    if "container" in wanted:
        answer["Containers"] = used.containers
    if "volume" in wanted:
        answer["Volumes"] = [_volume(row) for row in used.volumes]
    if "build-cache" in wanted:
        answer["BuildCache"] = used.build_cache
    return answer


def _volume(used: VolumeUsage) -> dict[str, object]:
    return {
        "Name": used.name,
        "Driver": "local",
        "Scope": "local",
        "Labels": None,
        "Options": None,
        "Mountpoint": "",
        "UsageData": {"RefCount": used.links, "Size": used.size},
    }


VERBS: dict[str, Verb] = {
    "images": plainly(Engine.images),
    "ensure_image": ensure_image,
    "inspect_image": plainly(Engine.inspect_image),
    "history": plainly(Engine.history),
    "tag": plainly(Engine.tag),
    "remove_image": plainly(Engine.remove_image),
    "prune_images": prune_images,
    "save": save,
    "load": load,
    "import": import_image,
    "disk_usage": disk_usage,
}
