"""What a container is to run, portable between hosts: API `ContainerConfig`."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Any

from minidock.model.base import Api


class Healthcheck(Api, frozen=True):
    """Durations in nanoseconds; `test` is ["NONE"], ["CMD", ...] or ["CMD-SHELL", line]."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(Api, frozen=True):
    """API `ContainerConfig`; None means "as the image says" while creating."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] = []
    cmd: list[str] | None = None
    healthcheck: Healthcheck | None = None
    image: str = ""
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None
