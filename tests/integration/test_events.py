"""events: what the verbs tell, in order, also when nobody is there to tell it but a shim."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pexpect
import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def past(engine: Minidock, *words: str) -> list[str]:
    form = "{{.Type}} {{.Action}}"
    return engine("events", "--since", "0", "--until", "0s", "--format", form, *words, check=True).stdout.splitlines()


def follow(engine: Minidock, *words: str) -> subprocess.Popen[str]:
    """`minidock events`, listening for sure: it has told of an exec that we made for this."""
    form = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}"
    command = [*engine.command, "events", "--since", "0", "--format", form, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_life_of_a_container(engine: Minidock) -> None:
    engine("run", "--rm", "--network", "none", "-v", "data:/data", "busybox", "true", check=True)
    assert past(engine, "--filter", "type=container", "--filter", "type=network", "--filter", "type=volume") == [
        "volume create",
        "container create",
        "container attach",
        "network connect",
        "volume mount",
        "container start",
        "container die",
        "network disconnect",
        "volume unmount",
        "container destroy",
    ]


def test_a_commit_says_that_the_container_stands_still_for_it(engine: Minidock) -> None:
    engine("run", "-d", "--name", "one", "--network", "none", "busybox", "sleep", "1000", check=True)
    kinds = [word for event in ("pause", "unpause", "commit") for word in ("--filter", f"event={event}")]
    engine("commit", "one", "mine", check=True)
    assert past(engine, *kinds) == ["container pause", "container unpause", "container commit"]
    engine("commit", "--pause=false", "one", "mine", check=True)
    assert past(engine, *kinds)[3:] == ["container commit"]


def test_containers_are_found_by_what_their_image_was_made_from(engine: Minidock) -> None:
    engine("create", "--name", "old", "--network", "none", "busybox", check=True)
    engine("commit", "old", "mine", check=True)
    engine("tag", "mine", "other:name", check=True)
    engine("create", "--name", "new", "--network", "none", "mine", check=True)

    def made_from(*names: str) -> list[str]:
        words = [word for name in names for word in ("--filter", f"ancestor={name}")]
        return engine("ps", "-a", "--format", "{{.Names}}", *words, check=True).stdout.split()

    assert made_from("busybox") == made_from("mine", "busybox:latest") == ["new", "old"]
    assert made_from("other:name") == ["new"]
    assert made_from(engine("images", "-q", "mine", check=True).stdout.strip()) == ["new"]
    assert made_from("nosuch") == made_from("NO:SUCH:NAME") == []


def test_a_follower_hears_of_the_end_that_only_a_shim_saw(engine: Minidock) -> None:
    engine("run", "-d", "--name", "short", "--network", "none", "busybox", "sh", "-c", "exit 3", check=True)
    listener = follow(engine, "--filter", "event=die", "--filter", "event=start")
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "container start short\n"
        assert listener.stdout.readline() == "container die short\n"
    finally:
        listener.kill()
        listener.communicate()
    shown = engine("events", "--since", "1h", "--until", "0s", "--filter", "event=die", "--format", "json").stdout
    attributes = msgspec.json.decode(shown)["Actor"]["Attributes"]
    assert 0 <= int(attributes.pop("execDuration")) < 30
    assert attributes == {"exitCode": "3", "image": "busybox", "name": "short"}


def test_signals_are_told_before_what_they_lead_to(engine: Minidock) -> None:
    engine("run", "-d", "--name", "long", "--network", "none", "busybox", "sleep", "100", check=True)
    engine("stop", "-t", "0", "long", check=True)
    engine("rm", "long", check=True)
    engine("rm", "-f", "nosuch")
    assert past(engine, "--filter", "type=container")[2:] == [
        "container kill",
        "container kill",
        "container die",
        "container stop",
        "container destroy",
    ]


def test_a_detached_exec_ends_with_an_event_and_leaves_nothing(engine: Minidock) -> None:
    engine("run", "-d", "--name", "host", "--network", "none", "busybox", "sleep", "100", check=True)
    engine("exec", "-d", "host", "sh", "-c", "exit 7", check=True)
    listener = follow(engine, "--filter", "event=exec_die")
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "container exec_die host\n"
    finally:
        listener.kill()
        listener.communicate()
    engine("exec", "host", "true", check=True)
    words = engine(
        "events", "--since", "0", "--until", "0s", "--filter", "label=execID", "--format", "{{json .}}"
    ).stdout
    told = [msgspec.json.decode(line) for line in words.splitlines()]
    codes = [event["Actor"]["Attributes"].get("exitCode") for event in told]
    assert codes == [None, None, "7", None, None, "0"]
    assert told[0]["Action"] == "exec_create: sh -c exit 7"
    assert len({event["Actor"]["Attributes"]["execID"] for event in told}) == 2
    sessions = list(engine.layout.run.glob("containers/*/exec/*"))
    assert not sessions


def test_detaching_by_keys_is_told_and_the_rest_is_the_shims(engine: Minidock) -> None:
    """Of a run and of an exec, which ends later by itself."""
    leave = "\x10\x11"  # Ctrl-p Ctrl-q
    run = ["run", "-it", "--name", "left", "--network", "none", "busybox", "sh"]
    execute = ["exec", "-it", "left", "sh", "-c", "echo ready; until [ -e /tmp/end ]; do sleep 0.1; done; exit 6"]
    for words, ready in ((run, "# "), (execute, "ready")):
        shell = pexpect.spawn(engine.command[0], [*engine.command[1:], *words], timeout=30, encoding="utf-8")
        try:
            shell.expect_exact(ready)
            shell.send(leave)
            shell.expect(pexpect.EOF)
        finally:
            shell.close(force=True)
    listener = follow(engine, "--filter", "event=exec_die")
    try:
        engine("exec", "left", "touch", "/tmp/end", check=True)
        assert listener.stdout is not None
        assert [listener.stdout.readline() for _ in range(2)] == ["container exec_die left\n"] * 2
    finally:
        listener.kill()
        listener.communicate()
    assert [line for line in past(engine, "--filter", "container=left") if "detach" in line] == [
        "container detach",
        "container exec_detach",
    ]
