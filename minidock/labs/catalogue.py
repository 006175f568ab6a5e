"""The labs that there are, each a directory `labs/NN-NAME`:

    lab.md        goal, reading, task; hints one by one below `## Hints`; then how to break it
    solution.py   the whole solution; what the student is to write stands between `# lab: begin WHAT` and `# lab: end`
    check.py      `check(host)`: the facts, in the order of the story
    wrong.toml    common wrong answers, as changes of the solution, with the hint that each must get

The skeleton is the solution without those parts, so it can't be older than the solution.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from minidock.errors import MinidockError, NotFound

PACKAGE = Path(__file__).resolve().parents[1]
BEGIN, END = "# lab: begin", "# lab: end"


class Lab(msgspec.Struct, frozen=True):
    """One lab: its number as two digits, its name, and where it lies."""

    number: str
    name: str
    path: Path

    @property
    def title(self) -> str:
        """The first line of lab.md, without its number."""
        return self.text().splitlines()[0].removeprefix("# ").partition(": ")[2]

    @property
    def file(self) -> str:
        """What its program is called in the student's directory; later labs import it by that name."""
        return f"lab{self.number}_{self.name}.py"

    @property
    def check_file(self) -> Path:
        return self.path / "check.py"

    def files(self) -> dict[str, str]:
        """What the student gets, by name."""
        return {self.file: self.skeleton(), f"lab{self.number}_{self.name}.md": self.task()}

    def answer(self) -> tuple[str, str]:
        """The solution, under a name beside the student's."""
        return self.file.removesuffix(".py") + "_solution.py", self.solution()

    def missing_before(self) -> list[Lab]:
        """The labs whose files this one imports."""
        return [lab for lab in labs() if lab.number < self.number]

    def text(self) -> str:
        """lab.md."""
        return (self.path / "lab.md").read_text(encoding="utf-8")

    def task(self) -> str:
        """lab.md without its hints: those are asked for one by one."""
        return re.sub(r"^## Hints\n.*?(?=^## |\Z)", "", self.text(), flags=re.MULTILINE | re.DOTALL)

    @property
    def hints(self) -> list[str]:
        """The numbered list below `## Hints`."""
        found = re.search(r"^## Hints\n(.*?)(?=^## |\Z)", self.text(), flags=re.MULTILINE | re.DOTALL)
        parts = re.split(r"^\d+\. ", found[1] if found else "", flags=re.MULTILINE)[1:]
        return [" ".join(part.split()) for part in parts]

    def solution(self) -> str:
        """The program as it is when the lab is done, without the marks."""
        lines = (self.path / "solution.py").read_text(encoding="utf-8").splitlines(keepends=True)
        return "".join(line for line in lines if not line.lstrip().startswith((BEGIN, END)))

    def skeleton(self) -> str:
        """The program as the student gets it."""
        return skeleton((self.path / "solution.py").read_text(encoding="utf-8"))

    def wrong_answers(self) -> list[WrongAnswer]:
        """What people do wrong here."""
        import tomllib

        raw = tomllib.loads((self.path / "wrong.toml").read_text(encoding="utf-8"))
        return msgspec.convert(raw["wrong"], list[WrongAnswer])


class WrongAnswer(msgspec.Struct, frozen=True):
    """A change of the solution that people make, and words that the check must then say."""

    about: str
    replace: str
    by: str
    hint: str

    def of(self, solution: str) -> str:
        """The solution with it. Raises MinidockError when the solution has no such lines any more."""
        if solution.count(self.replace) != 1:
            raise MinidockError(f"the wrong answer '{self.about}' must fit the solution once: {self.replace!r}")
        return solution.replace(self.replace, self.by)


def skeleton(source: str) -> str:
    """The source with each marked part replaced by a line that says what is missing."""
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        indent, word = line[: len(line) - len(line.lstrip())], line.strip()
        if word.startswith(BEGIN):
            inside = True
            what = word.removeprefix(BEGIN).strip()
            lines += [f"{indent}# TODO: {what}", f"{indent}raise NotImplementedError({_quoted(what)})"]
        elif word == END:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def directory() -> Path:
    """Where the labs lie: inside an installed package, or beside it in a working copy of the source."""
    installed = PACKAGE / "labs" / "content"
    return installed if installed.is_dir() else PACKAGE.parent / "labs"


def labs() -> list[Lab]:
    """All, in order."""
    found = [path for path in directory().iterdir() if re.fullmatch(r"\d\d-[a-z]+", path.name)]
    return [Lab(path.name[:2], path.name[3:], path) for path in sorted(found)]


def find(ref: str) -> Lab:
    """By number (`3`, `03`), name (`mounts`) or both (`03-mounts`). Raises NotFound."""
    for lab in labs():
        if ref in (lab.number, lab.number.lstrip("0"), lab.name, f"{lab.number}-{lab.name}"):
            return lab
    raise NotFound(f"No such lab: {ref}", hint="minidock lab ls lists them")
