"""--gpus for NVIDIA, on a tree made by hand: what a program in the container finds of the driver. No GPU is needed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.engine import cdi_generate, gpu_doctor
from tests.support import fakegpu
from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool


@pytest.fixture
def driver(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Iterator[Path]:
    """An instance whose only CDI file was generated from the tree, and the image `asker`."""
    require_root()
    require_tool("gcc")
    minidock("load", "-i", str(busybox_image), check=True)
    root = fakegpu.tree(tmp_path / "host")
    image = fakegpu.asker(tmp_path)
    (image.parent / "Dockerfile").write_text(
        "FROM busybox\nCOPY image/ /\nENV NVIDIA_DRIVER_CAPABILITIES=compute,video\n"
    )
    minidock("build", "-q", "-t", "asker", str(tmp_path), check=True)
    (tmp_path / "cdi").mkdir()
    minidock("cdi", "generate", "--driver-root", str(root), "-o", str(tmp_path / "cdi/gpu.json"), check=True)
    minidock.layout.settings.write_text(json.dumps({"cdi-spec-dirs": [str(tmp_path / "cdi")]}))
    yield root
    for name in minidock("ps", "-aq", check=True).stdout.split():
        minidock("rm", "-f", name, check=True)


def test_a_program_finds_the_libraries_of_the_capabilities_that_it_has(minidock: Minidock, driver: Path) -> None:
    """By their SONAMEs, in a directory that the image's loader doesn't know: no hook, no ldconfig in the image."""
    minidock("create", "--name", "gpu", "--gpus", "all", "asker", "/ask", check=True)
    for _ in range(2):  # a second start changes nothing
        said = dict(line.split() for line in minidock("start", "-a", "gpu", check=True).stdout.splitlines())
        assert said == {
            "libcuda.so.1": "found",
            "libcuda.so": "found",
            "libnvidia-ml.so.1": "missing",
            "libnvcuvid.so.1": "found",
        }
    changed = minidock("diff", "gpu", check=True).stdout
    assert "A /etc/ld.so.cache" in changed and "A /etc/ld.so.conf.d/zz-minidock.conf" in changed
    script = "nvidia-smi; echo $NVIDIA_VISIBLE_DEVICES $NVIDIA_DRIVER_CAPABILITIES; ls /dev | grep nvidia"
    options = ("--rm", "--gpus", '"device=1","capabilities=utility"')
    said = minidock("run", *options, "asker", "sh", "-c", script, check=True).stdout
    nodes = ["nvidia-uvm", "nvidia-uvm-tools", "nvidia1", "nvidiactl"]
    assert said.split() == ["NVIDIA-SMI", "1", "utility", *nodes]
    plain = minidock("run", "--rm", "--gpus", "1", "busybox", "ls", "-a", "/etc", check=True).stdout
    assert "ld.so" not in plain  # no glibc, no cache
    wrong = minidock("run", "--rm", "--gpus", "1", "-e", "NVIDIA_DRIVER_CAPABILITIES=fly", "asker", "/ask")
    assert (
        wrong.returncode == 125 and "unsupported capabilities found in NVIDIA_DRIVER_CAPABILITIES: fly" in wrong.stderr
    )


RUNTIME = [
    (["NVIDIA_VISIBLE_DEVICES=all"], "nvidia0 nvidia1", "all"),
    (["NVIDIA_VISIBLE_DEVICES=1"], "nvidia1", "1"),
    (["NVIDIA_VISIBLE_DEVICES=GPU-0aaa,1"], "nvidia0 nvidia1", "GPU-0aaa,1"),
    (["CUDA_VERSION=10.0"], "nvidia0 nvidia1", "all"),
    (["NVIDIA_VISIBLE_DEVICES=none"], "", "none"),
    (["NVIDIA_VISIBLE_DEVICES=void"], None, "void"),
    ([], None, ""),
]
"""The variables; nodes of GPUs, or None where nothing of the driver comes in; what the program then sees."""


def test_the_runtime_nvidia_reads_the_variable(minidock: Minidock, driver: Path) -> None:
    script = "echo $(cd /dev; ls -d nvidia? 2>/dev/null); ls /dev/nvidiactl 2>/dev/null; echo $NVIDIA_VISIBLE_DEVICES"
    for variables, nodes, shown in RUNTIME:
        env = [part for line in variables for part in ("-e", line)]
        said = minidock("run", "--rm", "--runtime", "nvidia", *env, "asker", "sh", "-c", script, check=True).stdout
        control = [] if nodes is None else ["/dev/nvidiactl"]
        assert said.splitlines() == [nodes or "", *control, shown], variables


def test_gpus_overrules_the_variable_and_an_instance_of_mig_has_its_two_nodes(minidock: Minidock, driver: Path) -> None:
    """They are the driver's capabilities; the numbers of the other instances stay closed."""
    fakegpu.cut(driver)
    file = json.loads(minidock.layout.settings.read_text())["cdi-spec-dirs"][0] + "/gpu.json"
    minidock("cdi", "generate", "--driver-root", str(driver), "-o", file, check=True)
    caps = "for n in 39 40 102 103 104; do mknod /x c 237 $n; (: < /x) 2>&1 | grep -o 'No such'; rm /x; done | wc -l"
    script = f"echo $NVIDIA_VISIBLE_DEVICES $(cd /dev; ls -d nvidia? nvidia-caps/*); {caps}"
    asked = ("--runtime", "nvidia", "-e", "NVIDIA_VISIBLE_DEVICES=all")
    for request, told in (
        ((*asked, "--gpus", "device=1:1"), "1:1 nvidia-caps/nvidia-cap102 nvidia-caps/nvidia-cap103 nvidia1\n2\n"),
        (
            (*asked, "-e", "NVIDIA_VISIBLE_DEVICES=1:0"),
            "1:0 nvidia-caps/nvidia-cap39 nvidia-caps/nvidia-cap40 nvidia1\n2\n",
        ),
    ):
        assert minidock("run", "--rm", *request, "asker", "sh", "-c", script, check=True).stdout == told


