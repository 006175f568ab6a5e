"""version and info."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click

from ..errors import NoDaemon
from . import context
from .commands import verb
from .inspect import FORMAT
from .units import human_size


@verb(
    "version",
    "Show the minidock version information",
    "[OPTIONS]",
    flags=[FORMAT],
    examples="""
        minidock version
        minidock version --format '{{.Server.KernelVersion}}'
    """,
)
def version(format: str) -> None:
    try:
        engine = context.engine().version()
    except NoDaemon:  # of the client there is something to tell all the same
        if not format:
            _show_version("Client:", _client(API_VERSION))
        raise
    client = _client(engine.get("ApiVersion", ""))
    if format:
        return _templated(format, {"Client": client, "Server": engine})
    _show_version("Client:", client)
    click.echo()
    _show_version(f"Server: {_whose(engine)}", engine)
    return None


API_VERSION = "1.44"
"""The newest that we speak."""


def _client(api: str) -> dict[str, Any]:
    from .. import __version__

    here = os.uname()
    return {
        "Version": __version__,
        "ApiVersion": api,
        "DefaultAPIVersion": API_VERSION,
        "Os": "linux",
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(here.machine, here.machine),
        "Context": context.name(),
    }


def _show_version(title: str, facts: dict[str, Any]) -> None:
    click.echo(title)
    for label, key in (
        ("Version:", "Version"),
        ("API version:", "ApiVersion"),
        ("Python version:", "PythonVersion"),
        ("Go version:", "GoVersion"),
        ("Kernel version:", "KernelVersion"),
    ):
        if facts.get(key):
            click.echo(f" {label:<18}{facts[key]}")
    click.echo(f" {'OS/Arch:':<18}{facts['Os']}/{facts['Arch']}")
    if facts.get("Context"):
        click.echo(f" {'Context:':<18}{facts['Context']}")


def _whose(engine: dict[str, Any]) -> str:
    """minidock, or what the daemon calls itself."""
    if context.is_here():
        return "minidock (in this command, no daemon)"
    return str((engine.get("Platform") or {}).get("Name") or "Docker Engine")


@verb(
    "info",
    "Display system-wide information",
    "[OPTIONS]",
    flags=[FORMAT],
    aliases=("minidock system info", "minidock info"),
    examples="""
        minidock info
        minidock info -f '{{.CgroupVersion}}'
    """,
)
def info(format: str) -> None:
    facts = context.engine().info()
    if format:
        return _templated(format, facts)
    for line in _lines(facts):
        click.echo(line)
    for warning in facts.get("Warnings") or []:
        context.say(f"WARNING: {warning}")
    return None


ROWS = (
    *(("Containers", "Containers"), (" Running", "ContainersRunning"), (" Paused", "ContainersPaused")),
    *((" Stopped", "ContainersStopped"), ("Images", "Images"), ("Server Version", "ServerVersion")),
    *(("Storage Driver", "Driver"), ("Logging Driver", "LoggingDriver"), ("Cgroup Driver", "CgroupDriver")),
    ("Cgroup Version", "CgroupVersion"),
)
MORE_ROWS = (
    *(("Kernel Version", "KernelVersion"), ("Operating System", "OperatingSystem"), ("OSType", "OSType")),
    *(("Architecture", "Architecture"), ("CPUs", "NCPU")),
)


def _lines(facts: dict[str, Any]) -> Iterator[str]:
    """As `docker info` has them, as far as they are known."""
    from .. import __version__

    yield from ("Client:", f" Version:    {__version__}", f" Context:    {context.name()}", "")
    yield "Server:"
    yield from (f" {label}: {facts[key]}" for label, key in ROWS if key in facts)
    yield " Plugins:"
    yield from (f"  {kind}: {' '.join(names)}" for kind, names in facts.get("Plugins", {}).items() if names)
    if directories := facts.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {directory}" for directory in directories)
    if devices := facts.get("DiscoveredDevices"):
        yield " Discovered Devices:"
        yield from (f"  {device['Source']}: {device['ID']}" for device in devices)
    if (swarm := facts.get("Swarm", {})).get("LocalNodeState", "inactive") == "inactive":
        yield " Swarm: inactive"
    else:
        from .swarm_info import lines

        yield from lines(swarm)
    yield f" Runtimes: {' '.join(facts.get('Runtimes', {}))}"
    yield f" Default Runtime: {facts.get('DefaultRuntime', '')}"
    yield " Security Options:"
    for option in facts.get("SecurityOptions", []):
        name, *rest = (part.partition("=")[2] for part in option.split(","))
        yield f"  {name}"
        yield from (f"   Profile: {value}" for value in rest)
    yield from (f" {label}: {facts[key]}" for label, key in MORE_ROWS if key in facts)
    yield f" Total Memory: {human_size(facts['MemTotal'], digits=4, binary=True)}"
    yield f" Name: {facts['Name']}"
    yield f" ID: {facts['ID']}"
    yield f" Docker Root Dir: {facts['DockerRootDir']}"


def _templated(form: str, data: dict[str, Any]) -> None:
    from .commands import Complaint
    from .gotemplate import TemplateError, parse, render

    try:
        click.echo(render(parse("{{json .}}" if form == "json" else form), data))
    except TemplateError as error:
        raise Complaint(error.message, 1) from None
