"""A layer's stream, read in a thread of its own before it is wanted."""

import threading
import time

import pytest

from minidock.errors import InvalidImage
from minidock.image.ahead import AHEAD, reading_ahead

CHUNKS = [b"%d" % number for number in range(100)]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read ahead"]


def nothing() -> None:
    raise AssertionError("nobody gave up")


def test_all_comes_through_in_order() -> None:
    chunks = iter(CHUNKS)
    with reading_ahead(lambda n: next(chunks, b""), nothing) as read:
        assert [read(1) for _ in CHUNKS] == CHUNKS
        assert read(1) == read(1) == b""
    assert not threads()


def test_no_more_waits_than_is_said() -> None:
    """Memory stays the same whatever the layer's size."""
    asked: list[int] = []
    given = iter(CHUNKS)

    def source(n: int) -> bytes:
        asked.append(n)
        return next(given, b"")

    with reading_ahead(source, nothing) as read:
        assert read(1) == CHUNKS[0]
        deadline = time.monotonic() + 10
        while len(asked) < AHEAD + 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert AHEAD + 1 <= len(asked) <= AHEAD + 2  # one has been taken, one may be in the thread's hands
    assert not threads()


def test_what_came_before_an_error_is_given_before_it_is_raised() -> None:
    given = iter(CHUNKS[:2])

    def source(n: int) -> bytes:
        try:
            return next(given)
        except StopIteration:
            raise InvalidImage("damaged") from None

    gave_up = threading.Event()
    with pytest.raises(InvalidImage, match="damaged"), reading_ahead(source, gave_up.set) as read:
        assert (read(1), read(1)) == (CHUNKS[0], CHUNKS[1])
        read(1)
    assert gave_up.is_set() and not threads()


def test_whoever_fails_waits_for_no_source() -> None:
    """A bad layer is refused at once, even when the registry sends nothing any more."""
    silent = threading.Event()

    def source(n: int) -> bytes:
        assert silent.wait(20)
        return b""

    begun = time.monotonic()
    with pytest.raises(InvalidImage, match="bad"), reading_ahead(source, silent.set):
        raise InvalidImage("bad")
    assert time.monotonic() - begun < 10 and not threads()


def test_without_a_way_to_end_it_there_is_no_thread() -> None:
    with reading_ahead(lambda n: b"", None) as read:
        assert not threads() and read(1) == b""
