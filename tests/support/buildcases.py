"""The Dockerfiles of tests/interop/builds, read: cases.txt for the classic builder, buildkit.txt for BuildKit."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from minidock.build.grammar import KEYWORDS

PLACE = Path(__file__).resolve().parents[1] / "interop" / "builds"


class Case(msgspec.Struct, frozen=True):
    """`options` are those of `build`."""

    name: str
    dockerfile: str
    options: list[str]

    def has(self, keyword: str) -> bool:
        return re.search(rf"^ *{keyword}\b", self.dockerfile, re.MULTILINE | re.IGNORECASE) is not None

    @property
    def subject(self) -> str:
        """The instruction that it is about, by its name; nothing for the language, the stages, the layers."""
        keyword = self.name.partition("-")[0].upper()
        return keyword if keyword in KEYWORDS else ""


def cases(name: str = "cases.txt") -> list[Case]:
    found = []
    for block in re.split(r"^=== ", (PLACE / name).read_text(), flags=re.MULTILINE)[1:]:
        name, _, body = block.partition("\n")
        options = re.match(r"--- (.*)\n", body)
        body = body[options.end() :] if options else body
        found.append(Case(name, body.strip("\n") + "\n", options[1].split() if options else []))
    return found
