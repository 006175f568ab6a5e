"""Files that minidock writes for one container and shows it by a bind mount: in its run directory, gone with it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import ClassVar

from minidock import files
from minidock.steps import Live, Step


class WriteText(Step, frozen=True):
    """A file of the host's that a mount of the container will show. The run directory goes with the container."""

    path: str
    text: str
    man: ClassVar[str] = "write(2)"

    def describe(self) -> str:
        return f"write what the container sees as {os.path.basename(self.path)} ({len(self.text)} characters)"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        return f"mkdir -p $(dirname {path}) && printf %s {shlex.quote(self.text)} > {path}"

    def apply(self, live: Live) -> None:
        files.write_atomic(Path(self.path), self.text.encode(), durable=False)
        os.chmod(self.path, 0o644)  # whatever our umask is: the container's users read it
