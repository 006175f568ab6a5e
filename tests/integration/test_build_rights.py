"""What a Dockerfile gets only when whoever builds allows it: the host's network, all rights, devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.builds import Build, build, cached, shell
from tests.support.instance import Minidock

__all__ = ["build"]


@pytest.mark.parametrize(
    ("flag", "entitlement"),
    [
        ("--network=host", "network.host"),
        ("--security=insecure", "security.insecure"),
        ("--device=acme.com/gpu=0", "device"),
    ],
)
def test_not_without_leave(build: Build, minidock: Minidock, flag: str, entitlement: str) -> None:
    """Nothing at all is run, and the flag is pointed at; a stage that isn't needed may ask for anything."""
    told = build(f"FROM busybox\nRUN echo first\nRUN {flag} true\n", check=False)
    said = f"{entitlement} is not allowed (build --allow {entitlement} allows it)"
    assert told.returncode == 1 and told.stderr.rstrip().endswith(said) and "echo first\n#" not in told.stderr
    assert f"   3 | >>> RUN {flag} true\n     |         ^~" in told.stderr
    build(f"FROM busybox AS unused\nRUN {flag} true\nFROM busybox\n")


def test_all_rights(build: Build, minidock: Minidock) -> None:
    """A mount tells it. The cache keeps both ways apart."""
    mount = "mkdir -p /m && { mount -t tmpfs none /m && echo yes || echo no; } > /mounted; umount /m || true"
    build(f"FROM busybox\nRUN {mount}\n")
    assert shell(minidock, "cat /mounted") == "no\n"
    told = build(f"FROM busybox\nRUN --security=insecure {mount}\n", "--allow", "security.insecure")
    assert cached(told) == ["1"] and shell(minidock, "cat /mounted") == "yes\n"
    assert cached(build(f"FROM busybox\nRUN --security=sandbox {mount}\n")) == ["1", "2"]


def test_the_hosts_network(build: Build, minidock: Minidock) -> None:
    dockerfile = "FROM busybox\nRUN --network=host readlink /proc/self/ns/net > /net\n"
    build(dockerfile, "--allow", "network.host")
    assert shell(minidock, "cat /net").strip() == str(Path("/proc/self/ns/net").readlink())
    build(dockerfile, "--network", "host", "--no-cache")


def test_devices(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """By name, by class, all of a class; one that isn't there is left out, unless it must be there."""
    (tmp_path / "cdi").mkdir()
    devices = [{"name": name, "containerEdits": {"env": [f"GPU{name}=yes"]}} for name in ("0", "1")]
    spec = {"cdiVersion": "0.6.0", "kind": "acme.com/gpu", "devices": devices}
    (tmp_path / "cdi" / "acme.json").write_text(json.dumps(spec))
    minidock.layout.settings.write_text(json.dumps({"cdi-spec-dirs": [str(tmp_path / "cdi")]}))
    build(
        """FROM busybox
RUN --device=acme.com/gpu=1 echo "$GPU0-$GPU1" > /one
RUN --device=acme.com/gpu echo "$GPU0-$GPU1" > /first
RUN --device=name=acme.com/gpu=* echo "$GPU0-$GPU1" > /all
RUN --device=acme.com/gpu=9 echo "$GPU0-$GPU1" > /none
RUN --device=acme.com/gpu=0 --device=acme.com/gpu=1,required echo "$GPU0-$GPU1" > /both
""",
        *("--allow", "device"),
    )
    assert shell(minidock, "cat /one /first /all /none /both") == "-yes\nyes-\nyes-yes\n-\nyes-yes\n"
    must = "FROM busybox\nRUN --device=acme.com/gpu=9,required true\n"
    told = build(must, "--allow", "device=acme.com/gpu=9", check=False)
    assert told.returncode == 1 and 'required device "acme.com/gpu=9" is not registered' in told.stderr
    told = build(must, "--allow", "device=acme.com/gpu=0", check=False)
    assert told.returncode == 1 and "device is not allowed" in told.stderr


def test_an_entitlement_that_nobody_knows(minidock: Minidock) -> None:
    told = minidock("build", "--allow", "everything", ".")
    assert told.returncode == 125 and "unknown entitlement everything" in told.stderr
