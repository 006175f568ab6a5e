"""A failure at every step of the plan, on the host and in the child: nothing may be left, and the error says which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.instance import REPOSITORY, SLOWNESS, Minidock, leftovers
from tests.support.needs import IN_VM

pytestmark = pytest.mark.vm

# Runs in a process of its own, as the command line does: a container is never cloned from a threaded process.
DRIVER = '''
import sys
from pathlib import Path
from minidock import errors
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.requests import CreateRequest
from minidock.engine import Engine
from minidock.paths import Layout

root, wanted = sys.argv[1:]
failing = int(wanted)

class Saboteur:
    """Counts the steps as they begin, in A and (a copy of us) in C, and fails the wanted one."""

    def __init__(self):
        self.count = -1
        self.done_steps = []

    def moved(self, where):
        pass

    def started(self, step):
        self.count += 1
        if self.count == failing:
            raise errors.MinidockError(f"sabotage of: {step.describe()}")

    def done(self, step, seconds):
        self.done_steps.append(step.describe())

    def failed(self, step, error):
        pass

    def undone(self, step):
        pass

narrator = Saboteur()
engine = Engine(Layout(Path(root)))
request = CreateRequest(
    config=ContainerConfig(image="busybox", cmd=["true"], tty=True, open_stdin=True),
    host_config=HostConfig(
        memory=64 << 20, pids_limit=50, auto_remove=True, readonly_rootfs=True,
        port_bindings={"80/tcp": [PortBinding(host_port="")]}, tmpfs={"/tmp": ""},
    ),
    name="victim",
)
created = engine.create(request)
try:
    engine.start(created.id, narrator=narrator)
except errors.MinidockError as error:
    print(error)
    sys.exit(3)
print(narrator.count + 1)
for step in narrator.done_steps:
    print(step)
'''


def drive(minidock: Minidock, failing: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(minidock.layout.root), str(failing)],
        capture_output=True, text=True, timeout=60 * SLOWNESS, cwd=REPOSITORY,
    )  # fmt: skip


def test_a_failure_at_every_step_leaves_nothing(minidock: Minidock, busybox_image: Path) -> None:
    minidock("load", "-i", str(busybox_image), check=True)
    whole = drive(minidock, -1)
    assert whole.returncode == 0, whole.stderr
    count, *ours = whole.stdout.splitlines()
    assert int(count) > 60
    minidock("rm", "-f", "victim")
    # The emulated machine takes seconds for each: there only the host's steps that are others on version 2.
    of_cgroups = [number for number, step in enumerate(ours) if "cgroup" in step or "filter devices" in step]
    assert len(of_cgroups) >= 2
    for failing in of_cgroups if IN_VM else range(int(count)):
        result = drive(minidock, failing)
        assert result.returncode == 3, f"step {failing}: {result.stdout}{result.stderr}"
        assert "sabotage of: " in result.stdout
        minidock("rm", "-f", "victim")
        left = [line for line in leftovers(minidock.layout) if not _shared(minidock, line)]
        assert not left, f"step {failing} ({result.stdout.strip()}) left {left}"
        assert not list((minidock.layout.run / "containers").iterdir()), f"step {failing} left its run directory"


def _shared(minidock: Minidock, line: str) -> bool:
    """The instance's bridge, table and parent cgroup stay for the next container; tested to go at the end."""
    layout = minidock.layout
    shared = (f"link {layout.bridge}", f"nft table inet {layout.nft_table}")
    return line in shared or (line.startswith("cgroup ") and " with " not in line)
