"""Fixtures that every test may use, and the rule that CI skips nothing silently (tests/support/needs.py)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from minidock.paths import Layout
from tests.support.dockerd import Docker
from tests.support.images import busybox_layer, docker_archive
from tests.support.instance import Minidock
from tests.support.needs import IN_CI, allowed_in_ci, require_feature, require_root, require_tool
from tests.support.probe import compile_probe, probe_archive

__all__ = ["Docker", "Minidock", "require_feature", "require_root", "require_tool"]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """Where an instance of the test's own would lie; nothing is created. Socket paths stay short: see Layout."""
    place = Layout(tmp_path / "root")
    yield place
    shutil.rmtree(place.run, ignore_errors=True)


@pytest.fixture
def minidock(layout: Layout) -> Iterator[Minidock]:
    """minidock on a root of its own. Afterwards its containers are removed, and anything left fails the test."""
    instance = Minidock(layout)
    yield instance
    instance.close()


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """A real dockerd with bridge networking in a network namespace of its own, for the whole session."""
    require_root()
    daemon, client = require_tool("dockerd"), require_tool("docker")
    directory = Path(tempfile.mkdtemp(prefix="mdt-docker-"))  # short: the socket's path has at most 107 bytes
    real = Docker(directory, client)
    try:
        real.start(daemon)
        yield real
        real.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def busybox_layer_tar() -> bytes:
    """A root file system with the host's static busybox, as a plain tar."""
    return busybox_layer(require_tool("busybox"))


@pytest.fixture(scope="session")
def busybox_image(busybox_layer_tar: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as from `docker save`, with one image named busybox:latest."""
    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    return docker_archive(path, "busybox:latest", [busybox_layer_tar], {"Cmd": ["sh"]})


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program rootfs/probe, compiled."""
    return compile_probe(require_tool("cc"), tmp_path_factory.mktemp("probe") / "probe")


@pytest.fixture(scope="session")
def probe_image(probe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with the image `probe`, which holds nothing else (tests/support/probe.py)."""
    return probe_archive(tmp_path_factory.mktemp("images") / "probe.tar", probe)


# A machine that does other things meanwhile is slow, and nothing is wrong with that
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


# Order, and what goes to which process of pytest-xdist

LONGEST = (
    "test_what_is_marked_vm_passes_on_a_cgroup2_machine",
    "test_the_lab_machine_boots_debian_with_systemd_and_runs_containers_offline",
    "test_real_dockerfiles",
)
"""What begins first, or it is still at it when all others are through."""
TOGETHER = (
    "test_build_docker.py",
    "test_build_buildkit.py",
    "test_remote_same.py",
    "test_registry_tools.py",
    "test_api_matrix.py",
    "test_rootless.py",
    "test_site.py",
    "test_swarm_services.py",
)
"""Files whose tests look at what one fixture has made in a minute: all in one process, or it is made in each."""


class Scheduler(LoadScopeScheduling):
    """Hands out single tests, and the files of TOGETHER whole. (xdist's own --dist loadgroup writes the group into a
    test's name, which pytest 9 no longer lets it do: every test goes by itself then, and nothing says so.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.endswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    config.option.loadscopereorder = False  # or the biggest file of TOGETHER comes before the longest test
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.name) if item.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The guest's own closing line, which the one line of test_vm.py would hide."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "in the VM":
                terminalreporter.write_line(f"{name}: {value}")


# CI skips nothing silently


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        _refuse(report)
    return report


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not allowed_in_ci(reason):
        report.outcome = "failed"
        report.longrepr = f"CI may not skip this: {reason}\n(ALLOWED_SKIPS in tests/support/needs.py)"


# What a test must not inherit from the person who runs it
for _name in ("MINIDOCK_ROOT", "MINIDOCK_HOST", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"):
    os.environ.pop(_name, None)
