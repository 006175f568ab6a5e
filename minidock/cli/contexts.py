"""context: daemons by name. The store is Docker's own, so whatever is done here, its client sees, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MinidockError, UsageError
from . import context, context_endpoint
from .commands import UNLIMITED, Complaint, verb
from .flags import boolean, many, text
from .inspect import FORMAT, show
from .tables import FORMAT_HELP, Listing

if TYPE_CHECKING:
    from ..daemon.client.contexts import Context, Store

HEADERS = {"Name": "NAME", "Description": "DESCRIPTION", "DockerEndpoint": "DOCKER ENDPOINT", "Error": "ERROR"}
FROM_ENVIRONMENT = "Current DOCKER_HOST based configuration"
HERE = "This host, without a daemon"
OVERRIDES = (
    "Warning: DOCKER_HOST environment variable overrides the active context. To use {}, either set the global "
    "--context flag, or unset DOCKER_HOST environment variable."
)
DOCKER = many(
    "docker",
    "",
    "set the docker endpoint: host=URL,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=true",
    kind="stringToString",
)
Result = TypeVar("Result")


def store() -> Store:
    from ..daemon.client import contexts

    return contexts.Store(contexts.config_directory(context.settings().config, os.environ))


def plainly(action: Callable[[], Result]) -> Result:
    """Errors as Docker prints these: without anything in front."""
    try:
        return action()
    except MinidockError as error:
        raise Complaint(error.message, 1) from error


def environment_host() -> str:
    return os.environ.get("MINIDOCK_HOST") or os.environ.get("DOCKER_HOST", "")


def current(contexts: Store) -> str:
    """The name of the one that commands use, as far as a name decides it."""
    from ..daemon.client.contexts import DEFAULT

    asked = context.settings()
    if asked.context or asked.host or environment_host():
        return asked.context or DEFAULT
    return contexts.current(os.environ)


def default() -> Context:
    from ..daemon.client.contexts import DEFAULT, Context

    host = environment_host()
    return Context(DEFAULT, host, FROM_ENVIRONMENT if host else HERE)


def find(contexts: Store, name: str) -> Context:
    from ..daemon.client.contexts import DEFAULT

    return default() if name == DEFAULT else contexts.read(name)


# Looking


@verb(
    "ls",
    "List contexts",
    "[OPTIONS]",
    flags=[text("format", "", FORMAT_HELP), boolean("quiet", "q", "Only show context names")],
    aliases=("minidock context ls", "minidock context list"),
    examples="""
        minidock context ls
        minidock context ls --format '{{.Name}} {{.DockerEndpoint}}'
    """,
)
def ls(format: str, quiet: bool) -> None:
    contexts = store()
    found = sorted([default(), *plainly(contexts.all)], key=lambda each: each.name)
    if quiet:
        print("".join(f"{each.name}\n" for each in found), end="")
        return
    used = current(contexts)
    table = not format or format.startswith("table")
    rows: list[dict[str, Any]] = [
        {
            "Name": f"{each.name} *" if table and each.name == used else each.name,
            "Description": each.description,
            "DockerEndpoint": each.host,
            "Error": "",
            "Current": each.name == used,
        }
        for each in found
    ]
    Listing("clientContextContext", HEADERS).show(
        ({name: partial(row.__getitem__, name) for name in row} for row in rows), list(HEADERS), format
    )
    if environment_host() and used == "default":
        sys.stdout.flush()
        context.say(OVERRIDES.format("a context"))


@verb("show", "Print the name of the current context", examples="minidock context show")
def show_(**_: object) -> None:
    contexts = store()
    name = current(contexts)
    plainly(lambda: find(contexts, name))
    print(name)


@verb(
    "inspect",
    "Display detailed information on one or more contexts",
    "[OPTIONS] [CONTEXT] [CONTEXT...]",
    flags=[FORMAT],
    most=UNLIMITED,
    examples="minidock context inspect -f '{{.Endpoints.docker.Host}}' lab",
)
def inspect(arguments: list[str], format: str) -> None:
    contexts = store()

    def described(name: str) -> dict[str, Any]:
        found = find(contexts, name)
        tls = sorted(contexts.tls_files(name))
        memory = name == "default"
        return {
            **found.document(),
            **({"Metadata": {}} if memory else {}),
            "TLSMaterial": {"docker": tls} if tls else {},
            "Storage": {
                "MetadataPath": "<IN MEMORY>" if memory else str(contexts.path(name).parent),
                "TLSPath": "<IN MEMORY>" if memory else str(contexts.tls_directory(name).parent),
            },
        }

    def bare(name: str) -> dict[str, Any]:
        try:
            return described(name)
        except MinidockError as error:
            error.lead = ""
            raise

    show(arguments or [current(contexts)], format, bare)


# Changing


@verb(
    "create",
    "Create a context",
    "[OPTIONS] CONTEXT",
    flags=[
        text("description", "", "Description of the context"),
        DOCKER,
        text("from", "", "create context from a named context"),
    ],
    least=1,
    examples="""
        minidock context create lab --docker host=ssh://user@lab.example.org
        minidock context create box --docker host=tcp://box:2376,ca=ca.pem,cert=cert.pem,key=key.pem
    """,
)
def create(arguments: list[str], description: str, docker: list[str], **more: str) -> None:
    from ..daemon.client import contexts as module

    [name] = arguments
    plainly(lambda: module.check_name(name))
    contexts = store()
    if contexts.exists(name):
        raise Complaint(f'context "{name}" already exists', 1)
    if more["from"] or not docker:
        base = plainly(lambda: find(contexts, more["from"] or "default"))
        made, tls = base, contexts.tls_files(base.name)
    else:
        made, tls = plainly(lambda: context_endpoint.read(contexts, module.Context(name, ""), docker))
    contexts.write(_renamed(made, name, description), tls)
    done(name, f'Successfully created context "{name}"')


@verb(
    "update",
    "Update a context",
    "[OPTIONS] CONTEXT",
    flags=[text("description", "", "Description of the context"), DOCKER],
    least=1,
    examples="minidock context update lab --description 'the machine in the corner'",
)
def update(arguments: list[str], description: str, docker: list[str]) -> None:
    from ..daemon.client import contexts as module

    [name] = arguments
    plainly(lambda: module.check_name(name))
    contexts = store()
    found = plainly(lambda: contexts.read(name))
    tls = None
    if docker:
        found, tls = plainly(lambda: context_endpoint.read(contexts, found, docker))
    contexts.write(_renamed(found, name, description), tls)
    done(name, f'Successfully updated context "{name}"')


def _renamed(found: Context, name: str, description: str) -> Context:
    import msgspec

    from ..daemon.client.endpoint import LOCAL

    told = description or (FROM_ENVIRONMENT if found.description == HERE else found.description)
    return msgspec.structs.replace(found, name=name, description=told, host=found.host or LOCAL)


def done(name: str, sentence: str) -> None:
    print(name, flush=True)
    context.say(sentence)


@verb("use", "Set the current docker context", "CONTEXT", least=1, examples="minidock context use lab")
def use(arguments: list[str]) -> None:
    [name] = arguments
    contexts = store()
    plainly(lambda: find(contexts, name))
    plainly(lambda: contexts.use(name))
    done(name, f'Current context is now "{name}"')
    if name != "default" and environment_host():
        context.say(OVERRIDES.format(f'"{name}"'))


@verb(
    "rm",
    "Remove one or more contexts",
    "CONTEXT [CONTEXT...]",
    flags=[boolean("force", "f", "Force the removal of a context in use")],
    least=1,
    most=UNLIMITED,
    aliases=("minidock context rm", "minidock context remove"),
    examples="minidock context rm lab",
)
def rm(arguments: list[str], force: bool) -> None:
    contexts = store()
    failed = []
    for name in arguments:
        try:
            _remove(contexts, name, force)
        except UsageError as error:
            context.say(error.message)
            failed.append(name)
        else:
            print(name, flush=True)
    context.fail_after(failed)


def _remove(contexts: Store, name: str, force: bool) -> None:
    if name == "default":
        raise UsageError('context "default" cannot be removed')
    if not contexts.exists(name) and not force:
        raise UsageError(f'context "{name}" does not exist')
    if name == current(contexts):
        if not force:
            raise UsageError(f'context "{name}" is in use, set -f flag to force remove')
        contexts.use("default")
    contexts.remove(name)
