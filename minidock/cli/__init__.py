"""The command line: Docker's commands, flags, output and exit codes, one file a noun.

    main() ── App: global options, errors → one line and an exit code
               └─ TOP: command name → module:verb, imported when used
                    └─ Noun `container`, `image`, `system` → the same verbs under their noun

What a flag means is decided here (parse_*.py, request.py), what can't be in model/checks.py; it travels as
`model.CreateRequest`, and what is done with it is the engine's business. Nothing here imports the kernel, the runtime,
images or networks.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from .. import __version__
from ..errors import MinidockError
from .commands import Complaint, Entry, Noun, from_system, told
from .context import Settings
from .flags import boolean, many, refused, text

COMMON, MANAGEMENT = "Common Commands", "Management Commands"
HIDDEN = ""

TOP = {
    "run": Entry("run:run", "Create and run a new container from an image", COMMON),
    "build": Entry("build:build", "Build an image from a Dockerfile", COMMON),
    "exec": Entry("exec:exec_", "Execute a command in a running container", COMMON),
    "ps": Entry("ps:ps", "List containers", COMMON),
    "pull": Entry("registries:pull", "Download an image from a registry", COMMON),
    "push": Entry("registries:push", "Upload an image to a registry", COMMON),
    "images": Entry("images:images", "List images", COMMON),
    "login": Entry("login:login", "Authenticate to a registry", COMMON),
    "logout": Entry("login:logout", "Log out from a registry", COMMON),
    "search": Entry("registries:search", "Search Docker Hub for images", COMMON),
    "version": Entry("system:version", "Show the minidock version information", COMMON),
    "info": Entry("system:info", "Display system-wide information", COMMON),
    "builder": Entry("nouns:builder", "Manage builds", MANAGEMENT),
    "container": Entry("nouns:container", "Manage containers", MANAGEMENT),
    "cdi": Entry("cdi:cdi", "See which devices CDI files offer, and make such files", MANAGEMENT),
    "context": Entry("nouns:contexts", "Manage contexts", MANAGEMENT),
    "image": Entry("nouns:image", "Manage images", MANAGEMENT),
    "manifest": Entry("nouns:manifest", "Manage image manifests and manifest lists", MANAGEMENT),
    "system": Entry("nouns:system", "Manage minidock", MANAGEMENT),
    "completion": Entry("completion:completion", "Print the script for a shell's completion", MANAGEMENT),
    "doctor": Entry("doctor:doctor", "Find out what on this host is in the way", MANAGEMENT),
    "lab": Entry("lab:lab", "Learn by writing a container runtime", MANAGEMENT),
    "explain": Entry("why:explain", "Tell why something failed, from the kernel's facts", MANAGEMENT),
    "ui": Entry("ui:ui", "Show containers, live, in a browser on this machine, or in the terminal", MANAGEMENT),
    "tour": Entry("tour:tour", "Follow one command through the code", MANAGEMENT),
    "network": Entry("networks:network", "Manage networks", MANAGEMENT),
    "swarm": Entry("swarm:swarm", "Manage Swarm", MANAGEMENT),
    "node": Entry("nodes:node", "Manage Swarm nodes", MANAGEMENT),
    "secret": Entry("secrets:secret", "Manage Swarm secrets", MANAGEMENT),
    "config": Entry("configs:config", "Manage Swarm configs", MANAGEMENT),
    "service": Entry("services:service", "Manage Swarm services", MANAGEMENT),
    "stack": Entry("stacks:stack", "Manage Swarm stacks", MANAGEMENT),
    "volume": Entry("volumes:volume", "Manage volumes", MANAGEMENT),
    "attach": Entry(
        "lifecycle:attach", "Attach local standard input, output, and error streams to a running container"
    ),
    "daemon": Entry("daemon:daemon", "Serve Docker's API"),
    "commit": Entry("changes:commit", "Create a new image from a container's changes"),
    "cp": Entry("cp:cp", "Copy files/folders between a container and the local filesystem"),
    "create": Entry("run:create", "Create a new container"),
    "diff": Entry("changes:diff", "Inspect changes to files or directories on a container's filesystem"),
    "events": Entry("events:events", "Get real time events from the server"),
    "export": Entry("changes:export", "Export a container's filesystem as a tar archive"),
    "history": Entry("history:history", "Show the history of an image"),
    "import": Entry("archives:import_", "Import the contents from a tarball to create a filesystem image"),
    "inspect": Entry("inspect:inspect", "Return low-level information on minidock objects"),
    "kill": Entry("lifecycle:kill", "Kill one or more running containers"),
    "load": Entry("archives:load", "Load an image from a tar archive or STDIN"),
    "logs": Entry("logs:logs", "Fetch the logs of a container"),
    "pause": Entry("lifecycle:pause", "Pause all processes within one or more containers"),
    "port": Entry("top:port", "List port mappings or a specific mapping for the container"),
    "rename": Entry("lifecycle:rename", "Rename a container"),
    "restart": Entry("lifecycle:restart", "Restart one or more containers"),
    "rm": Entry("lifecycle:rm", "Remove one or more containers"),
    "rmi": Entry("images:rmi", "Remove one or more images"),
    "save": Entry("archives:save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "start": Entry("lifecycle:start", "Start one or more stopped containers"),
    "stats": Entry("stats:stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": Entry("lifecycle:stop", "Stop one or more running containers"),
    "tag": Entry("images:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": Entry("top:top", "Display the running processes of a container"),
    "unpause": Entry("lifecycle:unpause", "Unpause all processes within one or more containers"),
    "update": Entry("update:update", "Update configuration of one or more containers"),
    "wait": Entry("lifecycle:wait", "Block until one or more containers stop, then print their exit codes"),
    "__complete": Entry("completing:complete", "Tell what can stand next on a command line", HIDDEN),
    "help": Entry("nouns:help_", "Show the help of a command", HIDDEN),
}

GLOBAL_FLAGS = [
    text("root", "", "Directory of the instance: images, containers and everything else (MINIDOCK_ROOT)"),
    boolean("debug", "D", "Show where an error comes from (a Python traceback)"),
    boolean("version", "v", "Print version information and quit"),
    many("host", "H", "Daemon socket to connect to (DOCKER_HOST): unix:///path, tcp://name:port, ssh://user@name"),
    text("context", "c", "Name of the context to use to connect to the daemon (overrides DOCKER_HOST)"),
    text("config", "", "Location of client config files (DOCKER_CONFIG, default ~/.docker)"),
    boolean("tls", "", "Use TLS; implied by --tlsverify"),
    text("tlscacert", "", "Trust certs signed only by this CA"),
    text("tlscert", "", "Path to TLS certificate file"),
    text("tlskey", "", "Path to TLS key file"),
    boolean("tlsverify", "", "Use TLS and verify the remote (DOCKER_TLS_VERIFY)", default=None),
    refused("log-level", "l"),
]
SETTINGS = ("root", "debug", "context", "config", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey")
"""Of those the ones that Settings has under the same name."""


class App(Noun):
    """The top of the command line, and the only place where errors become text and exit codes."""

    def __init__(self) -> None:
        super().__init__("minidock", "A container engine you can read", TOP)
        self.flags = GLOBAL_FLAGS

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """`build prune` is what many type for `builder prune`: it is that, unless a context is called so."""
        if args[:2] == ["build", "prune"] and not os.path.lexists("prune"):
            from .build import prune

            return "build prune", prune, args[2:]
        return super().resolve_command(ctx, args)

    def wants_more(self, values: Mapping[str, Any], rest: Sequence[str]) -> bool:
        return bool(rest) or values["version"]

    def settle(self, ctx: click.Context, values: Mapping[str, Any]) -> None:
        if values["version"]:
            click.echo(f"minidock version {__version__}")
            ctx.exit(0)
        if len(values["host"]) > 1:
            raise Complaint("Please specify only one -H", 1)
        if values["config"]:  # whoever looks for the file, the registries' credentials too, finds it so
            os.environ["DOCKER_CONFIG"] = values["config"]
        hosts = values["host"]
        ctx.obj = Settings(host=hosts[0] if hosts else "", **{key: values[key] for key in SETTINGS})

    def main(self, args: Sequence[str] | None = None, *_: object, **__: object) -> NoReturn:
        """Run the command line and exit. Never a traceback for a user's mistake."""
        words = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(
                stream, io.TextIOWrapper
            ):  # UTF-8 whatever the locale says, and names that aren't as they are
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")
        code = self.guarded(words)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            code = _reader_left()
        sys.exit(code)

    def guarded(self, words: list[str]) -> int:
        """The exit code; errors have been told on stderr."""
        debug = _asks_for_debug(words)
        try:
            with self.make_context("minidock", words) as ctx:
                self.invoke(ctx)
        except click.exceptions.Exit as leave:
            return leave.exit_code
        except BrokenPipeError:
            return _reader_left()
        except KeyboardInterrupt:
            return 130
        except Exception as error:  # noqa: BLE001  the outermost frame: what is left is told, in one line
            if debug:
                import traceback

                traceback.print_exc()
            return _tell(error)
        return 0


def _tell(error: Exception) -> int:
    if isinstance(error, Complaint):
        error.show()
        return error.code
    if isinstance(error, MinidockError):
        print(told(error), file=sys.stderr)
        # 125 is for `run` and `create`, and for flags that can't be read: both come as a Complaint.
        return error.exit_code if error.exit_code in (126, 127) else 1
    if isinstance(error, OSError) and error.strerror:
        print(told(from_system(error)), file=sys.stderr)
        return 1
    print(
        f"Error: a mistake in minidock itself: {type(error).__name__}: {error} (minidock -D ... shows where)",
        file=sys.stderr,
    )
    return 1


def _reader_left() -> int:
    """Nobody reads our stdout any more (`| head`). Python would complain once more when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 141  # 128 + SIGPIPE: what a program that doesn't ignore the signal ends with


def _asks_for_debug(words: Sequence[str]) -> bool:
    """Whether -D stands before the command's name; needed even when parsing itself fails."""
    for word in words:
        if word in ("-D", "--debug", "--debug=true"):
            return True
        if not word.startswith("-"):
            return False
    return False


app = App()


def main() -> NoReturn:
    app.main()
