"""scripts/gpu-test: that it says plainly when there is no GPU, and that its checks hold on a made-up driver."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import fakegpu
from tests.support.instance import REPOSITORY
from tests.support.needs import require_root, require_tool

SMI = '#include <stdio.h>\nint main(void) { puts("GPU 0: NVIDIA of tin"); return 0; }\n'


def gpu_test(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [REPOSITORY / "scripts/gpu-test"],
        capture_output=True,
        text=True,
        env={**os.environ, "GPU_TEST_ROOT": str(root)},
    )


def test_without_a_gpu_it_says_so_and_is_no_pass(tmp_path: Path) -> None:
    require_root()
    ran = gpu_test(tmp_path)
    assert ran.returncode == 77, ran.stdout + ran.stderr
    assert ran.stdout.endswith("gpu-test: THERE IS NO GPU OF NVIDIA'S HERE. Nothing was tested on one.\n")
    assert "[  ok  ] device filter: " in ran.stdout


@pytest.mark.parametrize("whole", [True, False])
def test_its_checks_hold_on_a_made_up_driver_and_see_what_is_missing(tmp_path: Path, whole: bool) -> None:
    """A library that computes with the processor stands for CUDA's: all but the memory of a real card is checked."""
    require_root()
    require_tool("gcc")
    driver = fakegpu.tree(tmp_path / "host")
    smi = driver / "usr/bin/nvidia-smi"
    smi.unlink()
    if whole:
        subprocess.run(["gcc", "-static", "-o", smi, "-x", "c", "-"], input=SMI, text=True, check=True)
    ran = gpu_test(driver)
    lines = [line for line in ran.stdout.splitlines() if line.startswith(("ok  ", "FAIL"))]
    assert len(lines) >= 11, ran.stdout + ran.stderr
    failed = [line for line in lines if line.startswith("FAIL")]
    if whole:
        assert (ran.returncode, failed) == (0, []), ran.stdout
    else:
        assert ran.returncode == 1 and [line.split(":")[0] for line in failed] == ["FAIL  nvidia-smi"], ran.stdout
