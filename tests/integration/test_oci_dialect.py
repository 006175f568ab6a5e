"""Where runc and crun differ: ours is runc's way, and crun's behind a link of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, args, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]

STATUS = ["grep", "NoNewPrivs", "/proc/self/status"]


@pytest.fixture
def crun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called by a link named crun, as scripts/minidock-oci tells it."""
    monkeypatch.setenv("MINIDOCK_OCI_NAME", "crun")


def told(oci: Run, *flags: str) -> str:
    return oci("exec", *flags, "box", *STATUS).stdout.split()[1]


def test_exec_keeps_no_new_privs_unless_it_is_taken_back(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    assert [told(oci), told(oci, "--no-new-privs=false"), told(oci, "--no-new-privs")] == ["1", "0", "1"]


@pytest.mark.usefixtures("crun")
def test_exec_as_crun_has_it_by_the_flag_alone(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    assert [told(oci), told(oci, "--no-new-privs")] == ["0", "1"]


def test_where_create_container_hooks_stand(
    oci: Run, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["true"]
        command = ["sh", "-c", f"pwd >> {tmp_path}/places"]
        config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": command}]}

    for name in ("runc", "crun"):
        monkeypatch.setenv("MINIDOCK_OCI_NAME", name)
        assert run_with(oci, bundle, change).stderr == ""
    assert (tmp_path / "places").read_text().split() == [str(bundle / "rootfs"), str(bundle)]


@pytest.mark.usefixtures("crun")
def test_help_as_crun_s(oci: Run) -> None:
    assert oci("delete", "--help").stdout.startswith("Usage: crun [OPTION...] delete CONTAINER\n")
    assert oci("exec", "--help").stdout.startswith("Usage: crun [OPTION...] exec CONTAINER cmd\n")
