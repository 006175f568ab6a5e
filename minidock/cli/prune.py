"""prune: remove what nobody uses, after asking, and tell what went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import context
from .commands import Complaint, verb
from .flags import boolean, many
from .tables import group_filters, parse_filter
from .units import human_size, moment

FORCE = boolean("force", "f", "Do not prompt for confirmation")


@verb(
    "prune",
    "Remove all stopped containers",
    "[OPTIONS]",
    flags=[
        many("filter", "", 'Provide filter values (e.g. "until=<timestamp>")', kind="filter", parse=parse_filter),
        boolean("force", "f", "Do not prompt for confirmation"),
    ],
    examples="""
        minidock container prune
        minidock container prune -f --filter until=24h --filter label!=keep
    """,
)
def container_prune(filter: list[tuple[str, str]], force: bool) -> None:
    filters = until_moment(group_filters(filter, dict.fromkeys(("label", "label!", "until"))))
    if not force and not context.confirm("WARNING! This will remove all stopped containers."):
        return
    pruned = context.engine().prune_containers(filters)
    if pruned.containers_deleted:
        print("Deleted Containers:", *pruned.containers_deleted, "", sep="\n")
    print(f"Total reclaimed space: {human_size(pruned.space_reclaimed, digits=4)}")


def until_moment(filters: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same with `until` in seconds since 1970."""
    if "until" in filters:
        filters["until"] = [_moment(value) for value in filters["until"]]
    return filters


def _moment(raw: str) -> str:
    from ..errors import UsageError

    try:
        return str(moment(raw, "until"))
    except UsageError:
        raise UsageError(f'failed to parse value as time or duration: "{raw}"') from None


@verb(
    "prune",
    "Remove unused images",
    "[OPTIONS]",
    flags=[
        boolean("all", "a", "Remove all unused images, not just dangling ones"),
        many("filter", "", 'Provide filter values (e.g. "until=<timestamp>")', kind="filter", parse=parse_filter),
        FORCE,
    ],
    examples="""
        minidock image prune
        minidock image prune -a --filter until=24h
    """,
)
def image_prune(all: bool, filter: list[tuple[str, str]], force: bool) -> None:
    what = "all images without at least one container associated to them" if all else "all dangling images"
    if not force and not context.confirm(f"WARNING! This will remove {what}."):
        return
    filters = grouped(filter)
    filters["dangling"] = ["false" if all else "true"]
    rows, space = context.engine().prune_images(filters)
    tell("Deleted Images:", _images(rows))
    print(f"Total reclaimed space: {human_size(space, digits=4)}")


@verb(
    "prune",
    "Remove unused data",
    "[OPTIONS]",
    flags=[
        boolean("all", "a", "Remove all unused images not just dangling ones"),
        many("filter", "", 'Provide filter values (e.g. "label=<key>=<value>")', kind="filter", parse=parse_filter),
        FORCE,
        boolean("volumes", "", "Prune anonymous volumes"),
    ],
    examples="""
        minidock system prune
        minidock system prune -a --volumes
    """,
)
def system_prune(all: bool, filter: list[tuple[str, str]], force: bool, volumes: bool) -> None:
    filters = grouped(filter)
    if volumes and "until" in filters:
        raise Complaint('ERROR: The "until" filter is not supported with "--volumes"', 1)
    if not force and not context.confirm(_warning(all, volumes, filter)):
        return
    gone = context.engine().prune(all=all, volumes=volumes, filters=filters)
    tell("Deleted Containers:", gone.containers)
    tell("Deleted Networks:", gone.networks)
    tell("Deleted Volumes:", gone.volumes)
    tell("Deleted Images:", _images(gone.images))
    tell("Deleted build cache objects:", gone.build_cache)
    print(f"Total reclaimed space: {human_size(gone.space, digits=4)}")


def _warning(all: bool, volumes: bool, filters: list[tuple[str, str]]) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    lines += ["all anonymous volumes not used by at least one container"] if volumes else []
    lines += ["all images without at least one container associated to them"] if all else ["all dangling images"]
    lines.append("all build cache" if all else "unused build cache")
    text = "WARNING! This will remove:\n" + "".join(f"  - {line}\n" for line in lines)
    if filters:
        text += "\n  Items to be pruned will be filtered with:\n"
        text += "".join(sorted(f"  - {name}={value}\n" for name, value in filters))
    return text


def grouped(words: list[tuple[str, str]]) -> dict[str, list[str]]:
    """By name; `until` as seconds since 1970. `label!=x` is a filter of its own."""
    found: dict[str, list[str]] = {}
    for name, value in words:
        if name:
            given = str(moment(value, "until")) if name == "until" else value
            found.setdefault(name, []).append(given)
    return found


def tell(title: str, lines: Iterable[str]) -> None:
    """A list under its title; nothing when there is nothing."""
    if lines := list(lines):
        print("\n".join([title, *lines]) + "\n")


VERBS: Mapping[str, str] = {"Untagged": "untagged", "Deleted": "deleted"}


def _images(rows: list[tuple[str, str]]) -> list[str]:
    return [f"{VERBS[what]}: {which}" for what, which in rows]
