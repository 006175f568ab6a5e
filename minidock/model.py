"""Docker's nouns, as frozen structs with the Engine API's names (api/swagger.yaml, v1.44).

The command line fills `ContainerConfig` and `HostConfig` from flags, the engine keeps them with the container, and
`inspect` and the REST API show them again: one shape all the way.
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Any

import msgspec


class Api(msgspec.Struct, frozen=True, rename="pascal"):
    """Base: PascalCase on the wire, every member always present, as Docker sends them."""


# What a container is to run, portable between hosts.


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


# How this host is to run it.


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
    path_in_container: str
    cgroup_permissions: str = "rwm"


class DeviceRequest(Api, frozen=True):
    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = msgspec.field(name="DeviceIDs", default=None)
    capabilities: list[list[str]] = []
    options: dict[str, str] = {}


class CdiOffer(Api, frozen=True):
    """One device that a CDI file offers, and how much it brings into a container."""

    name: str
    file: str
    device_nodes: int
    mounts: int
    hooks: int


class CdiListing(Api, frozen=True):
    """What directories of CDI files have; each problem with the file or device that has it."""

    directories: list[str]
    devices: list[CdiOffer]
    problems: dict[str, str]


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


class MountRequest(Api, omit_defaults=True, frozen=True):
    """One --mount: `type` is bind, volume or tmpfs."""

    type: str
    target: str
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


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


class EndpointSettings(Api, frozen=True):
    """How a container sits on one network. `ip_address` without prefix; all empty while it does not run."""

    ipam_config: dict[str, Any] | None = msgspec.field(name="IPAMConfig", default=None)
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = msgspec.field(name="NetworkID", default="")
    endpoint_id: str = msgspec.field(name="EndpointID", default="")
    gateway: str = ""
    ip_address: str = msgspec.field(name="IPAddress", default="")
    ip_prefix_len: int = msgspec.field(name="IPPrefixLen", default=0)
    ipv6_gateway: str = msgspec.field(name="IPv6Gateway", default="")
    global_ipv6_address: str = msgspec.field(name="GlobalIPv6Address", default="")
    global_ipv6_prefix_len: int = msgspec.field(name="GlobalIPv6PrefixLen", default=0)
    dns_names: list[str] | None = msgspec.field(name="DNSNames", default=None)


# What a container is now.


class HealthResult(Api, frozen=True):
    """One health check; exit code -1 when it couldn't be made, or took too long."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(Api, frozen=True):
    """API `Health`: starting, healthy or unhealthy, and the last five checks."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthResult] = []


class ContainerState(Api, frozen=True):
    """API `ContainerState`. Times are RFC 3339 with nanoseconds, or 0001-01-01T00:00:00Z."""

    status: str = "created"
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = "0001-01-01T00:00:00Z"
    finished_at: str = "0001-01-01T00:00:00Z"
    health: Health | None = None


class MountPoint(Api, frozen=True):
    """One entry of inspect's `Mounts`."""

    type: str
    source: str
    destination: str
    mode: str = ""
    rw: bool = msgspec.field(name="RW", default=True)
    propagation: str = ""
    name: str = ""
    driver: str = ""


class CreateRequest(msgspec.Struct, frozen=True):
    """All that `create` and `run` need: what the API's POST /containers/create carries."""

    config: ContainerConfig
    host_config: HostConfig
    name: str = ""
    platform: str = ""
    endpoints: dict[str, EndpointSettings] = {}
    """Networks to join by name, with what was asked for on each (--ip, --network-alias)."""


class ExecRequest(msgspec.Struct, frozen=True):
    """All that `exec` needs: API `ExecConfig`. `user`, `working_dir` empty: as the container's."""

    cmd: list[str]
    tty: bool = False
    attach_stdin: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    console_size: tuple[int, int] = (0, 0)
    """Rows and columns; zeros for those of our own terminal."""


class Commit(msgspec.Struct, frozen=True):
    """What the new image is to be called and to say of itself; `changes` are instructions of a Dockerfile.

    What `config` says comes before what the container says.
    """

    reference: str = ""
    author: str = ""
    message: str = ""
    changes: list[str] = []
    pause: bool = True
    config: ContainerConfig = ContainerConfig()


