"""--gpus in all of Docker's forms."""

from __future__ import annotations

import os

import pytest

from minidock.cli import parse_gpus
from minidock.engine import create, device_requests
from minidock.errors import UsageError
from minidock.model.host import DeviceRequest, HostConfig

GPU = [["gpu"]]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("all", DeviceRequest(count=-1, capabilities=GPU)),
        ("2", DeviceRequest(count=2, capabilities=GPU)),
        ("count=2", DeviceRequest(count=2, capabilities=GPU)),
        ("device=0", DeviceRequest(device_ids=["0"], capabilities=GPU)),
        ('"device=0,1"', DeviceRequest(device_ids=["0", "1"], capabilities=GPU)),
        ("driver=nvidia", DeviceRequest(driver="nvidia", count=1, capabilities=GPU)),
        ('all,"capabilities=compute,utility"', DeviceRequest(count=-1, capabilities=[["compute", "utility", "gpu"]])),
        ('1,"options=a=b,c=d"', DeviceRequest(count=1, capabilities=GPU, options={"a": "b", "c": "d"})),
    ],
)
def test_the_forms(raw: str, wanted: DeviceRequest) -> None:
    assert parse_gpus.gpus(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "EOF"),
        ("some", r'invalid count \(some\): value must be either "all" or an integer: invalid syntax'),
        ("count=x", r"invalid count \(x\)"),
        ("device=0,device=1", "gpu request key 'device' can be specified only once"),
        ("gpu=1", "unexpected key 'gpu' in 'gpu=1'"),
        ('"device=0', 'extraneous or missing "'),
    ],
)
def test_what_is_none(raw: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_gpus.gpus(raw)


def test_names_of_cdi_devices_are_no_paths() -> None:
    words = ["/dev/null", "acme.com/gpu=0", "/dev/a=b:/dev/c", "acme.com/gpu=1"]
    assert parse_gpus.paths(words) == ["/dev/null", "/dev/a=b:/dev/c"]
    assert parse_gpus.requests([], words, []) == [
        DeviceRequest(driver="cdi", device_ids=["acme.com/gpu=0", "acme.com/gpu=1"])
    ]


def test_directories_of_cdi_files_travel_with_the_requests() -> None:
    """Whole paths: another process reads them."""
    [asked] = parse_gpus.requests([DeviceRequest(count=1, options={"a": "b"})], [], ["/a", "b"])
    assert asked.options == {"a": "b", "cdi-spec-dirs": f"/a:{os.path.abspath('b')}"}
    assert device_requests.asked_directories([asked, asked]) == ["/a", os.path.abspath("b")]
    with pytest.raises(UsageError, match="--cdi-spec-dir needs --gpus or --device"):
        parse_gpus.requests([], ["/dev/null"], ["/a"])
    with pytest.raises(UsageError, match='invalid --cdi-spec-dir "a:b"'):
        parse_gpus.requests([DeviceRequest(count=1)], [], ["a:b"])


@pytest.mark.parametrize(
    ("host", "size"),
    [
        (HostConfig(), 64 << 20),
        (HostConfig(memory=1 << 30), 64 << 20),
        (HostConfig(memory=512 << 20, device_requests=[DeviceRequest(count=-1)]), 256 << 20),
        (HostConfig(memory=32 << 20, device_requests=[DeviceRequest(count=-1)]), 64 << 20),
        (HostConfig(shm_size=1 << 20, device_requests=[DeviceRequest(count=-1)]), 1 << 20),
    ],
)
def test_shared_memory_is_dockers_but_with_a_gpu(host: HostConfig, size: int) -> None:
    assert create.defaults(host).shm_size == size


def test_shared_memory_without_a_limit_is_half_of_the_hosts() -> None:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert create.defaults(HostConfig(device_requests=[DeviceRequest(count=1)])).shm_size == there // 2
