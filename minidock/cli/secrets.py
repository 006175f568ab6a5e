"""secret create, inspect, ls and rm."""

from __future__ import annotations

from . import kept
from .commands import UNLIMITED, Entry, Noun, verb
from .flags import boolean, many, refused, text
from .tables import parse_filter

secret = Noun(
    "secret",
    "Manage Swarm secrets",
    {
        "create": Entry("secrets:create", "Create a secret from a file or STDIN as content"),
        "inspect": Entry("secrets:inspect", "Display detailed information on one or more secrets"),
        "ls": Entry("secrets:ls", "List secrets"),
        "rm": Entry("secrets:rm", "Remove one or more secrets"),
    },
    also={"list": "ls", "remove": "rm"},
    usage="COMMAND",
)


@verb(
    "create",
    "Create a secret from a file or STDIN as content",
    "[OPTIONS] SECRET [file|-]",
    flags=[
        refused("driver", "d", why="can't be honoured: minidock has no plugins that keep secrets"),
        many("label", "l", "Secret labels"),
        text("template-driver", "", "Template driver"),
    ],
    least=1,
    most=2,
    examples="""
        minidock secret create password ./password.txt
        printf 'some words' | minidock secret create words -
    """,
)
def create(arguments: list[str], label: list[str], template_driver: str) -> None:
    kept.create("secret", arguments, label, template_driver)


@verb(
    "inspect",
    "Display detailed information on one or more secrets",
    "[OPTIONS] SECRET [SECRET...]",
    flags=[
        text("format", "f", "Format output using a custom template: 'json', or a Go template"),
        boolean("pretty", "", "Print the information in a human friendly format"),
    ],
    least=1,
    most=UNLIMITED,
    examples="minidock secret inspect --pretty words",
)
def inspect(arguments: list[str], format: str, pretty: bool) -> None:
    kept.inspect("secret", arguments, format, pretty)


@verb(
    "ls",
    "List secrets",
    "[OPTIONS]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display IDs"),
    ],
    aliases=("minidock secret ls", "minidock secret list"),
    examples="minidock secret ls --filter label=stage",
)
def ls(filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    kept.ls("secret", filter, format, quiet)


@verb(
    "rm",
    "Remove one or more secrets",
    "SECRET [SECRET...]",
    least=1,
    most=UNLIMITED,
    aliases=("minidock secret rm", "minidock secret remove"),
    examples="minidock secret rm words",
)
def rm(arguments: list[str]) -> None:
    kept.rm("secret", arguments)
