"""inspect --kernel: every command that it shows works, and shows what it says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from minidock.model.facts import KernelFact, KernelSection
from tests.support.instance import Minidock
from tests.support.needs import require_root


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def sections(engine: Minidock, name: str) -> dict[str, list[KernelFact]]:
    shown = engine("inspect", "--kernel", "--format", "json", name, check=True).stdout
    return {section.title: section.facts for section in msgspec.json.decode(shown, type=list[KernelSection])}


def said(command: str) -> str:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.vm
def test_the_commands_show_what_is_said(engine: Minidock) -> None:
    options = ("-m", "64m", "--pids-limit", "33", "--cpus", "0.5", "-p", "127.0.0.1:18171:80", "-u", "8")
    engine("run", "-d", "--name", "box", *options, "busybox", "sleep", "1000", check=True)
    found = sections(engine, "box")
    for facts in found.values():
        for command in {fact.command for fact in facts}:
            if shutil.which(command.split()[0]):
                assert said(command)
    for fact in found["Namespaces"][:8]:
        assert fact.value.split(",")[0] in said(fact.command)
    assert {fact.name for fact in found["Namespaces"] if fact.value.endswith("its own")} >= {"pid", "mount", "network"}
    cgroup = {fact.name: fact for fact in found["Cgroup"]}
    assert cgroup["memory: limit"].value == said(cgroup["memory: limit"].command).strip() == str(64 << 20)
    assert cgroup["pids: limit"].value == said(cgroup["pids: limit"].command).strip() == "33"
    assert cgroup["cpu: limit"].value == "0.5 processors"
    network = {fact.name: fact for fact in found["Network"]}
    assert "eth0 of the container" in network["cable"].value
    [rule] = found["Rules"]
    assert "18171" in rule.value
    assert {fact.name: fact.value for fact in found["Process"]}["user, group"].startswith("8, ")
    assert {fact.name: fact.value for fact in found["Rights"]}["effective"] == "none"


def test_what_is_shared_is_the_hosts(engine: Minidock) -> None:
    engine("run", "-d", "--name", "open", "--network", "host", "--pid", "host", "busybox", "sleep", "1000", check=True)
    found = sections(engine, "open")
    shared = {fact.name for fact in found["Namespaces"] if fact.value.endswith("the host's")}
    assert shared >= {"network", "pid", "user"}
    assert [fact.value for fact in found["Network"]] == ["the host's own"]
    assert "Rules" not in found


def test_it_is_told_for_people_and_only_of_what_runs(engine: Minidock) -> None:
    engine("run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000", check=True)
    engine("create", "--name", "idle", "busybox", "true", check=True)
    shown = engine("container", "inspect", "--kernel", "box", "idle", "nosuch")
    assert shown.returncode == 1
    assert "Namespaces   (man: namespaces(7), code: minidock/kernel/namespaces.py)\n  $ readlink /proc/" in shown.stdout
    assert shown.stderr.count("is not running") == shown.stderr.count("No such container: nosuch") == 1
    assert engine("inspect", "--kernel", "-f", "{{.}}", "box").returncode == 1
