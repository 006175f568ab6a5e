"""Where errors go: to standard error for people, and to --log for the engine above, which reads its last line.

The formats are those of logrus, which runc uses: `time="…" level=error msg="…"`, or with --log-format json one object a
line. containerd and podman show the last message of level error to their users.
"""

from __future__ import annotations

import os
import sys

from minidock.steps import SILENT, Narrator


class Log:
    """`path` is empty for standard error. With `debug`, more is told."""

    def __init__(self, path: str = "", form: str = "text", debug: bool = False) -> None:
        self.path = path
        self.form = form
        self.chatty = debug

    def check(self) -> None:
        """Raises OSError where the file can't be opened: an error that came later would be told to nobody."""
        if self.path:
            os.close(self._open())

    def error(self, message: str) -> None:
        """As runc does: with a log file, people are told too; alone, where nothing can be written."""
        try:
            self._write("error", message)
        except OSError as error:
            print(f"Failed to write to log, write {self.path}: {(error.strerror or '').lower()}", file=sys.stderr)
        if self.path:
            print(message, file=sys.stderr)

    def warn(self, message: str) -> None:
        self._write("warning", message)

    def debug(self, message: str) -> None:
        if self.chatty:
            self._write("debug", message)

    def narrator(self, *, entering: bool = False) -> Narrator:
        """Who is told of the steps that are taken; `entering` is for `exec`."""
        if not self.chatty:
            return SILENT
        from minidock.oci.narration import Narration

        return Narration(self, entering=entering)

    def _write(self, level: str, message: str) -> None:
        line = _json(level, message) if self.form == "json" else _text(level, message)
        if not self.path:
            sys.stderr.write(line)
            return
        self._append(line.encode(errors="surrogateescape"))

    def _append(self, data: bytes) -> None:
        # One write(2) at the end of the file: several of us may have the same log.
        fd = self._open()
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _json(level: str, message: str) -> str:
    import json
    import time

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    # Without a blank, as Go writes it: there are scripts that look for `"level":"error"`.
    return json.dumps({"level": level, "msg": message, "time": now}, separators=(",", ":")) + "\n"


def _text(level: str, message: str) -> str:
    import json
    import time

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f'time="{now}" level={level} msg={json.dumps(message, ensure_ascii=False)}\n'
