"""The OCI runtime specification's config.json, as frozen structs (runtime-spec 1.2, config.md and config-linux.md).

This is what `runtime` is given and all that it knows: the engine writes one for each container, minidock-oci reads
one that somebody else wrote. Names are the specification's, camelCase on the wire. Decoding checks types and says
where: "Expected `int`, got `str` - at `$.linux.resources.memory.limit`".
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Annotated, Any, TypeVar

import msgspec

T = TypeVar("T")

Word = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""The specification's uint32: a number outside would be cut to another one by the kernel."""
Id = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)]
"""A user or group. 4294967295 is none: setresuid(2) and chown(2) take it for "leave it as it is", which is root."""


class Oci(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of all structs here: optional members are left out when they have their default."""


class ConsoleSize(Oci, frozen=True):
    """struct winsize of ioctl_tty(2) has 16 bits for each."""

    height: Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)] = 0
    width: Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)] = 0


class User(Oci, frozen=True):
    # From a factory, so that a 0 is written too: only omitted defaults could be anything.
    uid: Id = msgspec.field(default_factory=int)
    gid: Id = msgspec.field(default_factory=int)
    umask: Word | None = None
    additional_gids: list[Id] = []


class Rlimit(Oci, omit_defaults=False, frozen=True):
    """getrlimit(2): `type` is RLIMIT_NOFILE and so on."""

    type: str
    hard: int
    soft: int


class Capabilities(Oci, frozen=True):
    """The five sets of capabilities(7), as CAP_ names; None leaves a set empty."""

    bounding: list[str] = []
    effective: list[str] = []
    inheritable: list[str] = []
    permitted: list[str] = []
    ambient: list[str] = []


class Scheduler(Oci, frozen=True):
    """sched_setattr(2)."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: list[str] = []
    runtime: int | None = None
    deadline: int | None = None
    period: int | None = None


class IoPriority(Oci, frozen=True):
    """ioprio_set(2): `class` is IOPRIO_CLASS_RT, _BE or _IDLE."""

    klass: str = msgspec.field(name="class")
    priority: int = 0


class CpuAffinity(Oci, frozen=True):
    initial: str = ""
    final: str = ""


class Process(Oci, frozen=True):
    cwd: str
    args: list[str] | None = None
    env: list[str] = []
    terminal: bool = False
    console_size: ConsoleSize | None = None
    user: User = msgspec.field(default_factory=User)
    capabilities: Capabilities | None = None
    rlimits: list[Rlimit] = []
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    selinux_label: str = ""
    oom_score_adj: int | None = None
    scheduler: Scheduler | None = None
    io_priority: IoPriority | None = None
    exec_cpu_affinity: CpuAffinity | None = msgspec.field(name="execCPUAffinity", default=None)
    command_line: str = ""


class Root(Oci, frozen=True):
    path: str
    readonly: bool = False


class IdMapping(Oci, omit_defaults=False, frozen=True):
    """One line of uid_map or gid_map (user_namespaces(7)): inside, outside, count."""

    container_id: Word = msgspec.field(name="containerID")
    host_id: Word = msgspec.field(name="hostID")
    size: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]


class Mount(Oci, frozen=True):
    """One mount, in order. `options` are fstab-like words: runtime-spec config.md, "Mounts"."""

    destination: str
    type: str = ""
    source: str = ""
    options: list[str] = []
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []


class Hook(Oci, frozen=True):
    path: str
    args: list[str] = []
    env: list[str] | None = None
    timeout: int | None = None


class Hooks(Oci, frozen=True):
    prestart: list[Hook] = []
    create_runtime: list[Hook] = []
    create_container: list[Hook] = []
    start_container: list[Hook] = []
    poststart: list[Hook] = []
    poststop: list[Hook] = []


class Namespace(Oci, frozen=True):
    """`type` is pid, network, mount, ipc, uts, user, cgroup or time; with `path` an existing one is joined."""

    type: str
    path: str = ""


class Device(Oci, frozen=True):
    """A node to make in the container: `type` is c, b, u or p."""

    type: str
    path: str
    major: int = 0
    minor: int = 0
    file_mode: Word | None = None
    uid: Id | None = None
    gid: Id | None = None


class DeviceRule(Oci, omit_defaults=False, frozen=True):
    """One rule of the device filter; None is a wildcard, `access` any of r, w and m."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


class Memory(Oci, frozen=True):
    """Bytes; -1 is unlimited. `swap` is memory plus swap, as on v1."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = msgspec.field(name="kernelTCP", default=None)
    swappiness: int | None = None
    disable_oom_killer: bool = msgspec.field(name="disableOOMKiller", default=False)
    use_hierarchy: bool = False
    check_before_update: bool = False


