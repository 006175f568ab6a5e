"""How this host is to run a container: API `HostConfig`, and its parts."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Any

import msgspec

from minidock.model.base import Api


class PortBinding(Api, frozen=True):
    """`host_port` may be empty (any), one port or a range "8000-8010"."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(Api, frozen=True):
    name: str = "no"
    maximum_retry_count: int = 0


class LogConfig(Api, frozen=True):
    type: str = "json-file"
    config: dict[str, str] = {}


class Ulimit(Api, frozen=True):
    name: str
    soft: int
    hard: int


class DeviceMapping(Api, frozen=True):
    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class DeviceRequest(Api, frozen=True):
    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = msgspec.field(name="DeviceIDs", default=None)
    capabilities: list[list[str]] = []
    options: dict[str, str] = {}


class BlkioWeightDevice(Api, frozen=True):
    path: str
    weight: int


class ThrottleDevice(Api, frozen=True):
    path: str
    rate: int


class BindOptions(Api, omit_defaults=True, frozen=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeOptions(Api, omit_defaults=True, frozen=True):
    no_copy: bool = False
    labels: dict[str, str] = {}
    subpath: str = ""
    driver_config: dict[str, Any] = {}


class TmpfsOptions(Api, omit_defaults=True, frozen=True):
    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] = []


class ImageOptions(Api, frozen=True, omit_defaults=True):
    subpath: str = ""


class MountRequest(Api, omit_defaults=True, frozen=True):
    """One --mount: `type` is bind, volume, tmpfs or image."""

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None
    image_options: ImageOptions | None = None


class HostConfig(Api, frozen=True):
    """API `HostConfig`. Memory in bytes, `nano_cpus` in 1e-9 cpus; -1 or 0 means no limit, as in Docker."""

    binds: list[str] = []
    container_id_file: str = msgspec.field(name="ContainerIDFile", default="")
    log_config: LogConfig = LogConfig()
    network_mode: str = "default"
    port_bindings: dict[str, list[PortBinding]] = {}
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] = []
    cap_add: list[str] = []
    cap_drop: list[str] = []
    cgroupns_mode: str = ""
    dns: list[str] = []
    dns_options: list[str] = []
    dns_search: list[str] = []
    extra_hosts: list[str] = []
    group_add: list[str] = []
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] = []
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] = []
    storage_opt: dict[str, str] = {}
    tmpfs: dict[str, str] = {}
    uts_mode: str = msgspec.field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] = {}
    runtime: str = ""
    console_size: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    isolation: str = ""
    annotations: dict[str, str] = {}
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[BlkioWeightDevice] = []
    blkio_device_read_bps: list[ThrottleDevice] = []
    blkio_device_write_bps: list[ThrottleDevice] = []
    blkio_device_read_iops: list[ThrottleDevice] = msgspec.field(name="BlkioDeviceReadIOps", default=[])
    blkio_device_write_iops: list[ThrottleDevice] = msgspec.field(name="BlkioDeviceWriteIOps", default=[])
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] = []
    device_cgroup_rules: list[str] = []
    device_requests: list[DeviceRequest] = []
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool = False
    pids_limit: int | None = None
    ulimits: list[Ulimit] = []
    mounts: list[MountRequest] = []
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None
