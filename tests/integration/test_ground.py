"""The ground that other tests stand on: real Docker answers, and what is left behind is seen."""

import os
import subprocess
from pathlib import Path

import pytest

from minidock.paths import Layout
from tests.support.dockerd import Docker
from tests.support.instance import Minidock, leftovers
from tests.support.needs import require_root


def test_docker_loads_and_runs_the_busybox_archive(docker: Docker, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    said = docker("run", "--rm", "busybox", "sh", "-c", "id -u user; ip -4 addr show eth0 | grep -c inet", check=True)
    assert said.stdout == "1000\n1\n"


def test_a_fresh_instance_leaves_nothing(layout: Layout) -> None:
    assert leftovers(layout) == []


def test_a_container_leaves_nothing(minidock: Minidock, busybox_image: Path) -> None:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    said = minidock("run", "--rm", "busybox", "echo", "hello", check=True)
    assert said.stdout == "hello\n"
    minidock("run", "-d", "busybox", "sleep", "60", check=True)
    assert f"link {minidock.layout.bridge}" in leftovers(minidock.layout)


def test_what_is_left_behind_is_named(layout: Layout) -> None:
    require_root()
    layout.run.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(layout.run)], check=True)
    subprocess.run(["ip", "link", "add", f"{layout.bridge}x", "type", "bridge"], check=True)
    sleeper = subprocess.Popen([f"{layout.root}/sleeper", "60"], executable="/bin/sleep")
    try:
        with pytest.raises(AssertionError) as failure:
            Minidock(layout).close()
    finally:
        sleeper.kill()
        sleeper.wait()
        subprocess.run(["ip", "link", "delete", f"{layout.bridge}x"], check=True)
    for kind in (f"mount {layout.run}", f"link {layout.bridge}x", f"process {sleeper.pid}"):
        assert kind in str(failure.value)
    assert not os.path.ismount(layout.run), "pytest deletes a test's directory, and with it what is mounted in there"
    assert leftovers(layout) == []