class PathStat(msgspec.Struct, frozen=True, rename="camel"):
    """API's X-Docker-Container-Path-Stat: a path in a container; `mode` in the bits of Go's os.FileMode."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


class Created(Api, frozen=True):
    """Answer to create."""

    id: str
    warnings: list[str] = []


# What lists show.


class PortSummary(Api, frozen=True, omit_defaults=True):
    """One open port; `public_port` 0 when it is not published, `type` is tcp, udp or sctp."""

    private_port: int
    type: str
    ip: str = msgspec.field(name="IP", default="")
    public_port: int = 0


class NetworkModeOnly(Api, frozen=True):
    """The part of HostConfig that a list of containers carries."""

    network_mode: str = "default"


class ContainerSummary(Api, frozen=True):
    """One row of GET /containers/json. `created` in seconds since 1970; names start with a slash; sizes in bytes,
    0 unless they were asked for."""

    id: str
    names: list[str]
    image: str
    image_id: str = msgspec.field(name="ImageID")
    command: str
    created: int
    state: str
    status: str
    ports: list[PortSummary] = []
    labels: dict[str, str] = {}
    host_config: NetworkModeOnly = NetworkModeOnly()
    mounts: list[MountPoint] = []
    size_rw: int = 0
    size_root_fs: int = 0


class ContainerStats(msgspec.Struct, frozen=True):
    """What a container uses, for people: shares of one processor and of its memory limit in percent, bytes."""

    id: str
    name: str
    cpu_percent: float
    memory: int
    memory_limit: int
    memory_percent: float
    received: int
    sent: int
    read: int
    written: int
    pids: int


class ContainersPruned(Api, frozen=True):
    """Answer to POST /containers/prune."""

    containers_deleted: list[str]
    space_reclaimed: int


class ImageSummary(Api, frozen=True):
    """One row of GET /images/json. `containers` is -1 when it was not counted."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    labels: dict[str, str] = {}
    containers: int = -1
    parent_id: str = ""
    shared_size: int = -1


class KernelFact(msgspec.Struct, frozen=True, rename="pascal"):
    """Something that the kernel says of a container, and the command that one would type to see it."""

    name: str
    value: str
    command: str


class KernelSection(msgspec.Struct, frozen=True, rename="pascal"):
    """The facts of one kernel idea; `source` is the file of ours that reads them."""

    title: str
    man: str
    source: str
    facts: list[KernelFact]


class Diagnosis(msgspec.Struct, frozen=True, rename="pascal"):
    """Why something failed: the facts that say so, each with its command, what else to look at, and what to do."""

    title: str
    meaning: str
    man: str
    facts: list[KernelFact]
    look: list[str]
    remedy: str


# What happened.


class Actor(msgspec.Struct, frozen=True):
    """Whom an event is about. A container's attributes are its labels, and `image`, `name` and what the verb adds."""

    id: str = msgspec.field(name="ID")
    attributes: dict[str, str] = msgspec.field(name="Attributes")


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """API `EventMessage`. `status`, `id` and `origin` repeat the rest for old clients, for containers and images."""

    status: str = ""
    id: str = ""
    origin: str = msgspec.field(name="from", default="")
    type: str = msgspec.field(name="Type", default="")
    action: str = msgspec.field(name="Action", default="")
    actor: Actor = msgspec.field(name="Actor", default=Actor("", {}))
    scope: str = ""
    time: int = 0
    nanoseconds: int = msgspec.field(name="timeNano", default=0)


class Volume(Api, frozen=True):
    """API `Volume`; what it has no labels or options of is null, as with Docker."""

    name: str
    mountpoint: str
    driver: str = "local"
    created_at: str = ""
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    scope: str = "local"


# Networks.


class IpamPool(Api, frozen=True, omit_defaults=True):
    """One subnet of a network, and what was said of it."""

    subnet: str = ""
    ip_range: str = msgspec.field(name="IPRange", default="")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class NetworkRequest(Api, frozen=True):
    """What `network create` asks for: the members of the API's body, with those of its IPAM beside them."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    enable_ipv6: bool = msgspec.field(name="EnableIPv6", default=False)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: list[IpamPool] = []
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    scope: str = ""


class Progress(Api, frozen=True):
    """A line of a pull or push, or the next state of the line with this id; `total` is 0 when it isn't counted."""

    id: str
    status: str
    current: int = 0
    total: int = 0


class HistoryRow(Api, frozen=True):
    """One row of GET /images/NAME/history."""

    id: str
    created: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str


# How much room things take.


class VolumeUsage(Api, frozen=True):
    """A volume, how many containers have it, and the bytes in it."""

    name: str
    links: int
    size: int


class BuildCache(Api, frozen=True):
    """One entry of the build cache. `shared`: an image has its layer too."""

    id: str = msgspec.field(name="ID")
    type: str
    description: str
    size: int
    shared: bool
    created_at: str
    last_used_at: str
    in_use: bool = False
    usage_count: int = 1


class DiskUsage(Api, frozen=True):
    """Answer to GET /system/df."""

    layers_size: int
    images: list[ImageSummary]
    containers: list[ContainerSummary]
    volumes: list[VolumeUsage]
    build_cache: list[BuildCache]


class Pruned(msgspec.Struct, frozen=True):
    """What a prune took away: ids, names, rows of ("Untagged" | "Deleted", what), and bytes."""

    containers: list[str]
    networks: list[str]
    volumes: list[str]
    images: list[tuple[str, str]]
    build_cache: list[str]
    space: int
