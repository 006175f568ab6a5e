"""prune: remove what nobody uses, after asking."""

from __future__ import annotations

from . import context
from .commands import verb
from .flags import boolean, many
from .tables import group_filters, parse_filter
from .units import human_size


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
    filters = group_filters(filter, dict.fromkeys(("label", "label!", "until")))
    if "until" in filters:
        filters["until"] = [_moment(value) for value in filters["until"]]
    if not force and not context.confirm("WARNING! This will remove all stopped containers."):
        return
    pruned = context.engine().prune_containers(filters)
    if pruned.containers_deleted:
        print("Deleted Containers:", *pruned.containers_deleted, "", sep="\n")
    print(f"Total reclaimed space: {human_size(pruned.space_reclaimed, digits=4)}")


def _moment(raw: str) -> str:
    from ..errors import UsageError
    from .units import moment

    try:
        return str(moment(raw, "until"))
    except UsageError:
        raise UsageError(f'failed to parse value as time or duration: "{raw}"') from None
