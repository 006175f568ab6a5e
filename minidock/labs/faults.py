"""Debug the broken engine: the runtime of the twelve labs, finished, with one thing wrong.

The student gets the report of somebody who uses it, all of its files, and a check that tells which fact of the kernel
isn't as it should be, but not why. The faults are changes of the solutions (labs/broken.toml), so they can't rot.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from minidock.errors import MinidockError, NotFound
from minidock.labs import catalogue
from minidock.labs.catalogue import Lab


class Fault(msgspec.Struct, frozen=True):
    """A row of broken.toml. `lab` is where the fault is; its check.py tells whether it still is."""

    name: str
    title: str
    lab: str
    report: str
    replace: str
    by: str
    hints: list[str]
    number: str = ""

    @property
    def place(self) -> Lab:
        return catalogue.find(self.lab)

    @property
    def file(self) -> str:
        """What is checked: a container of the lab with the fault."""
        return f"{self.number}/{self.place.file}"

    @property
    def check_file(self) -> Path:
        return self.place.path / "check.py"

    def task(self) -> str:
        return (
            f"# {self.number}: {self.title}\n{self.report}\n"
            f"The engine is in {self.number}/, all of it, and one thing in it is wrong. Don't read it from the top:\n"
            f"run it (`minidock lab run {self.number} …`), look at what the kernel has of the container (/proc/PID/…,\n"
            f"mountinfo, cgroups, nft), find what is not as it should be, and only then the line.\n"
            f"The report is about `{self.place.file}`.\n"
        )

    def files(self) -> dict[str, str]:
        """All that the student gets, by name. Raises MinidockError when the solution has no such line any more."""
        found = {f"{self.number}/{lab.file}": lab.solution() for lab in catalogue.labs()}
        found[self.file] = self._broken(found[self.file])
        found[f"{self.number}/README.md"] = self.task()
        return found

    def _broken(self, solution: str) -> str:
        if solution.count(self.replace) != 1:
            raise MinidockError(f"the fault '{self.name}' must fit the solution once: {self.replace!r}")
        return solution.replace(self.replace, self.by)

    def answer(self) -> tuple[str, str]:
        """The file as it should be, under a name beside the student's."""
        return f"{self.number}/{self.place.answer()[0]}", self.place.solution()

    def missing_before(self) -> list[Lab]:
        """Labs that must be there, too: none, for all of them are its own files."""
        return []


def faults() -> list[Fault]:
    """All, in the order of the file: broken-1, broken-2 …"""
    import tomllib

    raw = tomllib.loads((catalogue.directory() / "broken.toml").read_text(encoding="utf-8"))
    rows = msgspec.convert(raw["fault"], list[Fault])
    return [msgspec.structs.replace(row, number=f"broken-{n}") for n, row in enumerate(rows, start=1)]


def find(ref: str) -> Lab | Fault:
    """A fault by `broken-3`, else a lab. Raises NotFound."""
    if not ref.startswith("broken"):
        return catalogue.find(ref)
    for fault in faults():
        if ref in (fault.number, f"broken-{fault.name}"):
            return fault
    raise NotFound(f"No such fault: {ref}", hint="minidock lab ls lists them")
