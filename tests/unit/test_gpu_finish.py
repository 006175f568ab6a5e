"""What an NVIDIA container needs besides its CDI file: capabilities, the parameters' cover, variables, the loader."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from minidock import spec
from minidock.engine import device_requests, gpu_capabilities, gpu_finish, gpu_nvidia
from minidock.engine.cdi_specs import CdiDevice, CdiMount, CdiSpec, DeviceNode, Edits, Registry
from minidock.engine.generated import WriteText
from minidock.errors import UsageError
from minidock.model.host import DeviceRequest
from minidock.runtime import ldcache
from minidock.runtime.ldcache import Cache, Entry
from minidock.steps import Live
from tests.support.needs import require_tool

GPU = [["gpu"]]


@pytest.mark.parametrize(
    ("env", "asked", "has"),
    [
        ([], [], {"utility", "compute"}),
        (["NVIDIA_DRIVER_CAPABILITIES="], [], {"utility", "compute"}),
        (["NVIDIA_DRIVER_CAPABILITIES=video, compute"], [["gpu"]], {"video", "compute"}),
        (["NVIDIA_DRIVER_CAPABILITIES=all"], [], gpu_capabilities.KNOWN),
        (["NVIDIA_DRIVER_CAPABILITIES=all"], [["utility", "gpu"]], {"utility"}),
        (["NVIDIA_DRIVER_CAPABILITIES=none"], [], set()),
    ],
)
def test_which_capabilities_a_container_has(env: list[str], asked: list[list[str]], has: set[str]) -> None:
    assert gpu_capabilities.wanted(env, asked) == has


def test_an_unknown_capability_is_told() -> None:
    with pytest.raises(UsageError, match="unsupported capabilities found in NVIDIA_DRIVER_CAPABILITIES: fly"):
        gpu_capabilities.wanted(["NVIDIA_DRIVER_CAPABILITIES=compute,fly"], [])


def test_libraries_and_programs_come_in_by_capability() -> None:
    """One that no list has comes in always."""
    names = ["libcuda.so.1", "libnvidia-ml.so.550.54", "libnvcuvid.so.1", "libGLX_nvidia.so.0", "nvidia-smi"]
    names += ["nvidia-cuda-mps-control", "libnvidia-of-tomorrow.so.1"]
    mounts = [CdiMount(f"/usr/lib/{name}", f"/usr/lib/{name}") for name in names]
    made = CdiSpec("0.6.0", gpu_nvidia.KIND, [], annotations={gpu_nvidia.MADE_FOR: "550.54"})

    def left(*capabilities: str) -> list[str]:
        edits = gpu_finish.trim(made, Edits(mounts=mounts), frozenset(capabilities))
        return [Path(mount.container_path).name for mount in edits.mounts]

    assert left("utility") == ["libnvidia-ml.so.550.54", "nvidia-smi", "libnvidia-of-tomorrow.so.1"]
    assert left("compute") == ["libcuda.so.1", "nvidia-cuda-mps-control", "libnvidia-of-tomorrow.so.1"]
    assert left("display") == ["libGLX_nvidia.so.0", "libnvidia-of-tomorrow.so.1"]
    assert left(*gpu_capabilities.KNOWN) == names
    theirs = CdiSpec("0.6.0", gpu_nvidia.KIND, [])
    assert gpu_finish.trim(theirs, Edits(mounts=mounts), frozenset()).mounts == mounts


def test_the_drivers_parameters_say_that_nodes_are_not_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/params").write_text("Mobile: 1\nModifyDeviceFiles: 1\nDeviceFileMode: 438\n")
    config, steps = gpu_finish.params(spec.Spec(oci_version="1.2.0"), tmp_path, tmp_path)
    assert [(mount.destination, mount.source) for mount in config.mounts] == [
        ("/proc/driver/nvidia/params", f"{tmp_path}/nvidia-params")
    ]
    assert "ro" in config.mounts[0].options
    before = os.umask(0o077)
    steps[0].apply(Live())
    os.umask(before)
    assert (tmp_path / "nvidia-params").stat().st_mode & 0o777 == 0o644, "a container's users read it too"
    assert (tmp_path / "nvidia-params").read_text() == "Mobile: 1\nModifyDeviceFiles: 0\nDeviceFileMode: 438\n"
    assert isinstance(steps[0], WriteText)
    assert gpu_finish.params(config, tmp_path, tmp_path / "nowhere") == (config, [])


@pytest.mark.parametrize(
    ("request_", "names", "lines"),
    [
        (DeviceRequest(count=-1, capabilities=GPU), ["nvidia.com/gpu=all"], ["NVIDIA_VISIBLE_DEVICES=all"]),
        (
            DeviceRequest(count=2, capabilities=[["gpu", "utility"]]),
            ["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
            ["NVIDIA_VISIBLE_DEVICES=0,1", "NVIDIA_DRIVER_CAPABILITIES=utility"],
        ),
        (DeviceRequest(count=1, capabilities=GPU), ["amd.com/gpu=0"], ["NVIDIA_VISIBLE_DEVICES=void"]),
    ],
)
def test_variables_tell_what_was_asked_for(request_: DeviceRequest, names: list[str], lines: list[str]) -> None:
    process = spec.Process(cwd="/", env=["NVIDIA_VISIBLE_DEVICES=void"])
    made = gpu_finish.environment(spec.Spec(oci_version="1.2.0", process=process), [request_], names)
    assert made.process is not None and made.process.env == lines


def test_without_a_file_the_driver_is_looked_at(tmp_path: Path) -> None:
    for name, text in (("dev/kfd", ""), ("sys/class/drm/renderD128/device/vendor", "0x1002")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    empty = Registry([], [], {}, {})
    asked = [DeviceRequest(count=1, capabilities=GPU)]
    assert sorted(device_requests.with_drivers(empty, asked, tmp_path).devices) == ["amd.com/gpu=0", "amd.com/gpu=all"]
    by_name = [DeviceRequest(driver="cdi", device_ids=["amd.com/gpu=0"])]
    assert device_requests.with_drivers(empty, by_name, tmp_path).devices
    assert not device_requests.with_drivers(empty, [DeviceRequest("cdi", 0, ["acme.com/x=0"])], tmp_path).devices
    theirs = CdiSpec("0.5.0", "amd.com/gpu", [CdiDevice("7", Edits(device_nodes=[DeviceNode("/dev/x")]))])
    found = device_requests.cdi_specs.Found(tmp_path, theirs, theirs.devices[0])
    offered = Registry([], [], {"amd.com/gpu=7": found}, {})
    assert device_requests.with_drivers(offered, asked, tmp_path) is offered


# the loader's cache

CACHE = Cache(
    [
        Entry("libz.so.1", "/usr/lib/libz.so.1", 0x303),
        Entry("libm.so.6", "/usr/lib/glibc-hwcaps/x86-64-v3/libm.so.6", 0x303, hwcap=ldcache.HWCAP_BY_NUMBER),
        Entry("libm.so.6", "/usr/lib/libm.so.6", 0x303),
        Entry("libm.so.10", "/usr/lib/libm.so.10", 0x303),
    ],
    ["x86-64-v3"],
)


def test_a_cache_comes_back_as_it_was_in_the_loaders_order() -> None:
    """Numbers by value, largest first; what names the processor stays."""
    again = ldcache.parse(b"an older format before it" + ldcache.build(CACHE))
    assert [entry.path for entry in again.entries] == [
        "/usr/lib/libz.so.1",
        "/usr/lib/libm.so.10",
        "/usr/lib/glibc-hwcaps/x86-64-v3/libm.so.6",
        "/usr/lib/libm.so.6",
    ]
    assert again.hwcaps == CACHE.hwcaps
    assert ldcache.build(again) == ldcache.build(CACHE)


def test_what_is_added_comes_first_and_only_once() -> None:
    ours = Entry("libz.so.1", "/opt/libz.so.1", 0x303)
    once = ldcache.added(ldcache.build(CACHE), [ours])
    assert [entry.path for entry in ldcache.parse(once).entries[:2]] == ["/opt/libz.so.1", "/usr/lib/libz.so.1"]
    assert ldcache.added(once, [ours]) == once


@pytest.mark.parametrize("cut", [3, 40, 60, 150, 200])
def test_a_damaged_cache_is_none(cut: int) -> None:
    """An image can hold anything; ld.so doesn't read such a file either."""
    with pytest.raises(ValueError, match="cache of the loader"):
        ldcache.parse(ldcache.build(CACHE)[:cut])
    ours = Entry("libcuda.so.1", "/usr/lib64/libcuda.so.1", 0x303)
    assert ldcache.parse(ldcache.added(ldcache.build(CACHE)[:cut], [ours])).entries == [ours]


def test_the_shells_line_leaves_word_for_ldconfig(tmp_path: Path) -> None:
    libraries = [Entry("libcuda.so.1", "/usr/lib64/libcuda.so.1", 0x303), Entry("x.so", "/opt/a b/x.so", 0x303)]
    step = ldcache.AddLibraries(str(tmp_path), libraries, "/lib64/ld-linux-x86-64.so.2")
    subprocess.run(["sh", "-e", "-c", step.shell()], check=True)
    assert (tmp_path / "etc/ld.so.conf.d/zz-minidock.conf").read_text() == "/opt/a b\n/usr/lib64\n"


def test_ldconfig_reads_what_was_made(tmp_path: Path) -> None:
    require_tool("ldconfig")
    file = tmp_path / "cache"
    file.write_bytes(ldcache.build(CACHE))
    shown = subprocess.run(["ldconfig", "-p", "-C", file], capture_output=True, text=True, check=True).stdout
    assert "4 libs found" in shown
    assert 'libm.so.6 (libc6,x86-64, hwcap: "x86-64-v3") => /usr/lib/glibc-hwcaps/x86-64-v3/libm.so.6' in shown
