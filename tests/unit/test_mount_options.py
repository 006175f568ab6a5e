"""What the words of a bind mount come to."""

from __future__ import annotations

import pytest

from minidock.kernel.mount_options import (
    ATIME_MASK,
    NOATIME,
    NODEV,
    NODIRATIME,
    NOEXEC,
    NOSUID,
    NOSYMFOLLOW,
    RDONLY,
    STRICTATIME,
    of_bind,
    of_locked,
)
from minidock.kernel.remount import numbers

ALL = RDONLY | NOSUID | NODEV | NOEXEC | NOSYMFOLLOW


@pytest.mark.parametrize(
    ("words", "to_set", "to_clear"),
    [
        ([], 0, 0),
        (["rbind", "rprivate", "rro"], 0, 0),
        (["bind", "ro"], RDONLY, ALL & ~RDONLY),
        (["bind", "ro", "rw"], 0, ALL),
        (["bind", "dev"], 0, ALL),
        (["nosuid", "noatime"], NOSUID | NOATIME, ALL & ~NOSUID | ATIME_MASK | NODIRATIME),
        (["atime"], 0, ALL),
        (["noatime", "strictatime"], STRICTATIME, ALL | ATIME_MASK | NODIRATIME),
        (["nodiratime"], NODIRATIME, ALL | ATIME_MASK),
    ],
)
def test_of_bind(words: list[str], to_set: int, to_clear: int) -> None:
    assert of_bind(words) == (to_set, to_clear)


@pytest.mark.parametrize(
    ("words", "found", "result"),
    [
        (["nodev"], {"ro", "relatime"}, (RDONLY | NODEV, ALL & ~(RDONLY | NODEV))),
        (["nodev", "rw"], {"ro", "relatime"}, None),
        (["rw"], {"nosuid", "relatime"}, (NOSUID, ALL & ~NOSUID)),
        (["ro", "symfollow"], {"nosymfollow", "noatime"}, (RDONLY, ALL & ~RDONLY)),
        (["ro", "noatime"], {"noatime"}, (RDONLY, ALL & ~RDONLY)),
        (["ro", "noatime"], {"relatime"}, None),
        (["relatime"], {"strictatime"}, None),
        (["ro", "atime"], {"noatime"}, None),
    ],
)
def test_of_locked(words: list[str], found: set[str], result: tuple[int, int] | None) -> None:
    assert of_locked(words, found) == result


@pytest.mark.parametrize(
    ("words", "bits"),
    [
        (["remount", "size=1k"], 0),
        (["ro", "nosuid", "nodev", "noexec"], 0xF),
        (["ro", "rw", "iversion"], 1 << 23),
        (["noatime", "relatime"], 1 << 21),
        (["nosymfollow", "sync", "async"], 1 << 8),
    ],
)
def test_bits_of_mount_2(words: list[str], bits: int) -> None:
    """sys/mount.h: MS_RDONLY … MS_NOEXEC, MS_I_VERSION, MS_RELATIME, MS_NOSYMFOLLOW."""
    assert numbers(words) == bits
