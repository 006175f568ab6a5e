"""config create, inspect, ls and rm."""

from __future__ import annotations

from . import kept
from .commands import UNLIMITED, Entry, Noun, verb
from .flags import boolean, many, text
from .tables import parse_filter

config = Noun(
    "config",
    "Manage Swarm configs",
    {
        "create": Entry("configs:create", "Create a config from a file or STDIN"),
        "inspect": Entry("configs:inspect", "Display detailed information on one or more configs"),
        "ls": Entry("configs:ls", "List configs"),
        "rm": Entry("configs:rm", "Remove one or more configs"),
    },
    also={"list": "ls", "remove": "rm"},
    usage="COMMAND",
)


@verb(
    "create",
    "Create a config from a file or STDIN",
    "[OPTIONS] CONFIG file|-",
    flags=[
        many("label", "l", "Config labels"),
        text("template-driver", "", "Template driver"),
    ],
    least=2,
    most=2,
    examples="""
        minidock config create nginx ./nginx.conf
        printf 'some words' | minidock config create words -
    """,
)
def create(arguments: list[str], label: list[str], template_driver: str) -> None:
    kept.create("config", arguments, label, template_driver)


@verb(
    "inspect",
    "Display detailed information on one or more configs",
    "[OPTIONS] CONFIG [CONFIG...]",
    flags=[
        text("format", "f", "Format output using a custom template: 'json', or a Go template"),
        boolean("pretty", "", "Print the information in a human friendly format"),
    ],
    least=1,
    most=UNLIMITED,
    examples="minidock config inspect --pretty words",
)
def inspect(arguments: list[str], format: str, pretty: bool) -> None:
    kept.inspect("config", arguments, format, pretty)


@verb(
    "ls",
    "List configs",
    "[OPTIONS]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display IDs"),
    ],
    aliases=("minidock config ls", "minidock config list"),
    examples="minidock config ls --filter label=stage",
)
def ls(filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    kept.ls("config", filter, format, quiet)


@verb(
    "rm",
    "Remove one or more configs",
    "CONFIG [CONFIG...]",
    least=1,
    most=UNLIMITED,
    aliases=("minidock config rm", "minidock config remove"),
    examples="minidock config rm words",
)
def rm(arguments: list[str]) -> None:
    kept.rm("config", arguments)
