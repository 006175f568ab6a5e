"""Hooks: programs of whoever ordered the container, at six moments of its life."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.oci import Run, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]


def hook(script: str, **more: object) -> dict:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], **more}


def test_hooks_run_in_order_in_their_places_with_the_state(oci: Run, bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    def tell(stage: str, where: str = str(log)) -> dict:
        return hook(f"echo {stage} $(cat) $(readlink /proc/self/ns/uts) $(pwd) >> {where}")

    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", f"echo command - $(readlink /proc/self/ns/uts) $(pwd) >> {log}"]
        config["root"]["readonly"] = False
        config["mounts"].append({"destination": str(log), "type": "bind", "source": str(log), "options": ["bind"]})
        stages = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
        config["hooks"] = {stage: [tell(stage)] for stage in stages}

    result = run_with(oci, bundle, change)
    assert result.returncode == 0, result.stderr
    rows = [line.split(" ") for line in log.read_text().splitlines()]
    ours = os.readlink("/proc/self/ns/uts")
    places = {row[0]: (row[-2] == ours, row[-1]) for row in rows}
    assert places == {
        "prestart": (True, str(bundle)),
        "createRuntime": (True, str(bundle)),
        "createContainer": (False, str(bundle / "rootfs")),
        "startContainer": (False, "/"),
        "command": (False, "/"),
        "poststart": (True, str(bundle)),
        "poststop": (True, str(bundle)),
    }
    assert [row[0] for row in rows][:4] == ["prestart", "createRuntime", "createContainer", "startContainer"]
    told = {row[0]: json.loads(" ".join(row[1:-2])) for row in rows if row[0] != "command"}
    assert {stage: state["status"] for stage, state in told.items()} == {
        "prestart": "creating",
        "createRuntime": "creating",
        "createContainer": "creating",
        "startContainer": "created",
        "poststart": "running",
        "poststop": "stopped",
    }
    assert told["createRuntime"]["id"] == "box"
    assert told["createRuntime"]["bundle"] == str(bundle)
    assert told["createContainer"]["pid"] == 1


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_or_takes_too_long_ends_the_container(oci: Run, bundle: Path, stage: str) -> None:
    for script, more, said in (("echo no >&2; exit 3", {}, "exit status 3"), ("sleep 60", {"timeout": 1}, "timeout")):

        def change(config: dict, script: str = script, more: dict = more) -> None:
            config["hooks"] = {stage: [hook(script, **more)]}

        result = run_with(oci, bundle, change)
        assert result.returncode == 1
        assert f"error running {stage} hook #0: " in result.stderr
        assert said in result.stderr
        assert oci("list", "-q").stdout == ""


@pytest.mark.parametrize("command", ["true", "sleep 60"])
def test_a_poststart_hook_that_fails_destroys_the_container(
    oci: Run, bundle: Path, tmp_path: Path, command: str
) -> None:
    """runtime.md, "Lifecycle": generate an error, stop the container, undo create, run the poststop hooks."""
    ended = tmp_path / "ended"

    def change(config: dict) -> None:
        config["process"]["args"] = command.split()
        config["hooks"] = {"poststart": [hook("exit 4")], "poststop": [hook(f"cat > {ended}")]}

    configure(oci, bundle, change)
    oci("create", "-b", str(bundle), "box")
    result = oci("start", "box", check=False)
    assert result.returncode == 1
    assert "error running poststart hook #0: exit status 4" in result.stderr
    assert oci("list", "-q").stdout == ""
    assert json.loads(ended.read_text())["status"] == "stopped"


def test_a_poststop_hook_that_fails_is_a_warning_and_the_others_run(oci: Run, bundle: Path, tmp_path: Path) -> None:
    ended = tmp_path / "ended"

    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "exit 7"]
        config["annotations"] = {"run.oci.hooks.stdout": str(tmp_path / "said")}
        config["hooks"] = {"poststop": [hook("echo one; exit 5"), hook(f"cat > {ended}; echo two; echo bad >&2")]}

    result = run_with(oci, bundle, change)
    assert result.returncode == 7
    assert "level=warning" in result.stderr
    assert (tmp_path / "said").read_text() == "one\ntwo\n"
    assert "poststop hook failed" in result.stderr  # crun's words, then runc's
    assert "error running poststop hook #0: exit status 5" in result.stderr
    assert json.loads(ended.read_text())["status"] == "stopped"
    assert oci("list", "-q").stdout == ""


def test_a_start_hook_has_the_command_s_filter_and_no_held_right(oci: Run, bundle: Path, tmp_path: Path) -> None:
    """It is a program of the container's: CAP_SYS_ADMIN, which loads the filter, must not be lent to it."""

    def change(config: dict) -> None:
        config["process"]["noNewPrivileges"] = False
        config["process"]["args"] = ["grep", "^CapEff", "/proc/self/status"]
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
        config["hooks"] = {"startContainer": [hook("grep -E '^(CapPrm|CapAmb|Seccomp):' /proc/self/status > /out")]}
        config["root"]["readonly"] = False

    result = run_with(oci, bundle, change)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[1], 16) >> 21 & 1 == 0
    facts = dict(line.split(":\t") for line in (bundle / "rootfs" / "out").read_text().splitlines())
    assert int(facts["CapPrm"], 16) >> 21 & 1 == 0
    assert int(facts["CapAmb"], 16) >> 21 & 1 == 0
    assert facts["Seccomp"] == "2"


def test_a_start_hook_has_the_command_s_environment_unless_it_names_its_own(oci: Run, bundle: Path) -> None:
    for env, seen in ((None, "from the command"), (["PATH=/bin"], "")):

        def change(config: dict, env: list[str] | None = env) -> None:
            config["process"]["env"] = ["PATH=/bin", "WORD=from the command"]
            config["process"]["args"] = ["cat", "/out"]
            config["hooks"] = {"startContainer": [{**hook("echo $WORD > /out"), "env": env}]}
            config["root"]["readonly"] = False

        assert run_with(oci, bundle, change).stdout == f"{seen}\n"


def test_a_failed_hook_is_told_though_the_command_has_ended_meanwhile(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["true"]
        config["hooks"] = {"poststart": [hook("sleep 0.3; exit 3")]}

    result = run_with(oci, bundle, change)
    assert "error running poststart hook #0: exit status 3" in result.stderr
    assert result.returncode != 0
