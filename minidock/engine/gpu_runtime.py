"""--runtime nvidia: the way to ask for GPUs from before --gpus, which compose files still have (`runtime: nvidia`).

No other runtime is started. What NVIDIA's would read off the container's variables is read here, and becomes a request
like one of --gpus. The rules are those of its documentation and of libnvidia-container's hooks:

    NVIDIA_VISIBLE_DEVICES   all | 0,1 | GPU-… | 0:1 (MIG)    these GPUs, and the driver's files
                             none                             the driver's files alone
                             void, empty, not set             nothing: an ordinary container

Images of CUDA from before that variable set CUDA_VERSION alone, and mean all.
"""

from __future__ import annotations

from collections.abc import Sequence

from minidock.model.host import DeviceRequest, HostConfig

NAME = "nvidia"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
DRIVER_ALONE = "none"


def requests(host: HostConfig, env: Sequence[str]) -> list[DeviceRequest]:
    """All that the container asks for. --gpus sets the variable itself, as in Docker: beside it only that counts."""
    given = list(host.device_requests)
    if host.runtime != NAME or any(request.driver != "cdi" for request in given):
        return given
    lines = dict(line.partition("=")[::2] for line in env)
    is_old = "CUDA_VERSION" in lines and "NVIDIA_REQUIRE_CUDA" not in lines
    names = [word.strip() for word in lines.get(VISIBLE, "all" if is_old else "").split(",")]
    names = [name for name in names if name]
    if not names or names == ["void"]:
        return given
    count, ids = (-1, None) if "all" in names else (0, names)
    return [*given, DeviceRequest(driver=NAME, count=count, device_ids=ids, capabilities=[["gpu"]])]
