"""An ordinary user for tests, who is in no file of the host: he exists in a mount namespace's own /etc only."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.instance import COMMAND, SLOWNESS

COUNT = 65536
"""How many subordinate ids he has."""


class Ordinary:
    """Runs this checkout's minidock as a user with (or without) subordinate ids, in a home of his own.

    Each command gets a mount namespace in which copies of four files of /etc, with one line more, hide the host's.
    """

    def __init__(self, *, subordinate: bool = True) -> None:
        self.number = 40000 + os.getpid() % 20000  # of him and his group: his own, whoever tests beside us
        self.first = self.number * COUNT
        self.home = Path(tempfile.mkdtemp(prefix="md-user-"))  # short: the sockets of containers lie below
        self.run = self.home / "run"
        self.run.mkdir(mode=0o700)
        self._etc = Path(tempfile.mkdtemp(prefix="md-user-etc-"))
        ids = f"ordinary:{self.first}:{COUNT}\n" if subordinate else ""
        lines = {
            "passwd": f"ordinary:x:{self.number}:{self.number}::{self.home}:/bin/sh\n",
            "group": f"ordinary:x:{self.number}:\n",
            "subuid": ids,
            "subgid": ids,
        }
        self._binds = []
        for name, line in lines.items():
            there = Path("/etc") / name
            if not there.exists():  # nothing to hide with a mount: Debian's passwd package makes them
                there.touch()
            text = there.read_text() if name in ("passwd", "group") else ""
            (self._etc / name).write_text(text + line)
            self._binds.append(f"mount --bind {self._etc / name} {there}")
        # Where no udev is, /dev/net/tun is for root alone: he gets one as udev would have made it.
        tun = self._etc / "tun"
        os.mknod(tun, stat.S_IFCHR | 0o666, os.makedev(10, 200))
        tun.chmod(0o666)
        if Path("/dev/net/tun").exists():  # else the module is missing, and slirp4netns says so
            self._binds.append(f"mount --bind {tun} /dev/net/tun")
        for place in (self.home, self.run):
            os.chown(place, self.number, self.number)
        self._etc.chmod(0o755)
        self.environment = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.run),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
        }

    def command(self, *words: str) -> list[str]:
        """Any command, as him."""
        become = ["setpriv", f"--reuid={self.number}", f"--regid={self.number}", "--clear-groups", "--inh-caps=-all"]
        script = "; ".join(["set -e", *self._binds, f"cd {self.home}", f"exec {shlex.join([*become, *words])}"])
        return ["unshare", "--mount", "--propagation=slave", "sh", "-c", script]

    def __call__(
        self, *words: str, input: str | None = None, check: bool = False, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """minidock, with captured text."""
        return self.does(*COMMAND, *words, input=input, check=check, timeout=timeout)

    def does(
        self, *words: str, input: str | None = None, check: bool = False, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            self.command(*words),
            input=input or "", capture_output=True, text=True, errors="replace", env=self.environment,
            timeout=timeout * SLOWNESS,
        )  # fmt: skip
        if check and result.returncode != 0:
            raise AssertionError(f"{shlex.join(words)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def load(self, archive: Path) -> None:
        """An image, by way of stdin: tests' own directories are closed to him."""
        with archive.open("rb") as file:
            done = subprocess.run(
                self.command(*COMMAND, "load"), stdin=file, capture_output=True, env=self.environment, timeout=60
            )
        assert done.returncode == 0, done.stderr.decode()

    def processes(self) -> list[str]:
        """What he has running: shims, containers, and who holds his namespace."""
        found = []
        for directory in filter(lambda path: path.name.isdigit(), Path("/proc").iterdir()):
            try:
                words = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                owner = directory.stat().st_uid
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The dead have no words any more; that nobody has asked for their exit status is no fault of theirs.
            if words and (owner == self.number or self.first <= owner < self.first + COUNT):
                found.append(f"{directory.name} {words}")
        return found

    def gone(self, seconds: float = 5) -> list[str]:
        """What is still there of him when the time is over."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while (found := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def close(self) -> None:
        """Remove his containers, then fail if anything of him still runs."""
        listed = self("ps", "-aq").stdout.split()
        removed = self("rm", "-f", *listed).stderr if listed else ""
        left = self.gone()
        for place in (self.home, self._etc):
            shutil.rmtree(place)
        assert not left, "left behind:\n  " + "\n  ".join(left) + f"\n{removed}"