class Cpu(Oci, frozen=True):
    """`shares` 2..262144; `quota` and `period` in microseconds."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


class Pids(Oci, omit_defaults=False, frozen=True):
    """At most so many processes and threads; -1 and 0 are unlimited: see oci/bundle.py for 0."""

    limit: int = -1


class WeightDevice(Oci, frozen=True):
    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


class ThrottleDevice(Oci, omit_defaults=False, frozen=True):
    """`rate` in bytes or operations a second."""

    major: int
    minor: int
    rate: int


class BlockIo(Oci, frozen=True):
    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: list[WeightDevice] = []
    throttle_read_bps_device: list[ThrottleDevice] = []
    throttle_write_bps_device: list[ThrottleDevice] = []
    throttle_read_iops_device: list[ThrottleDevice] = msgspec.field(name="throttleReadIOPSDevice", default=[])
    throttle_write_iops_device: list[ThrottleDevice] = msgspec.field(name="throttleWriteIOPSDevice", default=[])


class HugepageLimit(Oci, omit_defaults=False, frozen=True):
    page_size: str
    limit: int


class InterfacePriority(Oci, omit_defaults=False, frozen=True):
    name: str
    priority: int


class NetworkResources(Oci, frozen=True):
    class_id: int | None = msgspec.field(name="classID", default=None)
    priorities: list[InterfacePriority] = []


class RdmaLimit(Oci, frozen=True):
    hca_handles: int | None = None
    hca_objects: int | None = None


class Resources(Oci, frozen=True):
    devices: list[DeviceRule] = []
    memory: Memory | None = None
    cpu: Cpu | None = None
    pids: Pids | None = None
    block_io: BlockIo | None = msgspec.field(name="blockIO", default=None)
    hugepage_limits: list[HugepageLimit] = []
    network: NetworkResources | None = None
    rdma: dict[str, RdmaLimit] = {}
    unified: dict[str, str] = {}


class SeccompArg(Oci, omit_defaults=False, frozen=True):
    """Compare one argument of the call: `op` is SCMP_CMP_EQ and its family."""

    index: int
    value: int
    value_two: int = 0
    op: str = "SCMP_CMP_EQ"


class SeccompRule(Oci, frozen=True):
    names: list[str]
    action: str
    errno_ret: int | None = None
    args: list[SeccompArg] = []


class Seccomp(Oci, frozen=True):
    """seccomp(2): what to do with each system call; SCMP_ACT_* actions, SCMP_ARCH_* architectures."""

    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] = []
    flags: list[str] | None = None
    """None isn't []: kernel/seccomp.py has a default."""
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[SeccompRule] = []


class TimeOffset(Oci, omit_defaults=False, frozen=True):
    """time_namespaces(7)."""

    secs: int = 0
    nanosecs: int = 0


class Personality(Oci, frozen=True):
    domain: str
    flags: list[str] = []


class MemoryPolicy(Oci, frozen=True):
    """set_mempolicy(2): `nodes` is a list as in cpuset(7)."""

    mode: str = ""
    nodes: str = ""
    flags: list[str] = []


class IntelRdt(Oci, frozen=True):
    clos_id: str = msgspec.field(name="closID", default="")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""


class Linux(Oci, frozen=True):
    uid_mappings: list[IdMapping] = []
    gid_mappings: list[IdMapping] = []
    sysctl: dict[str, str] = {}
    resources: Resources | None = None
    cgroups_path: str = ""
    namespaces: list[Namespace] = []
    devices: list[Device] = []
    net_devices: dict[str, dict[str, Any]] = {}
    seccomp: Seccomp | None = None
    rootfs_propagation: str = ""
    masked_paths: list[str] = []
    readonly_paths: list[str] = []
    mount_label: str = ""
    intel_rdt: IntelRdt | None = None
    personality: Personality | None = None
    memory_policy: MemoryPolicy | None = None
    time_offsets: dict[str, TimeOffset] = {}

    def namespace(self, kind: str) -> Namespace | None:
        """The entry of that type, or None when the container shares the caller's."""
        return next((entry for entry in self.namespaces if entry.type == kind), None)


class Spec(Oci, omit_defaults=True, frozen=True):
    """config.json, whole."""

    oci_version: str
    root: Root | None = None
    process: Process | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: list[Mount] = []
    hooks: Hooks | None = None
    annotations: dict[str, str] = {}
    linux: Linux = Linux()


def to_json(spec: Spec) -> bytes:
    """The bytes of a config.json."""
    return msgspec.json.format(msgspec.json.encode(spec), indent=2) + b"\n"


def from_json(raw: bytes) -> Spec:
    """Raises msgspec.ValidationError with the place of what is wrong."""
    return decode(raw, Spec)


def decode(raw: bytes, kind: type[T]) -> T:
    """As msgspec decodes; a null, which programs in Go write for an empty list, is as good as nothing."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        without = _without_nulls(msgspec.json.decode(raw))
        return msgspec.json.decode(msgspec.json.encode(without), type=kind)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
