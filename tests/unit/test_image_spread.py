"""The hint to the file system where to put trees: given once, and nobody's trouble where it isn't understood."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path

import pytest

from minidock.image.spread import FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL, spread_below

EXTENTS = 0x00080000


def test_the_flag_is_added_once_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags, calls = [EXTENTS], []

    def ioctl(_fd: int, request: int, argument: bytes) -> bytes:
        calls.append(request)
        if request == FS_IOC_SETFLAGS:
            flags[0] = int.from_bytes(argument, sys.byteorder)
        return flags[0].to_bytes(4, sys.byteorder)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    spread_below(tmp_path)
    spread_below(tmp_path)
    assert flags == [EXTENTS | FS_TOPDIR_FL]
    assert calls == [FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_GETFLAGS]


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EOPNOTSUPP, errno.EPERM, errno.EROFS])
def test_a_file_system_may_not_know_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def ioctl(_fd: int, _request: int, _argument: bytes) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    before = len(os.listdir("/proc/self/fd"))
    spread_below(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before
