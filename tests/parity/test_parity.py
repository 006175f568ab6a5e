"""The same script to Docker and to minidock: what it prints, where, and its exit code must be equal.

The cases are shell scripts in cases/, in the words that any user of Docker types:

    ### name: what is promised
    #~ stderr REGEX       instead of being equal, both must match (a text of runc's that nobody should copy)
    #~ feature NAME       only where the machine has it (tests/support/needs.py)
    docker run --rm busybox echo hello

Where the two are known to differ, docs/parity.md says so and why; a case listed there must differ.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.support.needs import require_feature

if TYPE_CHECKING:
    from .conftest import Engine, Outcome

HERE = Path(__file__).resolve().parent
KNOWN = HERE.parents[1] / "docs" / "parity.md"
SWARM = "swarm.sh"
"""Its cases are run in a swarm of one on each side; minidock's lives in a daemon."""
NETWORKING = HERE.parents[1] / "docs" / "networking.md"


class Case(msgspec.Struct, frozen=True):
    file: str
    name: str
    promise: str
    script: str
    match: dict[str, str]
    """`stdout` or `stderr` → a regular expression that both engines' text must match."""
    feature: str = ""
    """What the machine must have (tests/support/needs.py)."""


def cases() -> list[Case]:
    """All cases, in the order in which they are written."""
    found = []
    for path in sorted((HERE / "cases").glob("*.sh")):
        for block in re.split(r"^### ", path.read_text(), flags=re.MULTILINE)[1:]:
            head, _, body = block.partition("\n")
            name, _, promise = head.partition(": ")
            match = dict(re.findall(r"^#~ (stdout|stderr) (.+)$", body, flags=re.MULTILINE))
            feature = re.search(r"^#~ feature (.+)$", body, flags=re.MULTILINE)
            found.append(Case(path.name, name, promise, body, match, feature[1] if feature else ""))
    return found


def known_differences() -> dict[str, str]:
    """The rows of the table in docs/parity.md: case → reason."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*\| ([^|]+) \|$", KNOWN.read_text(), flags=re.MULTILINE)
    return {name: reason.strip() for name, reason in rows}


# What is allowed to differ: numbers that are drawn by lot, clocks, and the engine's own name.
NORMAL = [
    (r"\b[0-9a-f]{64}\b", "<ID>"),
    (r"\b[0-9a-f]{12}\b", "<id>"),
    (r"\b[0-9a-z]{25}\b", "<ID>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4} [A-Z]+)?", "<TIME>"),
    (r"\b172\.[0-9]+\.[0-9]+\.[0-9]+\b", "<ADDRESS>"),
    (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b", "<MAC>"),
    (r"(Less than a|About an?|\d+) (second|minute|hour|day)s?( ago)?", "<AGO>"),
    (r"\bminidock\b", "docker"),
    (r"^docker: ", ""),
    (r"(Error response from daemon|Error): ", ""),
]

ADVICE = r" \((?=[a-z]).*\)$"
"""minidock ends an error with advice in parentheses where it has some; Docker has none."""


def normal(outcome: Outcome, directory: Path) -> Outcome:
    def text(raw: str) -> str:
        raw = raw.replace(str(directory), "<DIR>")
        for pattern, replacement in NORMAL:
            raw = re.sub(pattern, replacement, raw, flags=re.MULTILINE)
        return raw

    errors = re.sub(ADVICE, "", text(outcome.stderr), flags=re.MULTILINE)
    return msgspec.structs.replace(outcome, stdout=text(outcome.stdout), stderr=errors)


def differences(case: Case, docker: Outcome, minidock: Outcome) -> list[str]:
    """What differs, as lines for people; empty when the case passes."""
    found = []
    for stream in ("stdout", "stderr"):
        theirs, ours = getattr(docker, stream), getattr(minidock, stream)
        if stream in case.match:
            pattern = case.match[stream]
            assert re.search(pattern, theirs), f"Docker's {stream} does not match {pattern}: {theirs}"
            same = re.search(pattern, ours) is not None
        else:
            same = theirs == ours
        if not same:
            found.append(f"{stream}\n  docker:   {theirs!r}\n  minidock: {ours!r}")
    if docker.code != minidock.code:
        found.append(f"exit code\n  docker:   {docker.code}\n  minidock: {minidock.code}")
    return found


def run_case(case: Case, engine: Engine, directory: Path) -> Outcome:
    """Run it in an empty directory, then remove the containers that have its name."""
    directory.mkdir(parents=True)
    container = f"p-{case.name}"
    try:
        return engine.run(case.script, directory, container)
    finally:
        if "$C" in case.script:
            engine.run("docker rm -f -v $C $C-2", directory, container)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_same(case: Case, theirs: Engine, ours: Engine, place: Path, request: pytest.FixtureRequest) -> None:
    if case.feature:
        require_feature(case.feature)
    if case.file == SWARM:
        theirs, ours = request.getfixturevalue("swarms")
    directories = [place / engine / case.name for engine in ("docker", "minidock")]
    with ThreadPoolExecutor() as both:
        outcomes = list(both.map(run_case, (case, case), (theirs, ours), directories))
    found = differences(case, *(normal(outcome, where) for outcome, where in zip(outcomes, directories, strict=True)))
    reason = known_differences().get(case.name)
    if reason:
        assert found, f"{case.name} is listed in docs/parity.md ({reason}), but the engines agree"
    else:
        assert not found, f"{case.name}: {case.promise}\n{case.script.strip()}\n" + "\n".join(found)


def test_table_is_true() -> None:
    """Every row of docs/parity.md names a case, and no two cases share a name."""
    names = [case.name for case in cases()]
    assert len(names) == len(set(names))
    assert set(known_differences()) <= set(names)


def test_counts_are_true() -> None:
    """docs/parity.md may say fewer cases of a command than there are, and never more."""
    section = KNOWN.read_text().partition("## What is compared")[2].partition("\n## ")[0]
    rows = re.findall(r"\| ([a-z]+) \| (\d+) ", section)
    assert len(rows) > 20
    for command, count in rows:
        words = rf"docker (?:(?:container|system) )?{command}\b"
        assert sum(bool(re.search(words, case.script)) for case in cases()) >= int(count), command


ABOUT_FILES = r"-v |--volume|--mount |--tmpfs|--expose|--add-host|--dns|/etc/(hosts|resolv)"


def test_counts_of_networks_and_volumes_are_true() -> None:
    """docs/networking.md: all cases of four files, and of two others those that are about volumes and /etc."""
    section = NETWORKING.read_text().partition("## What is compared")[2].partition("\n## ")[0]
    rows = {file: int(count) for file, count in re.findall(r"\| `([a-z]+\.sh)` \| (\d+) ", section)}
    assert len(rows) == 6
    for file, count in rows.items():
        mixed = file in ("files.sh", "flags.sh")
        found = [case for case in cases() if case.file == file and (not mixed or re.search(ABOUT_FILES, case.script))]
        assert len(found) >= count, file
    total = re.search(r"(\d+) cases of", section)
    assert total is not None
    assert int(total[1]) == sum(rows.values())
