"""volume create, ls, inspect, rm and prune."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from ..errors import UsageError
from . import context
from .commands import UNLIMITED, Complaint, Entry, Noun, verb
from .flags import boolean, many, refused, text
from .parse_env import key_values
from .tables import Columns, Listing, group_filters, parse_filter

if TYPE_CHECKING:
    from ..model.volume import Volume

volume = Noun(
    "volume",
    "Manage volumes",
    {
        "create": Entry("volumes:create", "Create a volume"),
        "inspect": Entry("volumes:inspect", "Display detailed information on one or more volumes"),
        "ls": Entry("volumes:ls", "List volumes"),
        "prune": Entry("volumes:prune", "Remove unused local volumes"),
        "rm": Entry("volumes:rm", "Remove one or more volumes"),
    },
    also={"list": "ls", "remove": "rm"},
    usage="COMMAND",
)

HEADERS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Availability": "AVAILABILITY",
    "Status": "STATUS",
    "Group": "GROUP",
}
RAW = [("name", "Name"), ("driver", "Driver")]
FILTERS: Mapping[str, tuple[str, ...] | None] = dict.fromkeys(("dangling", "driver", "label", "name"))


@verb(
    "create",
    "Create a volume",
    "[OPTIONS] [VOLUME]",
    flags=[
        text("driver", "d", "Specify volume driver name", default="local"),
        many("label", "", "Set metadata for a volume"),
        many("opt", "o", "Set driver specific options (type, o, device: what mount(8) would be told)", kind="map"),
        text("name", "", "Specify volume name"),
        *(refused(name) for name in ("availability", "group", "limit-bytes", "required-bytes", "scope", "secret")),
        *(refused(name) for name in ("sharing", "topology-preferred", "topology-required", "type")),
    ],
    least=0,
    most=1,
    examples="""
        minidock volume create data
        minidock volume create -o type=tmpfs -o device=tmpfs -o o=size=100m scratch
        minidock volume create -o type=none -o o=bind -o device=/srv/data data
    """,
)
def create(arguments: list[str], driver: str, label: list[str], opt: list[str], name: str) -> None:
    if arguments and name:
        text = "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        raise Complaint(text, 1)
    wanted = arguments[0] if arguments else name
    made = context.engine().create_volume(wanted, driver=driver, options=key_values(opt), labels=key_values(label))
    print(made.name)


@verb(
    "ls",
    "List volumes",
    "[OPTIONS]",
    flags=[
        many("filter", "f", 'Provide filter values (e.g. "dangling=true")', kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display volume names"),
        refused("cluster", kind=""),
    ],
    aliases=("minidock volume ls", "minidock volume list"),
    examples="""
        minidock volume ls
        minidock volume ls --filter dangling=true -q
    """,
)
def ls(filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    found = context.engine().volumes(filters=group_filters(filter, FILTERS))
    if quiet and not format:
        for one in found:
            print(one.name)
        return
    listing = Listing("volumeContext", HEADERS, raw=RAW, methods=label_method)
    listing.show([columns(one) for one in found], ["Driver", "Name"], format)


def label_method(row: Columns) -> Mapping[str, Callable[..., object]]:
    """`{{.Label "kind"}}`, of the labels in the row."""
    labels = dict(word.partition("=")[::2] for word in str(row["Labels"]()).split(","))
    return {"Label": lambda name: labels.get(name, "")}


def columns(one: Volume) -> Columns:
    labels = ",".join(f"{key}={value}" for key, value in (one.labels or {}).items())
    absent = dict.fromkeys(("Links", "Size", "Availability", "Status", "Group"), lambda: "N/A")
    return {
        "Driver": lambda: one.driver,
        "Name": lambda: one.name,
        "Scope": lambda: one.scope,
        "Mountpoint": lambda: one.mountpoint,
        "Labels": lambda: labels,
        **absent,
    }


@verb(
    "inspect",
    "Display detailed information on one or more volumes",
    "[OPTIONS] VOLUME [VOLUME...]",
    flags=[text("format", "f", "Format output using a custom template: 'json', or a Go template")],
    least=1,
    most=UNLIMITED,
    examples="minidock volume inspect -f '{{.Mountpoint}}' data",
)
def inspect(arguments: list[str], format: str) -> None:
    from .inspect import show

    engine = context.engine()
    show(arguments, format, lambda name: shown(engine.inspect_volume(name)))


def shown(one: Volume) -> dict[str, object]:
    """In the order of Docker's client: by the fields' names."""
    found: dict[str, object] = msgspec.to_builtins(one)
    return {key: found[key] for key in sorted(found)}


@verb(
    "rm",
    "Remove one or more volumes. You cannot remove a volume that is in use by a container",
    "[OPTIONS] VOLUME [VOLUME...]",
    flags=[boolean("force", "f", "Force the removal of one or more volumes: one that isn't there is no error")],
    least=1,
    most=UNLIMITED,
    aliases=("minidock volume rm", "minidock volume remove"),
    examples="minidock volume rm data",
)
def rm(arguments: list[str], force: bool) -> None:
    engine = context.engine()
    context.fail_after(context.each(arguments, lambda name: engine.remove_volume(name, force=force)))


@verb(
    "prune",
    "Remove unused local volumes",
    "[OPTIONS]",
    flags=[
        boolean("all", "a", "Remove all unused volumes, not just anonymous ones"),
        many("filter", "", 'Provide filter values (e.g. "label=<label>")', kind="filter", parse=parse_filter),
        boolean("force", "f", "Do not prompt for confirmation"),
    ],
    examples="minidock volume prune -f --filter label=scratch",
)
def prune(all: bool, filter: list[tuple[str, str]], force: bool) -> None:
    from .units import human_size

    filters = group_filters(filter, dict.fromkeys(("all", "label", "label!")))
    if all and "all" in filters:
        raise UsageError("conflicting options: cannot specify both --all and --filter all=1")
    which = "all" if all else "anonymous"
    if not force and not context.confirm(
        f"WARNING! This will remove {which} local volumes not used by at least one container."
    ):
        return
    removed, freed = context.engine().prune_volumes(filters={**filters, **({"all": ["1"]} if all else {})})
    if removed:
        print("Deleted Volumes:")
        print("\n".join(removed) + "\n")
    print(f"Total reclaimed space: {human_size(freed)}")
