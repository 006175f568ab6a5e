"""Images elsewhere. What they are made of travels as a tar, what is told meanwhile as lines of JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from minidock.daemon.client.api import Api, quoted, without_nulls
from minidock.daemon.client.registries import pull, split
from minidock.errors import ImageNotFound, Unsupported
from minidock.model.events import Progress
from minidock.model.lists import HistoryRow, ImageSummary

Say = Callable[[str], None]


def ensure(api: Api, name: str, *, policy: str, platform: str, say: Say, tell: Callable[[Progress], None]) -> None:
    """Have it there: by --pull always, when it is missing, or never. Raises ImageNotFound."""
    if policy != "always":
        try:
            api.json("GET", f"/images/{quoted(name)}/json")
            return
        except ImageNotFound:
            if policy == "never":
                raise
        repository, tag = split(name)
        say(f"Unable to find image '{f'{repository}:{tag}' if tag else name}' locally")
    pull(api, name, platform=platform, tell=tell)


def listed(api: Api, *, everything: bool, filters: dict[str, list[str]]) -> list[ImageSummary]:
    rows = without_nulls(api.json("GET", "/images/json", {"all": everything, "filters": filters}))
    return [row(each) for each in rows]


def row(found: dict[str, Any]) -> ImageSummary:
    return msgspec.convert({"RepoTags": [], "RepoDigests": [], **found}, ImageSummary)


def history(api: Api, ref: str) -> list[HistoryRow]:
    rows = api.json("GET", f"/images/{quoted(ref)}/history")
    return msgspec.convert([{"Tags": None, **without_nulls(each)} for each in rows], list[HistoryRow])


def prune(api: Api, filters: dict[str, list[str]]) -> tuple[list[tuple[str, str]], int]:
    found = without_nulls(api.json("POST", "/images/prune", {"filters": filters}))
    rows = [(what, which) for each in found.get("ImagesDeleted", []) for what, which in each.items()]
    return rows, found.get("SpaceReclaimed", 0)


def platform(api: Api, ref: str) -> str:
    found = api.json("GET", f"/images/{quoted(ref)}/json")
    return "/".join(filter(None, (found["Os"], found["Architecture"], found.get("Variant"))))


def tag(api: Api, source: str, target: str) -> None:
    repository, name = split(target)
    api.open("POST", f"/images/{quoted(source)}/tag", {"repo": repository, "tag": name}).read()


def remove(api: Api, ref: str, *, force: bool, prune: bool) -> list[tuple[str, str]]:
    rows = api.json("DELETE", f"/images/{quoted(ref)}", {"force": force, "noprune": not prune})
    return [(what, which) for each in rows for what, which in each.items()]


def load(api: Api, source: BinaryIO | Path, *, platform: str, say: Say) -> list[str]:
    """The lines that tell what is there now."""
    if isinstance(source, Path):
        if source.is_dir():
            hint = "load its tar: tar -C DIR -c . | minidock load"
            raise Unsupported("a directory can't be sent to a daemon", hint=hint)
        with source.open("rb") as file:
            return load(api, file, platform=platform, say=say)
    told = []
    answer = api.open("POST", "/images/load", {"quiet": True, "platform": platform}, upload=source)
    for message in api.messages(answer):
        for line in str(message.get("stream", "")).splitlines():
            say(line)
            told.append(line)
    return told


def save(api: Api, names: list[str], out: BinaryIO) -> None:
    for piece in api.pieces(api.open("GET", "/images/get", {"names": names})):
        out.write(piece)


def import_tar(
    api: Api, source: BinaryIO, *, reference: str | None, message: str, changes: list[str], platform: str
) -> str:
    """The new image's id: the last word of the daemon's."""
    repository, name = split(reference) if reference else ("", "")
    query = {
        "fromSrc": "-",
        "repo": repository,
        "tag": name,
        "message": message,
        "changes": changes,
        "platform": platform,
    }
    answer = api.open("POST", "/images/create", query, upload=source)
    return [str(line["status"]) for line in api.messages(answer) if "status" in line][-1]
