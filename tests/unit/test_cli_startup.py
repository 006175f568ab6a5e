"""Starting is part of every command: what the hot commands must not import, seen from a fresh interpreter."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

HEAVY = {
    *(
        "asyncio",
        "subprocess",
        "tarfile",
        "urllib.request",
        "pyroute2",
        "shutil",
        "tempfile",
        "argparse",
        "dataclasses",
    ),
    *("json", "ipaddress", "fractions", "decimal", "minidock.engine", "minidock.kernel"),
    *("minidock.daemon", "http.client", "socket"),
}

PROBE = """
import sys
from minidock.cli import app
import click
for name in {names}:
    noun, _, verb = name.rpartition(" ")
    group = app.get_command(click.Context(app), noun) if noun else app
    assert group.get_command(click.Context(group), verb)
print("\\n".join(sys.modules))
"""


def modules_after(*names: str) -> set[str]:
    probe = PROBE.format(names=list(names))
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    click_alone = subprocess.run(
        [sys.executable, "-c", "import sys, click, msgspec; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split()) - set(click_alone.stdout.split())


@pytest.mark.parametrize("name", ["run", "ps", "exec", "logs", "stop", "rm", "start", "container ls"])
def test_a_command_is_loaded_without_heavy_modules(name: str) -> None:
    assert not modules_after(name) & HEAVY


def test_ps_does_not_load_run() -> None:
    loaded = modules_after("ps")
    assert "minidock.cli.ps" in loaded
    assert not {"minidock.cli.run", "minidock.cli.run_flags", "minidock.cli.gotemplate", "minidock.cli.help"} & loaded


def test_run_loads_its_flags_and_no_other_command() -> None:
    loaded = {name for name in modules_after("run") if name.startswith("minidock.cli.")}
    assert not {"minidock.cli.ps", "minidock.cli.tables", "minidock.cli.explain", "minidock.cli.inspect"} & loaded


PRESS = """
import os, signal, sys
class Press:
    def find_spec(self, name, *_):
        if name == "minidock.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
from minidock.__main__ import main
main()
"""
"""Ctrl-C while modules are loaded."""


def test_ctrl_c_at_the_very_beginning_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PRESS, "version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
