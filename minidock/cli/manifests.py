"""manifest: what registries have, and lists of images for several platforms."""

from __future__ import annotations

import json

import click

from ..errors import MinidockError
from . import context
from .commands import UNLIMITED, Complaint, verb
from .flags import boolean, many, text

INSECURE = boolean("insecure", "", "Allow communication with an insecure registry")


class _bare:
    """Errors without `Error:` before them: Docker's client says these itself."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MinidockError):
            raise Complaint(error.message, 1) from error


@verb(
    "inspect",
    "Display an image manifest, or manifest list",
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    flags=[INSECURE, boolean("verbose", "v", "Output additional info including layers and platform")],
    least=1,
    most=2,
    examples="minidock manifest inspect --verbose registry.example.org:5000/team/app:1.2",
)
def inspect(arguments: list[str], insecure: bool, verbose: bool) -> None:
    listed = arguments[0] if len(arguments) > 1 else ""
    with _bare():
        found = context.engine().inspect_manifest(arguments[-1], listed=listed, verbose=verbose, insecure=insecure)
    # Docker writes a list with three blanks, everything else with tabs.
    indent = "   " if isinstance(found, dict) and "manifests" in found else "\t"
    print(json.dumps(found, indent=indent, ensure_ascii=False))


@verb(
    "create",
    "Create a local manifest list for annotating and pushing to a registry",
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    flags=[boolean("amend", "a", "Amend an existing manifest list"), INSECURE],
    least=2,
    most=UNLIMITED,
    examples="""
        minidock manifest create registry.example.org/app:1 registry.example.org/app:1-amd64 \\
            registry.example.org/app:1-arm64
        minidock manifest push --purge registry.example.org/app:1
    """,
)
def create(arguments: list[str], amend: bool, insecure: bool) -> None:
    with _bare():
        name = context.engine().create_manifest_list(arguments[0], arguments[1:], amend=amend, insecure=insecure)
    print(f"Created manifest list {name}")


@verb(
    "annotate",
    "Add additional information to a local image manifest",
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    flags=[
        text("arch", "", "Set architecture"),
        text("os", "", "Set operating system"),
        many("os-features", "", "Set operating system feature", kind="strings"),
        text("os-version", "", "Set operating system version"),
        text("variant", "", "Set architecture variant"),
    ],
    least=2,
    examples="""
        minidock manifest annotate --arch arm --variant v7 registry.example.org/app:1 registry.example.org/app:1-armv7
    """,
)
def annotate(arguments: list[str], arch: str, os: str, os_features: list[str], os_version: str, variant: str) -> None:
    features = [one for word in os_features for one in word.split(",")]
    with _bare():
        context.engine().annotate_manifest(
            *arguments, system=os, architecture=arch, variant=variant, version=os_version, features=features
        )


@verb(
    "push",
    "Push a manifest list to a repository",
    "[OPTIONS] MANIFEST_LIST",
    flags=[
        boolean("insecure", "", "Allow push to an insecure registry"),
        boolean("purge", "p", "Remove the local manifest list after push"),
    ],
    least=1,
    examples="minidock manifest push --purge registry.example.org/app:1",
)
def push(arguments: list[str], insecure: bool, purge: bool) -> None:
    with _bare():
        print(
            context.engine().push_manifest_list(
                arguments[0], insecure=insecure, purge=purge, say=lambda line: print(line, flush=True)
            )
        )


@verb(
    "rm",
    "Delete one or more manifest lists from local storage",
    "MANIFEST_LIST [MANIFEST_LIST...]",
    least=1,
    most=UNLIMITED,
    examples="minidock manifest rm registry.example.org/app:1",
)
def rm(arguments: list[str]) -> None:
    engine = context.engine()
    failed = False
    for name in arguments:
        try:
            engine.remove_manifest_list(name)
        except MinidockError as error:
            context.say(error.message)
            failed = True
    if failed:
        raise click.exceptions.Exit(1)
