"""inspect: everything known about containers, images, networks and volumes, as JSON or through a Go template."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..errors import MinidockError, NotFound
from . import context, of_platform
from .commands import UNLIMITED, Complaint, told, verb
from .flags import boolean, go_quote, text

if TYPE_CHECKING:
    from ..engine import Engine

Find = Callable[[str], dict[str, Any]]

FORMAT = text(
    "format",
    "f",
    "Format output using a custom template:\n'json': Print in JSON format\n"
    "'TEMPLATE': Print output using the given Go template",
)
SIZE = boolean("size", "s", "Display total file sizes")
KERNEL = boolean("kernel", "", "Show what the kernel has of the container, with the command to see each of it")
KINDS = ("config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume")
"""What Docker's inspect knows; minidock those that `finders` in `inspect` has."""


@verb(
    "inspect",
    "Return low-level information on minidock objects",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    flags=[
        FORMAT,
        KERNEL,
        boolean("size", "s", "Display total file sizes if the type is container"),
        text("type", "", "Only inspect objects of the given type"),
    ],
    least=1,
    most=UNLIMITED,
    examples="""
        minidock inspect web
        minidock inspect -f '{{.State.Pid}} {{json .HostConfig.PortBindings}}' web
        minidock inspect --type image busybox
        minidock inspect --kernel web
    """,
)
def inspect(arguments: list[str], format: str, kernel: bool, size: bool, type: str) -> None:
    if kernel:
        _kernel(arguments, format)
        return
    if type and type not in KINDS:
        raise Complaint(f'unknown type: "{type}": must be one of {", ".join(map(go_quote, KINDS))}', 1)
    engine = context.engine()
    finders = {
        "container": _container(engine, size),
        "image": engine.inspect_image,
        "network": engine.inspect_network,
        "volume": _volume(engine),
    }
    if type and type not in finders:
        raise Complaint(f"inspect --type {type} is not supported by this version of minidock", 1)
    show(arguments, format, finders[type] if type else _either(list(finders.values())))


@verb(
    "inspect",
    "Display detailed information on one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    flags=[FORMAT, KERNEL, SIZE],
    least=1,
    most=UNLIMITED,
    examples="""
        minidock container inspect web
        minidock container inspect --kernel web
    """,
)
def container_inspect(arguments: list[str], format: str, kernel: bool, size: bool) -> None:
    if kernel:
        _kernel(arguments, format)
        return
    show(arguments, format, _container(context.engine(), size))


@verb(
    "inspect",
    "Display detailed information on one or more images",
    "[OPTIONS] IMAGE [IMAGE...]",
    flags=[FORMAT, of_platform.flag("Inspect a specific platform of the image")],
    least=1,
    most=UNLIMITED,
    examples="minidock image inspect busybox",
)
def image_inspect(arguments: list[str], format: str, platform: str) -> None:
    engine = context.engine()

    def find(name: str) -> dict[str, Any]:
        of_platform.check(engine, [name], platform)
        return engine.inspect_image(name)

    show(arguments, format, find)


def _kernel(names: list[str], form: str) -> None:
    from . import inspect_kernel

    inspect_kernel.show(names, form)


def _container(engine: Engine, size: bool) -> Find:
    def find(name: str) -> dict[str, Any]:
        found = engine.inspect(name)
        if size:
            [row] = engine.containers(all=True, filters={"id": [found["Id"]]}, size=True)
            found |= {"SizeRw": row.size_rw, "SizeRootFs": row.size_root_fs}
        return _typed(found)

    return find


def _volume(engine: Engine) -> Find:
    from .volumes import shown

    return lambda name: shown(engine.inspect_volume(name))


def _typed(found: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {
        name: Typed(found[name], OMITTED[name]) for name in ("HostConfig", "Config", "State") if name in found
    }
    if "Mounts" in found:
        parts["Mounts"] = [Typed(mount, OMITTED["Mounts"]) for mount in found["Mounts"]]
    return Typed({**found, **parts}, OMITTED["."])


OMITTED: dict[str, dict[str, object]] = {
    ".": dict.fromkeys(("SizeRw", "SizeRootFs")),
    "State": {"Health": None},
    "Mounts": {"Name": "", "Driver": ""},
    "HostConfig": dict.fromkeys(("StorageOpt", "Tmpfs", "Sysctls", "Annotations", "Mounts", "Init")),
    "Config": {
        **dict.fromkeys(("Healthcheck", "StopTimeout", "Shell", "ExposedPorts")),
        "MacAddress": "",
        "StopSignal": "",
        "NetworkDisabled": False,
    },
}
"""What JSON leaves out when it is empty, and a template finds all the same: it looks at Go's struct."""


class Typed(dict[str, Any]):
    """A dictionary that has more members when they are asked for by name."""

    def __init__(self, members: dict[str, Any], omitted: dict[str, object]) -> None:
        super().__init__(members)
        self.omitted = omitted

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.omitted

    def __missing__(self, name: str) -> object:
        return self.omitted[name]


def _either(finders: Sequence[Find]) -> Find:
    """The first kind of thing that has the name."""

    def find(name: str) -> dict[str, Any]:
        for finder in finders:
            try:
                return finder(name)
            except NotFound:
                continue
        raise NotFound(f"No such object: {name}")

    return find


def show(names: list[str], form: str, find: Find) -> None:
    """Print what is found, then tell what isn't, and exit with 1 if anything isn't."""
    render = _renderer(form) if form else None
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for name in names:
        try:
            found.append(find(name))
        except MinidockError as error:
            problems.append(told(error))
    if render:
        # Nothing found is an empty line, as an empty list is `[]`.
        sys.stdout.write("".join(f"{render(thing)}\n" for thing in found) or "\n")
    else:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=4).decode() + "\n")
    sys.stdout.flush()
    for problem in problems:
        context.say(problem)
    if problems:
        raise click.exceptions.Exit(1)


def _renderer(form: str) -> Callable[[object], str]:
    """The template as a function. Codes are Docker's: 64 when it can't be read, 1 when it can't be followed."""
    from .gotemplate import TemplateError, parse, render

    try:
        template = parse("{{json .}}" if form == "json" else form)
    except TemplateError as error:
        raise Complaint(f"template parsing error: {error.message}", 64) from None
    nils = _nils()

    def apply(thing: object) -> str:
        try:
            return render(template, thing, nils=nils)
        except TemplateError as error:
            raise Complaint(f"template parsing error: {error.message}", 1) from None

    return apply


def _nils() -> dict[str, str]:
    """How a null prints, by the name of its field: Go knows from its types whether it is a list, a map or a pointer."""
    from ..model.container import ContainerConfig
    from ..model.host import HostConfig
    from ..model.network import EndpointSettings

    texts = {}
    for struct in (EndpointSettings, HostConfig, ContainerConfig):
        for field in msgspec.structs.fields(struct):
            shape = str(field.type)
            texts[field.encode_name] = (
                "[]" if "list[" in shape.split("dict")[0] else "map[]" if "dict" in shape else "<nil>"
            )
    lists = dict.fromkeys(("ExecIDs", "Mounts", "RepoTags", "RepoDigests"), "[]")
    return texts | lists | dict.fromkeys(("Health", "SizeRw", "SizeRootFs"), "<nil>")
