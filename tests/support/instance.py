"""An instance of minidock for one test, and the proof that it leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from minidock import network
from minidock.paths import Layout
from tests.support.needs import IN_VM

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-I", "-S", str(REPOSITORY / "scripts" / "start.py")]
"""What scripts/minidock executes once it has looked at its stamps."""
CGROUPS = Path("/sys/fs/cgroup")
SLOWNESS = 5 if IN_VM else 1
"""Patience is multiplied by this: the VM is emulated."""


class Minidock:
    """Runs this checkout's minidock on a root of its own: `minidock("run", "--rm", "busybox", "true")`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.command = [*COMMAND, "--root", str(layout.root)]

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,  # as subprocess.run calls it
        check: bool = False,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As subprocess.run with captured text; without `input` stdin is empty. `env` is added to ours.

        `check` fails the test with what the command wrote.
        """
        result = subprocess.run(
            [*self.command, *arguments],
            input="" if input is None else input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout * SLOWNESS,
            env={**os.environ, **(env or {})},
        )
        if check and result.returncode != 0:
            told = f"exit {result.returncode}\n{result.stdout}{result.stderr}"
            raise AssertionError(f"minidock {' '.join(arguments)}: {told}")
        return result

    def popen(self, *arguments: str, **options: object) -> subprocess.Popen[bytes]:
        """The command as a process of its own, with subprocess.Popen's options."""
        return subprocess.Popen([*self.command, *arguments], **options)  # type: ignore[call-overload,no-any-return]

    def close(self) -> None:
        """Remove every container, then fail if anything of them, or of the instance, is still there.

        The bridge and the table stay between containers, as Docker's do; network.teardown takes them away.
        """
        removal = self._remove_containers()
        left = settled(lambda: [line for line in leftovers(self.layout) if line not in self._kept()])
        if os.geteuid() == 0 and self.layout.run.is_dir():
            network.teardown(self.layout)
            left += [line for line in leftovers(self.layout) if line not in left]
        # pytest deletes the directory of a test that passed: what is still mounted in it would be deleted along.
        for line in reversed(left):
            if line.startswith("mount "):
                subprocess.run(["umount", "--lazy", line.removeprefix("mount ")], check=False, capture_output=True)
        if not any(_mounts(self.layout)):
            shutil.rmtree(self.layout.run, ignore_errors=True)
        assert not left, "left behind:\n  " + "\n  ".join(left) + f"\n{removal}"

    def _kept(self) -> list[str]:
        table = self.layout.nft_table
        return [f"link {self.layout.bridge}", f"nft table inet {table}"]

    def _remove_containers(self) -> str:
        if not self.layout.containers.is_dir() or not any(self.layout.containers.iterdir()):
            return ""
        listed = self("ps", "-aq", check=True).stdout.split()
        if not listed:
            return ""
        removed = self("rm", "-f", *listed)
        return removed.stderr


def settled(look: Callable[[], list[str]], seconds: float = 3) -> list[str]:
    """What `look` still finds when it finds nothing or the time is over: a shim's clean-up may be on its last lines."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def leftovers(layout: Layout) -> list[str]:
    """What the host still has of an instance, one line each; empty when it is as if it had never been."""
    return [*_mounts(layout), *_cgroups(layout), *_links(layout), *_tables(layout), *_processes(layout)]


def _mounts(layout: Layout) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4]
        if any(point == str(top) or point.startswith(f"{top}/") for top in (layout.root, layout.run)):
            yield f"mount {point}"


def _cgroups(layout: Layout) -> Iterator[str]:
    name = layout.cgroup_parent.strip("/")
    for place in [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]:
        if place.is_dir():
            inside = [path.name for path in place.iterdir() if path.is_dir()]
            yield f"cgroup {place}" + (f" with {', '.join(inside)}" if inside else "")


def _links(layout: Layout) -> Iterator[str]:
    """The instance's bridge, and what is attached to it or named after it."""
    for link in Path("/sys/class/net").iterdir():
        try:
            attached = os.path.basename(os.readlink(link / "master")) == layout.bridge
        except OSError:  # it has no master, or it has just gone
            attached = False
        if link.name == layout.bridge or attached or (not layout.is_default and link.name.startswith(layout.bridge)):
            yield f"link {link.name}"


def _tables(layout: Layout) -> Iterator[str]:
    if os.geteuid() != 0 or shutil.which("nft") is None:
        return
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        if line.split()[-1] == layout.nft_table:
            yield f"nft {line}"


def _processes(layout: Layout) -> Iterator[str]:
    """Processes in the instance's cgroups, or with its directories on their command line."""
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or int(directory.name) == os.getpid():
            continue
        try:
            words = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (directory / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        below = f"{layout.root}/" in f"{words}/ " or f"{layout.run}/" in words
        if below or f":{layout.cgroup_parent}/" in groups:
            yield f"process {directory.name} {words[:120]}"
