"""pull, push and search: images from and to registries."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import MinidockError, UsageError
from . import context, of_platform
from .commands import Complaint, verb
from .flags import boolean, explain, foretelling, many, number, text
from .tables import FORMAT_HELP, Columns, Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..model.events import Progress

TRUST = boolean("disable-content-trust", "", "Skip image verification (there is nothing to skip)", default=True)
"""Notary's signatures, which Docker itself gives up: off is the default there, too."""


def check_trust(wanted: bool) -> None:
    if not wanted:
        raise Complaint("--disable-content-trust=false is not supported by this version of minidock", 125)


@verb(
    "pull",
    "Download an image from a registry",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    flags=[
        boolean("all-tags", "a", "Download all tagged images in the repository"),
        TRUST,
        text("platform", "", "Set platform if server is multi-platform capable"),
        boolean("quiet", "q", "Suppress verbose output"),
        explain("Tell each step as it happens: what is asked, fetched and unpacked (=json, =html)"),
        *foretelling(),
    ],
    least=1,
    aliases=("minidock image pull", "minidock pull"),
    examples="""
        minidock pull debian
        minidock pull --platform linux/arm64 registry.example.org:5000/team/app:1.2
        minidock pull -q app@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945
    """,
)
def pull(
    arguments: list[str],
    all_tags: bool,
    disable_content_trust: bool,
    platform: str,
    quiet: bool,
    explain: str,
    dry_run: bool,
    as_shell: bool,
) -> None:
    from .telling import foretell, narrating

    check_trust(disable_content_trust)
    name = arguments[0]
    if dry_run or as_shell:
        if all_tags:
            raise UsageError("--dry-run and --as-shell tell of one tag, not of --all-tags")
        with in_plain_words():
            return foretell(context.engine().foretell_pull(name, platform=platform), as_shell=as_shell)
    if not quiet and not all_tags and _lacks_tag(name):
        print("Using default tag: latest", flush=True)
    show = _display(quiet or bool(explain))  # a live view would be painted over what is told
    with in_plain_words(), narrating(explain) as told:
        engine = context.engine()
        print(engine.pull(name, all_tags=all_tags, platform=platform, tell=show, narrator=told), flush=True)
    return None


@verb(
    "push",
    "Upload an image to a registry",
    "[OPTIONS] NAME[:TAG]",
    flags=[
        boolean("all-tags", "a", "Push all tags of an image to the repository"),
        TRUST,
        boolean("quiet", "q", "Suppress verbose output"),
        of_platform.flag("Push a platform-specific manifest as a single-platform image to the registry"),
    ],
    least=1,
    aliases=("minidock image push", "minidock push"),
    examples="""
        minidock push registry.example.org:5000/team/app:1.2
        minidock push --all-tags registry.example.org:5000/team/app
    """,
)
def push(arguments: list[str], all_tags: bool, disable_content_trust: bool, platform: str, quiet: bool) -> None:
    check_trust(disable_content_trust)
    name, engine = arguments[0], context.engine()
    of_platform.check(engine, [name], platform)
    untagged = not all_tags and _lacks_tag(name)
    if untagged and not quiet:
        print("Using default tag: latest", flush=True)
    with in_plain_words():
        engine.push(name, all_tags=all_tags, tell=_display(quiet))
    if quiet:
        print(f"{name}:latest" if untagged else name, flush=True)


def _lacks_tag(name: str) -> bool:
    """Has it neither tag nor digest? What isn't a name at all is told by the engine, without a word before."""
    import re

    return re.fullmatch(r"[^A-Z@/]+(/[^A-Z@/]+)*", name) is not None and ":" not in name.rpartition("/")[2]


def _display(quiet: bool) -> Callable[[Progress], None]:
    if quiet:
        return nothing
    from .progress import Display

    return Display(sys.stdout)


def nothing(progress: Progress) -> None:
    """--quiet."""


class in_plain_words:
    """What the flags and the name can't be is told without `Error:` before it, as Docker's client does."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UsageError):
            raise Complaint(error.message, 1) from error


# search

SEARCH_HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
SEARCH_FILTERS = ("is-automated", "is-official", "stars")
SHORT = 45
"""Characters of a description that are shown without --no-trunc."""


@verb(
    "search",
    "Search Docker Hub for images",
    "[OPTIONS] TERM",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter"),
        text("format", "", FORMAT_HELP),
        number("limit", "", "Max number of search results"),
        boolean("no-trunc", "", "Don't truncate output"),
    ],
    least=1,
    examples="""
        minidock search debian
        minidock search --filter is-official=true --limit 5 python
    """,
)
def search(arguments: list[str], filter: list[str], format: str, limit: int, no_trunc: bool) -> None:
    keep = [_search_filter(*word.partition("=")[::2]) for word in filter]
    hits = context.engine().search(arguments[0], limit=limit)
    rows = [_hit(hit, no_trunc) for hit in hits if all(fits(hit) for fits in keep)]
    Listing("SearchContext", SEARCH_HEADERS).show(rows, ["Name", "Description", "StarCount", "IsOfficial"], format)


def _search_filter(key: str, value: str) -> Callable[[dict[str, Any]], bool]:
    if key not in SEARCH_FILTERS:
        raise MinidockError(f"Invalid filter '{key}'")
    if key == "stars":
        if not value.isdecimal():
            raise MinidockError(f"Invalid filter 'stars={value}'")
        return lambda hit: int(hit["star_count"]) >= int(value)
    if value not in ("true", "false", "1", "0"):
        raise MinidockError(f"Invalid filter '{key}={value}'")
    return lambda hit: bool(hit[key.replace("-", "_")]) == (value in ("true", "1"))


def _hit(hit: dict[str, Any], no_trunc: bool) -> Columns:
    description = " ".join((hit["description"] or "").split())
    if not no_trunc and len(description) > SHORT:
        description = description[: SHORT - 1] + "…"
    return {
        "Name": lambda: hit["name"],
        "Description": lambda: description,
        "StarCount": lambda: str(hit["star_count"]),
        "IsOfficial": partial(_ok, hit["is_official"]),
        "IsAutomated": partial(_ok, hit["is_automated"]),
    }


def _ok(value: bool) -> str:
    return "[OK]" if value else ""
