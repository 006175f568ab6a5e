"""The log of events: written by many at once, rotated, read back, followed, filtered. No root, no daemon."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from minidock.engine import events
from minidock.errors import MinidockError
from minidock.model.events import Actor, Event
from minidock.paths import Layout


def actions(found: Iterator[Event]) -> list[str]:
    return [event.action for event in found]


def past(layout: Layout, **filters: list[str]) -> list[Event]:
    return list(events.read(layout, since=0, until=time.time(), filters=filters))


def test_an_event_has_the_shape_of_dockers_api(layout: Layout) -> None:
    events.emit(layout, "container", "start", "c" * 64, {"name": "web", "image": "busybox"})
    [line] = (layout.events / "log").read_text().splitlines()
    found = msgspec.json.decode(line)
    nanoseconds = found.pop("timeNano")
    assert found.pop("time") == nanoseconds // 10**9
    assert list(found) == ["status", "id", "from", "Type", "Action", "Actor", "scope"]
    assert (found["status"], found["id"], found["from"]) == ("start", "c" * 64, "busybox")
    assert found["Actor"] == {"ID": "c" * 64, "Attributes": {"image": "busybox", "name": "web"}}
    assert list(found["Actor"]["Attributes"]) == ["image", "name"]


def test_networks_and_volumes_have_no_members_for_old_clients(layout: Layout) -> None:
    events.emit(layout, "volume", "create", "data", {"driver": "local"})
    found = msgspec.json.decode((layout.events / "log").read_bytes())
    assert not {"status", "id", "from"} & set(found)


def test_since_and_until_choose(layout: Layout) -> None:
    times = []
    for action in ("one", "two", "three"):
        times.append(time.time())
        events.emit(layout, "container", action, "c")
        time.sleep(0.002)
    assert actions(events.read(layout, since=0, until=time.time())) == ["one", "two", "three"]
    assert actions(events.read(layout, since=times[1], until=time.time())) == ["two", "three"]
    assert actions(events.read(layout, until=times[2])) == ["one", "two"]


def test_times_the_wrong_way_round(layout: Layout) -> None:
    with pytest.raises(MinidockError, match=r"`since` time \(10\) cannot be after `until` time \(5\)"):
        list(events.read(layout, since=10, until=5))


def test_no_event_is_lost_nor_torn_when_many_write_and_the_log_rotates(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes write 400 events while the log rotates every 60 kB, and a follower sees each exactly once."""
    monkeypatch.setattr(events, "LIMIT", 60_000)  # two rotations: a follower that sleeps through both still has all
    seen: list[str] = []
    ready = threading.Event()

    def follow() -> None:
        for event in events.read(layout):
            if event.action == "ready":
                ready.set()
            elif event.action == "end":
                if len(seen) >= 400:  # else a late writer's line in the file before is still to come
                    return
            else:
                seen.append(event.actor.id)

    reader = threading.Thread(target=follow)
    reader.start()
    while not ready.wait(0.05):
        events.emit(layout, "container", "ready", "x")
    children = []
    for writer in range(4):
        if (pid := os.fork()) == 0:
            for number in range(100):
                events.emit(layout, "container", "start", f"{writer}-{number}", {"name": "n" * 50})
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    deadline = time.monotonic() + 20
    while reader.is_alive() and time.monotonic() < deadline:
        events.emit(layout, "container", "end", "x")
        reader.join(0.05)
    assert not reader.is_alive()
    assert sorted(seen) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(100))
    assert sorted(os.listdir(layout.events)) == ["log", "log.1"]
    assert (layout.events / "log.1").stat().st_size < 65_000


def test_a_late_writer_into_the_file_before_is_heard(layout: Layout) -> None:
    """It had the log open when it was renamed."""
    events.emit(layout, "container", "first", "c")
    with (layout.events / "log").open("ab") as late, events.Tail(layout.events / "log", past=True) as tail:
        assert actions(tail.events()) == ["first"]
        (layout.events / "log").rename(layout.events / "log.1")
        events.emit(layout, "container", "second", "c")
        assert actions(tail.events()) == ["second"]
        late.write((layout.events / "log.1").read_bytes())
        late.flush()
        assert actions(tail.events()) == ["first"]


def test_without_a_time_the_past_is_past(layout: Layout) -> None:
    events.emit(layout, "container", "old", "c")
    (layout.events / "log").rename(layout.events / "log.1")
    events.emit(layout, "container", "older", "c")
    with events.Tail(layout.events / "log", past=False) as tail:
        assert actions(tail.events()) == []
        events.emit(layout, "container", "new", "c")
        assert actions(tail.events()) == ["new"]


def test_half_a_line_spoils_only_itself(layout: Layout) -> None:
    events.emit(layout, "container", "one", "c")
    with (layout.events / "log").open("ab") as file:
        file.write(b'{"Type":"conta\n')
    events.emit(layout, "container", "two", "c")
    assert [event.action for event in past(layout)] == ["one", "two"]


def test_following_sleeps_until_something_happens(layout: Layout) -> None:
    """It uses next to no processor time while nothing happens, and wakes at once."""
    begun = time.process_time()
    found = events.read(layout, until=time.time() + 0.5)
    assert list(found) == []
    assert time.process_time() - begun < 0.1
    heard = threading.Event()

    def write() -> None:
        while not heard.wait(0.05):
            events.emit(layout, "container", "start", "c")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert next(events.read(layout)).action == "start"
    finally:
        heard.set()
        writer.join()


def test_a_full_disk_does_not_stop_a_verb(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    events.emit(layout, "container", "destroy", "c")
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input/output"):
        events.emit(layout, "container", "destroy", "c")


# filters

START = Event(
    type="container", action="start", actor=Actor("abc123", {"name": "web", "image": "busybox:1.0", "k": "v"})
)
EXEC = Event(type="container", action="exec_create: ls -l", actor=Actor("abc123", {"name": "web", "image": "busybox"}))
PULL = Event(type="image", action="pull", actor=Actor("busybox:latest", {"name": "busybox"}), scope="local")


@pytest.mark.parametrize(
    ("event", "filters", "fits"),
    [
        (START, {}, True),
        (START, {"type": ["container"]}, True),
        (START, {"type": ["image", "network"]}, False),
        (START, {"event": ["stop", "start"]}, True),
        (START, {"event": ["sta"]}, False),
        (EXEC, {"event": ["exec_create"]}, True),
        (EXEC, {"event": ["exec_create: ls -l"]}, True),
        (EXEC, {"event": ["exec_start"]}, False),
        (START, {"container": ["web"]}, True),
        (START, {"container": ["abc"]}, True),
        (START, {"container": ["bc1"]}, False),
        (START, {"network": ["web"], "container": ["x"]}, False),
        (START, {"image": ["busybox"]}, True),
        (START, {"image": ["busybox:1.0"]}, True),
        (START, {"image": ["busy"]}, False),
        (PULL, {"image": ["busybox"]}, True),
        (PULL, {"image": ["busybox:latest"]}, True),
        (START, {"label": ["k"]}, True),
        (START, {"label": ["k=v"]}, True),
        (START, {"label": ["k=other"]}, False),
        (START, {"label": ["k", "missing"]}, False),
        (PULL, {"scope": ["swarm"]}, False),
    ],
)
def test_filters_are_dockers(event: Event, filters: dict[str, list[str]], fits: bool) -> None:
    assert events.fits(event, filters) is fits
