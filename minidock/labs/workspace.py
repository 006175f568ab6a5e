"""The student's directory: ./minidock-labs, or what MINIDOCK_LABS names.

All that is known of somebody's progress is in there, in a file that one can read: `progress.json`. Who deletes the
directory starts again.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from minidock.errors import Conflict, MinidockError, NotFound
from minidock.files import write_atomic
from minidock.labs.catalogue import Lab
from minidock.labs.faults import Fault

Exercise = Lab | Fault


class Progress(msgspec.Struct):
    """By number of the lab: how many hints were taken, and which checks have been passed."""

    hints: dict[str, int] = {}
    done: list[str] = []


class Workspace:
    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(os.environ.get("MINIDOCK_LABS") or "minidock-labs").absolute()

    @property
    def _file(self) -> Path:
        return self.path / "progress.json"

    def progress(self) -> Progress:
        """Raises MinidockError for a file that nobody can read."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Progress)
        except FileNotFoundError:
            return Progress()
        except msgspec.MsgspecError as error:
            raise MinidockError(
                f"damaged {self._file}: {error}", hint="delete it: only your progress is in it"
            ) from error

    def keep(self, progress: Progress) -> None:
        write_atomic(self._file, msgspec.json.format(msgspec.json.encode(progress)) + b"\n", mode=0o644)
        self._give(self._file)

    def program(self, lab: Exercise) -> Path:
        """The student's file. Raises NotFound when the lab has not been started."""
        path = self.path / lab.file
        if not path.exists():
            raise NotFound(f"lab {lab.number} isn't in {self.path}", hint=f"minidock lab start {lab.number}")
        return path

    def start(self, lab: Exercise) -> list[str]:
        """Put the lab's files there; returns the labs before it that were missing, of which it gets the solution.

        Raises Conflict when the student has such a file already: nobody's work is overwritten.
        """
        if (self.path / lab.file).exists():
            raise Conflict(
                f"{self.path / lab.file} is there already", hint=f"minidock lab reset {lab.number} begins it again"
            )
        self._put(lab.files())
        missing = [one for one in lab.missing_before() if not (self.path / one.file).exists()]
        self._put({one.file: one.solution() for one in missing})
        return [one.number for one in missing]

    def reset(self, lab: Exercise) -> Path:
        """Begin again; the student's file is kept beside it, under the name returned."""
        old = self.program(lab)
        kept = next(path for n in range(1, 1000) if not (path := old.with_suffix(f".py.{n}")).exists())
        os.rename(old, kept)
        self._put(lab.files())
        progress = self.progress()
        progress.hints.pop(lab.number, None)
        progress.done = [number for number in progress.done if number != lab.number]
        self.keep(progress)
        return kept

    def hint(self, lab: Exercise) -> tuple[int, int, str]:
        """The next hint: its number, how many there are, and the hint; the last one again when there are no more."""
        progress, hints = self.progress(), lab.hints
        number = min(progress.hints.get(lab.number, 0) + 1, len(hints))
        progress.hints[lab.number] = number
        self.path.mkdir(parents=True, exist_ok=True)
        self.keep(progress)
        return number, len(hints), hints[number - 1]

    def passed(self, lab: Exercise) -> None:
        progress = self.progress()
        progress.done = sorted({*progress.done, lab.number})
        self.keep(progress)

    def put_solution(self, lab: Exercise) -> Path:
        """The solution beside the student's file, under another name."""
        name, text = lab.answer()
        self._put({name: text})
        return self.path / name

    def _put(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.path / name
            for directory in (self.path, path.parent):
                directory.mkdir(parents=True, exist_ok=True)
                self._give(directory)
            path.write_text(text, encoding="utf-8")
            self._give(path)

    def _give(self, path: Path) -> None:
        """What sudo made is for the student to edit."""
        if os.geteuid() == 0 and (uid := os.environ.get("SUDO_UID", "")).isdigit():
            shutil.chown(path, int(uid), int(os.environ.get("SUDO_GID", uid)))
