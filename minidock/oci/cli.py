"""The command line of minidock-oci: runtime-spec's operations in runc's spelling."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from minidock import __version__
from minidock.errors import MinidockError, UsageError

if TYPE_CHECKING:
    from minidock.oci.container import Runtime

DEFAULT_ROOT = "/run/minidock-oci"
BUNDLE = click.option("--bundle", "-b", default=".", help="directory with config.json")
CONSOLE = click.option("--console-socket", default="", help="unix socket that gets the terminal's master")
PID_FILE = click.option("--pid-file", default="", help="file for the process id")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", default=DEFAULT_ROOT, show_default=True, help="directory for the state of containers")
@click.version_option(__version__, "--version", "-v", message="minidock-oci version %(version)s\nspec: 1.2.0")
@click.pass_context
def commands(context: click.Context, root: str) -> None:
    """Run containers from OCI bundles.

    \b
    mkdir -p box/rootfs && tar -xf rootfs.tar -C box/rootfs
    minidock-oci spec -b box
    minidock-oci run -b box mybox

    Commands of runc that are not here yet: exec ps list pause resume update events checkpoint.
    """
    from minidock.oci.container import Runtime

    context.obj = Runtime(Path(root))


@commands.command()
@BUNDLE
@CONSOLE
@PID_FILE
@click.argument("container_id")
@click.pass_obj
def create(runtime: Runtime, bundle: str, console_socket: str, pid_file: str, container_id: str) -> None:
    """Make a container; its process waits for `start`."""
    _create(runtime, container_id, bundle, console_socket, pid_file)


@commands.command()
@click.argument("container_id")
@click.pass_obj
def start(runtime: Runtime, container_id: str) -> None:
    """Let a created container run its command."""
    runtime.start(container_id)


@commands.command()
@BUNDLE
@CONSOLE
@PID_FILE
@click.option("--detach", "-d", is_flag=True, help="leave it in the background")
@click.option("--keep", is_flag=True, help="do not delete it at the end")
@click.argument("container_id")
@click.pass_obj
def run(
    runtime: Runtime, bundle: str, console_socket: str, pid_file: str, detach: bool, keep: bool, container_id: str
) -> None:
    """Create, start, wait and delete; exits with the command's code."""
    pid = _create(runtime, container_id, bundle, console_socket, pid_file)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    runtime.start(container_id)
    if detach:
        return
    _, status = os.waitpid(pid, 0)
    if not keep:
        runtime.delete(container_id, force=True)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


@commands.command()
@click.argument("container_id")
@click.pass_obj
def state(runtime: Runtime, container_id: str) -> None:
    """Print what the container is, as JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(runtime.state(container_id)), indent=2).decode())


@commands.command()
@click.option("--all", "-a", "everybody", is_flag=True, help="every process of the container")
@click.argument("container_id")
@click.argument("number", metavar="[SIGNAL]", default="TERM")
@click.pass_obj
def kill(runtime: Runtime, everybody: bool, container_id: str, number: str) -> None:
    """Send a signal (TERM) to the container's first process."""
    from minidock.engine.stop import signal_number

    runtime.kill(container_id, signal_number(number), everybody=everybody)


@commands.command()
@click.option("--force", "-f", is_flag=True, help="kill it first")
@click.argument("container_id")
@click.pass_obj
def delete(runtime: Runtime, force: bool, container_id: str) -> None:
    """Remove what create made."""
    runtime.delete(container_id, force=force)


@commands.command()
@BUNDLE
def spec(bundle: str) -> None:
    """Write a config.json for `sh` in ./rootfs."""
    from minidock.oci.example import example
    from minidock.spec import to_json

    path = Path(bundle) / "config.json"
    if path.exists():
        raise UsageError(f"File {path} exists. Remove it first")
    path.write_bytes(to_json(example()))


def _create(runtime: Runtime, container_id: str, bundle: str, console: str, pid_file: str) -> int:
    made = runtime.create(container_id, Path(bundle).resolve(), console=Path(console) if console else None)
    if pid_file:
        from minidock.files import write_atomic

        write_atomic(Path(pid_file), str(made.pid).encode(), durable=False)
    return made.pid


def main() -> None:
    """Console script `minidock-oci`."""
    try:
        commands.main(prog_name="minidock-oci", standalone_mode=True)
    except MinidockError as error:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"minidock-oci: {error}{hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
