"""Subordinate ids: which users of the host a user namespace may use for its own.

/etc/subuid and /etc/subgid say it: "name:first:count" (subuid(5)). A container's ids 0, 1, 2 … are laid over a user's
ranges in order: root inside is the first of them, and to the host a nobody.
"""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

from minidock.errors import MinidockError
from minidock.spec import IdMapping

SUBUID, SUBGID = Path("/etc/subuid"), Path("/etc/subgid")


def mappings(file: Path, name: str, number: int | None) -> list[IdMapping]:
    """The ranges of one user or group, by name or number. Raises MinidockError when it has none."""
    wanted = {name} if number is None else {name, str(number)}
    found: list[IdMapping] = []
    inside = 0
    for first, count in _ranges(file, wanted):
        found.append(IdMapping(inside, first, count))
        inside += count
    if not found:
        raise MinidockError(
            f"{name} has no subordinate ids in {file}",
            hint=f"echo {name}:100000:65536 >> {file} (subuid(5)) gives it 65536 that nobody else should have",
        )
    return found


def _ranges(file: Path, wanted: set[str]) -> list[tuple[int, int]]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    rows = [line.strip().split(":") for line in lines if line.strip() and not line.startswith("#")]
    for row in rows:
        if len(row) != 3 or not (row[1].isdecimal() and row[2].isdecimal()):
            raise MinidockError(f"{file}: not a line of subuid(5): {':'.join(row)}")
    return [(int(first), int(count)) for name, first, count in rows if name in wanted and int(count) > 0]


def user_id(name: str) -> int | None:
    """The number of a user, by name or number; None when the host knows no such name."""
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def demo() -> None:
    """Print who has subordinate ids here."""
    for file in (SUBUID, SUBGID):
        print(f"{file}:", file.read_text().split() if file.exists() else "isn't there")


if __name__ == "__main__":
    demo()