# doctor gpu


def found(root: Path, directory: Path) -> list[str]:
    return [f"{one.level} {one.about}: {one.text} ({one.advice})" for one in gpu_doctor.examine([str(directory)], root)]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    require_root()
    require_tool("gcc")
    return fakegpu.tree(tmp_path / "host")


def specify(host: Path, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "gpu.json").write_bytes(cdi_generate.as_json("", str(host)))
    return directory / "gpu.json"


def test_doctor_finds_nothing_in_the_way(host: Path, tmp_path: Path) -> None:
    """Neither without a file, nor with one that is current; nodes that aren't made yet are only noted."""
    rows = found(host, tmp_path / "cdi")
    assert rows[0] == f"ok driver: NVIDIA's {fakegpu.VERSION} is loaded and has 2 GPUs ()"
    assert rows[1].startswith("note nodes: /dev/nvidia-uvm, /dev/nvidia-uvm-tools, /dev/nvidia1: not made yet")
    assert rows[2] == f"ok libraries: 3 of version {fakegpu.VERSION} in {host}/usr/lib64 ()"
    assert rows[3] == "ok CDI files: none offers nvidia.com/gpu: --gpus looks at the driver at each start ()"
    assert rows[4].startswith("ok device filter: ")
    file = specify(host, tmp_path / "cdi")
    assert f"ok CDI files: {file} offers 5 devices of nvidia.com/gpu ()" in found(host, tmp_path / "cdi")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("rm -r proc/driver; mkdir -p proc/driver", "bad driver: 0000:01:00.0: NVIDIA's, and no driver of theirs is"),
        ("rm -r proc/driver sys", "bad card: there is no GPU of NVIDIA or AMD on this host's PCI bus"),
        ("rm -r proc/driver/nvidia/gpus", "bad driver: NVIDIA's 550.54.15 is loaded and has found no GPU (dmesg"),
        ("sed -i /uvm/d proc/devices", "bad nodes: the module nvidia-uvm isn't loaded: CUDA will find no device"),
        ("rm dev/nvidia0; mknod dev/nvidia0 c 237 0", "bad nodes: /dev/nvidia0: of a number that no driver has now"),
        ("rm usr/lib64/libnvidia-ml*", "bad libraries: libnvidia-ml of version 550.54.15 not found (install the"),
        ("for f in usr/lib64/*; do mv $f ${f%550.54.15}535.1.2; done",
         "bad libraries: the libraries are of version 535.1.2, the loaded module is 550.54.15 (reboot"),
        ("rm usr/bin/nvidia-smi", "note libraries: there is no nvidia-smi on the host"),
        ("rm usr/bin/nvidia-smi", "gpu.json: there is no {host}/usr/bin/nvidia-smi (minidock cdi generate"),
        ("sed -i s/550.54.15/560.1.2/ proc/driver/nvidia/version",
         "gpu.json: made for version 550.54.15, and 560.1.2 is loaded (minidock cdi generate -o"),
        ("rm dev/nvidiactl", "gpu.json: there is no {host}/dev/nvidiactl"),
        ("sed -i 's/238 nvidia-uvm/240 nvidia-uvm/' proc/devices",
         "gpu.json: /dev/nvidia-uvm has the major 240 now, and not 238"),
        ("echo '{}' > ../cdi/z.json", "z.json: not a CDI specification"),
    ],
)  # fmt: skip
def test_doctor_names_what_is_missing_and_what_to_do(host: Path, tmp_path: Path, fault: str, told: str) -> None:
    for name, text in (("vendor", "0x10de"), ("class", "0x030200")):
        path = host / "sys/bus/pci/devices/0000:01:00.0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    specify(host, tmp_path / "cdi")
    subprocess.run(fault, shell=True, cwd=host, check=True)
    rows = found(host, tmp_path / "cdi")
    assert any(told.format(host=host) in row for row in rows), rows


def test_doctors_exit_code_says_whether_something_is_bad(minidock: Minidock) -> None:
    require_root()
    said = minidock("doctor", "gpu", "--format", "json")
    rows = json.loads(said.stdout)
    assert said.returncode == int(any(row["level"] == "bad" for row in rows))
    assert rows[-1]["about"] == "device filter" and rows[-1]["level"] == "ok"
    assert len(minidock("doctor", "gpu").stdout.splitlines()) == len(rows)
