"""kill -9 in the middle of a verb, and a count of all that an instance has, to be the same afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.instance import Minidock, leftovers, settled
from tests.support.registry import Registry

KEEPERS = ("minidock:[shim]", " container cleanup ")
"""Processes of ours that nobody has typed, as their command lines show them."""


class Scene:
    """An instance in which verbs are killed. Between them it may look in any way; `calm` brings it back."""

    def __init__(self, minidock: Minidock, image: Path, registry: Registry, directory: Path) -> None:
        self.minidock = minidock
        self.pulled = f"{registry.address}/busybox"
        self.number = 0
        context = directory / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(
            "FROM busybox\nRUN echo one > /one\nCOPY Dockerfile /\nRUN echo two > /two\n"
        )
        create = ("--name", "NEW", "-p", "80", "busybox")
        self.verbs = {
            "run": ("run", "--rm", *create, "true"),
            "run -d": ("run", "-d", *create, "sleep", "60"),
            "exec": ("exec", "base", "sleep", "0.05"),
            "stop": ("stop", "-t", "0", "base"),
            "rm": ("rm", "-f", "base"),
            "pull": ("pull", "-q", self.pulled),
            "build": ("build", "-q", "--no-cache", "-t", "built", str(context)),
        }
        minidock("load", "-i", str(image), check=True)
        minidock("tag", "busybox", self.pulled, check=True)
        minidock("push", self.pulled, check=True)
        self.seconds = {verb: self._timed(verb) for verb in self.verbs}

    def _timed(self, verb: str) -> float:
        self._prepare(verb)
        begun = time.monotonic()
        self.minidock(*self._words(verb), check=True)
        return time.monotonic() - begun

    def _prepare(self, verb: str) -> None:
        """What the verb needs: whatever an earlier kill has left must not keep it from being there."""
        self.number += 1
        states = self.states()
        if verb in ("exec", "stop", "rm") and states.get("base") != "running":
            new = ("run", "-d", "--name", "base", "-p", "80", "busybox", "sleep", "600")
            self.minidock(*(("start", "base") if "base" in states else new), check=True)
        if verb == "pull":
            self.minidock("rmi", "-f", self.pulled)

    def states(self) -> dict[str, str]:
        told = self.minidock("ps", "-a", "--format", "{{.Names}} {{.State}}", check=True)
        assert not told.stderr
        return dict(line.split() for line in told.stdout.splitlines())

    def _words(self, verb: str) -> list[str]:
        return [f"new{self.number}" if word == "NEW" else word for word in self.verbs[verb]]

    def kill(self, verb: str, victim: str, part: float) -> bool:
        """Begin, and kill after that part of its usual time: the command, or a keeper. False when none was there."""
        self._prepare(verb)
        quiet = subprocess.DEVNULL
        process = self.minidock.popen(*self._words(verb), stdin=quiet, stdout=quiet, stderr=quiet)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(part * self.seconds[verb])
        if victim == "command":
            hit = process.poll() is None
            process.kill()
        else:
            hit = self._kill_keepers()
        process.wait(60)
        return hit

    def _kill_keepers(self) -> bool:
        lines = [line.split(" ", 2) for line in leftovers(self.minidock.layout) if line.startswith("process")]
        pids = [int(pid) for _, pid, words in lines if any(name in f"{words} " for name in KEEPERS)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def calm(self) -> None:
        """As a user would: remove what is listed, see that it works, and throw away what isn't used."""
        box = self.minidock
        if listed := box("ps", "-aq", check=True).stdout.split():
            box("rm", "-f", *listed, check=True)
        for verb in self.verbs:
            if verb not in ("exec", "stop", "rm"):
                self._prepare(verb)
                box(*self._words(verb), check=True)
        box("rm", "-f", *box("ps", "-aq", check=True).stdout.split(), check=True)
        box("rmi", "-f", self.pulled, "built", check=True)
        box("builder", "prune", "-af", check=True)
        box("image", "prune", "-f", check=True)
        assert not self.states()

    def differs(self, before: set[str]) -> list[str]:
        """What is there and wasn't, or the reverse; a shim's clean-up may be on its last lines."""
        return settled(lambda: sorted(f"{'+' if one not in before else '-'} {one}" for one in before ^ self.count()))

    def count(self) -> set[str]:
        """Mounts, cgroups, links, nft rules, addresses, processes and files, by name."""
        layout = self.minidock.layout
        rules: set[str] = set()
        for family in ("inet", "ip", "ip6"):
            told = subprocess.run(["nft", "list", "table", family, layout.nft_table], capture_output=True, text=True)
            rules |= {f"nft {family} {number} {line.strip()}" for number, line in enumerate(told.stdout.splitlines())}
        files = {f"file {path}" for top in (layout.root, layout.run) for path in top.rglob("*")}
        fixed = {name for name in files if "/locks/" in name and "/locks/container-" not in name}  # there for good
        return {*leftovers(layout), *rules, *(files - fixed)}
