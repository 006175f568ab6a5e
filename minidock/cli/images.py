"""images, rmi and tag."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from ..errors import MinidockError, NotFound
from . import context, of_platform
from .commands import UNLIMITED, Complaint, told, verb
from .flags import boolean, many, text
from .tables import FORMAT_HELP, Columns, Listing, group_filters, parse_filter
from .units import moment

if TYPE_CHECKING:
    from ..model.lists import ImageSummary

NONE = "<none>"
HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
}
FILTERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("before", "dangling", "label", "label!", "reference", "since", "until")),
}
"""Name → the values that there are, None for any."""

RAW = [
    *(("repository", "Repository"), ("tag", "Tag"), ("image_id", "ID"), ("created_at", "CreatedAt")),
    ("virtual_size", "Size"),
]


@verb(
    "images",
    "List images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    flags=[
        boolean("all", "a", "Show all images (default hides intermediate images)"),
        boolean("digests", "", "Show digests"),
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", FORMAT_HELP),
        boolean("no-trunc", "", "Don't truncate output"),
        boolean("quiet", "q", "Only show image IDs"),
        boolean("tree", "", "List multi-platform images as a tree (EXPERIMENTAL)"),
    ],
    least=0,
    most=1,
    aliases=("minidock image ls", "minidock image list", "minidock images"),
    examples="""
        minidock images
        minidock images --filter dangling=true -q
        minidock images --format '{{.Repository}}:{{.Tag}} {{.Size}}'
    """,
)
def images(
    arguments: list[str],
    all: bool,
    digests: bool,
    filter: list[tuple[str, str]],
    format: str,
    no_trunc: bool,
    quiet: bool,
    tree: bool,
) -> None:
    filters = group_filters([*filter, *(("reference", word) for word in arguments)], FILTERS)
    if "until" in filters:
        filters["until"] = [str(moment(value, "until")) for value in filters["until"]]
    engine = context.engine()
    if tree:
        for flag, given in (("quiet", quiet), ("no-trunc", no_trunc), ("show-digest", digests), ("format", format)):
            if given:
                raise Complaint(f"--{flag} is not yet supported with --tree", 1)
        from . import image_tree

        return image_tree.show(engine.images(all=all, filters=filters), engine.content_size, engine.platform)
    summaries = engine.images(all=all, filters=filters)
    only = filters.get("reference", [])
    rows = [columns(image, *name, no_trunc) for image in summaries for name in names(image, only, digests)]
    if quiet:
        for row in rows:
            print(row["ID"]())
        return None
    columns_shown = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    Listing("ImageContext", HEADERS, raw=RAW).show(rows, columns_shown, format)
    return None


def names(image: ImageSummary, only: list[str], digests: bool) -> list[tuple[str, str, str]]:
    """(repository, tag, digest) of each row of an image: one a tag, and one for a digest without any."""
    digest_of = {repository: digest for repository, _, digest in (d.partition("@") for d in image.repo_digests)}
    rows = []
    for name in image.repo_tags:
        repository, _, tag = name.rpartition(":")
        if name != f"{NONE}:{NONE}" and (not only or any(_fits(repository, tag, pattern) for pattern in only)):
            rows.append((repository, tag, digest_of.get(repository, NONE)))
    if image.repo_tags:
        return rows
    return [(name, NONE, digest) for name, digest in digest_of.items() if name != NONE] or [(NONE, NONE, NONE)]


def _fits(repository: str, tag: str, pattern: str) -> bool:
    """Whether `images PATTERN` means this name: `bb`, `bb:1`, `b*`; a path's last part needs the whole path."""
    from fnmatch import fnmatchcase

    names = {repository, repository.removeprefix("docker.io/").removeprefix("library/")}
    return any(fnmatchcase(name, pattern) or fnmatchcase(f"{name}:{tag}", pattern) for name in names)


def columns(image: ImageSummary, repository: str, tag: str, digest: str, no_trunc: bool) -> Columns:
    from ..engine.durations import human_duration
    from .units import human_size

    return {
        "Repository": lambda: repository,
        "Tag": lambda: tag,
        "Digest": lambda: digest,
        "ID": lambda: image.id if no_trunc else image.id.removeprefix("sha256:")[:12],
        "CreatedSince": lambda: f"{human_duration(time.time() - image.created)} ago" if image.created > 0 else "N/A",
        "CreatedAt": lambda: time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(image.created)),
        "Size": partial(human_size, image.size),
        "Containers": lambda: "N/A",
        "SharedSize": lambda: "N/A",
        "UniqueSize": lambda: "N/A",
        "VirtualSize": partial(human_size, image.size, digits=4),
    }


@verb(
    "rmi",
    "Remove one or more images",
    "[OPTIONS] IMAGE [IMAGE...]",
    flags=[
        boolean("force", "f", "Force removal of the image"),
        boolean("no-prune", "", "Do not delete untagged parents"),
        many("platform", "", "Remove only the given platform variant", kind="strings"),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock image rm", "minidock image remove", "minidock rmi"),
    examples="""
        minidock rmi busybox:latest
        minidock rmi $(minidock images -q --filter dangling=true)
    """,
)
def rmi(arguments: list[str], force: bool, no_prune: bool, platform: list[str]) -> None:
    """With --force an image that isn't there is told, and is no failure: the wish is fulfilled."""
    engine = context.engine()
    failed = False
    for name in arguments:
        try:
            for one in platform:
                of_platform.check(engine, [name], one)
            for what, which in engine.remove_image(name, force=force, prune=not no_prune):
                print(f"{what}: {which}", flush=True)
        except MinidockError as error:
            context.say(told(error))
            failed = failed or not (force and isinstance(error, NotFound))
    if failed:
        raise click.exceptions.Exit(1)


@verb(
    "tag",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    least=2,
    aliases=("minidock image tag", "minidock tag"),
    examples="minidock tag busybox:latest registry.example.org/team/busybox:1",
)
def tag(arguments: list[str]) -> None:
    try:
        context.engine().tag(arguments[0], arguments[1])
    except MinidockError as error:
        if not error.message.startswith("invalid reference format"):
            raise
        import re

        wrong = next((name for name in arguments if not re.fullmatch(r"[a-z0-9][\w./:@-]*", name)), arguments[1])
        sentence = f'Error parsing reference: "{wrong}" is not a valid repository/tag: {error.message}'
        raise Complaint(sentence, 1) from error
