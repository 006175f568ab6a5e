"""What ADD fetches comes whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.build.fetching import download
from minidock.errors import MinidockError
from tests.support.odd_answers import answering

OK = b"HTTP/1.1 200 OK\r\n"


def test_a_whole_answer_is_a_file(tmp_path: Path) -> None:
    with answering(OK + b"Content-Length: 3\r\n\r\nabc") as address:
        assert download(address, tmp_path).path.read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OK + b"Content-Length: 5000\r\n\r\nabc", "it broke off"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc", "IncompleteRead"),
        (b"SSH-2.0-x\r\n", "SSH-2.0-x"),
    ],
)
def test_what_breaks_off_is_told(tmp_path: Path, answer: bytes, reason: str) -> None:
    with answering(answer) as address, pytest.raises(MinidockError, match=f"failed to load {address}: {reason}"):
        download(address, tmp_path)
