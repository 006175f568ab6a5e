"""tags.json: what names mean. Full name, with tag or digest → image id."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from minidock import files


class Tags:
    """The file, and the lock under which it changes; reading needs none, for it is replaced whole."""

    def __init__(self, path: Path, lock: Path) -> None:
        self.path = path
        self.lock = lock

    def read(self) -> dict[str, str]:
        try:
            return files.read_json(self.path, dict[str, str])
        except FileNotFoundError:
            return {}

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, str]]:
        """What is in it, to be changed; written back when the block ends without an error."""
        with files.locked(self.lock):
            before = self.read()
            tags = dict(before)
            yield tags
            if tags != before:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                files.write_json(self.path, dict(sorted(tags.items())))
