"""The flags of `run` and `create`: one row each, in the groups a reader thinks in. What Docker has beyond these is
refused by name."""

from __future__ import annotations

from . import parse_blkio as blkio
from . import parse_values as values
from .flags import boolean, explain, many, number, refused, spelling, text, value
from .parse_env import check_env, check_label
from .parse_gpus import gpus
from .parse_mounts import parse_mount
from .parse_networks import link, parse_network
from .units import cpus, duration, size, size_or_unlimited

NAMING = [
    text("name", "", "Assign a name to the container"),
    text("cidfile", "", "Write the container ID to the file"),
    many("label", "l", "Set meta data on a container", parse=check_label),
    many("label-file", "", "Read in a line delimited file of labels"),
    many("annotation", "", "Add an annotation to the container (passed through to the OCI runtime)", kind="map",
         parse=values.annotation),
    text("platform", "", "Set platform if server is multi-platform capable"),
    text("pull", "", 'Pull image before running ("always", "missing", "never")', default="missing"),
    boolean("quiet", "q", "Suppress the pull output"),
    boolean("rm", "", "Automatically remove the container and its associated anonymous volumes when it exits"),
    text("restart", "", "Restart policy to apply when a container exits", default="no"),
    text("runtime", "", "Runtime to use for this container (minidock)"),
    boolean("disable-content-trust", "", "Skip image verification", default=True),
]  # fmt: skip

PROCESS = [
    text("entrypoint", "", "Overwrite the default ENTRYPOINT of the image", default=None),
    many("env", "e", "Set environment variables", parse=check_env),
    many("env-file", "", "Read in a file of environment variables"),
    text("workdir", "w", "Working directory inside the container"),
    text("user", "u", "Username or UID (format: <name|uid>[:<group|gid>])"),
    many("group-add", "", "Add additional groups to join"),
    boolean("init", "", "Run an init inside the container that forwards signals and reaps processes", default=None),
    text("stop-signal", "", "Signal to stop the container"),
    number("stop-timeout", "", "Timeout (in seconds) to stop a container", default=None),
    many("ulimit", "", "Ulimit options", kind="ulimit", parse=values.ulimit),
    number("oom-score-adj", "", "Tune host's OOM preferences (-1000 to 1000)"),
    many("attach", "a", "Attach to STDIN, STDOUT or STDERR", parse=values.stream),
    boolean("interactive", "i", "Keep STDIN open even if not attached"),
    boolean("tty", "t", "Allocate a pseudo-TTY"),
    text("log-driver", "", "Logging driver for the container (json-file, local, none)"),
    many("log-opt", "", "Log driver options"),
]

HEALTH = [
    text("health-cmd", "", "Command to run to check health"),
    value("health-interval", "", "Time between running the check (ms|s|m|h) (default 0s)", "duration", duration,
          default=0),
    value("health-timeout", "", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)", "duration", duration,
          default=0),
    number("health-retries", "", "Consecutive failures needed to report unhealthy"),
    value("health-start-period", "",
          "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)",
          "duration", duration, default=0),
    value("health-start-interval", "", "Time between running the check during the start period (ms|s|m|h)",
          "duration", duration, default=0),
    boolean("no-healthcheck", "", "Disable any container-specified HEALTHCHECK"),
]  # fmt: skip

FILES = [
    many("volume", "v", "Bind mount a volume"),
    many("mount", "", "Attach a filesystem mount to the container", kind="mount", parse=parse_mount),
    many("tmpfs", "", "Mount a tmpfs directory"),
    many("volumes-from", "", "Mount volumes from the specified container(s)"),
    text("volume-driver", "", "Optional volume driver for the container"),
    many("storage-opt", "", "Storage driver options for the container"),
    boolean("read-only", "", "Mount the container's root filesystem as read only"),
    value("shm-size", "", "Size of /dev/shm", "bytes", size, default=0),
    many("device", "", "Add a host device to the container, or one of a CDI file (vendor.com/class=name)"),
    many("gpus", "", "GPU devices to add to the container ('all' to pass all GPUs)", kind="gpu-request", parse=gpus),
    many("cdi-spec-dir", "", "Look here for the CDI files of --gpus and --device, lowest priority first"),
    many("device-cgroup-rule", "", "Add a rule to the cgroup allowed devices list", parse=values.device_rule),
]

NETWORK = [
    many("publish", "p", "Publish a container's port(s) to the host"),
    boolean("publish-all", "P", "Publish all exposed ports to random ports"),
    many("expose", "", "Expose a port or a range of ports"),
    many("network", "", "Connect a container to a network", kind="network", parse=parse_network),
    many("network-alias", "", "Add network-scoped alias for the container"),
    text("ip", "", "IPv4 address (e.g., 172.30.100.104)", kind="ip"),
    text("ip6", "", "IPv6 address (e.g., 2001:db8::33)", kind="ip"),
    many("link", "", "Add link to another container", parse=link),
    many("link-local-ip", "", "Container IPv4/IPv6 link-local addresses"),
    text("hostname", "h", "Container host name"),
    text("domainname", "", "Container NIS domain name"),
    many("add-host", "", "Add a custom host-to-IP mapping (host:ip)", parse=values.extra_host),
    many("dns", "", "Set custom DNS servers", parse=values.address),
    many("dns-search", "", "Set custom DNS search domains", parse=values.domain),
    many("dns-option", "", "Set DNS options"),
    text("mac-address", "", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
]

LIMITS = [
    value("memory", "m", "Memory limit", "bytes", size, default=0),
    value("memory-reservation", "", "Memory soft limit", "bytes", size, default=0),
    value("memory-swap", "", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", "bytes",
          size_or_unlimited, default=0),
    number("memory-swappiness", "", "Tune container memory swappiness (0 to 100)", default=-1),
    value("cpus", "", "Number of CPUs", "decimal", cpus, default=0),
    number("cpu-shares", "c", "CPU shares (relative weight)"),
    number("cpu-period", "", "Limit CPU CFS (Completely Fair Scheduler) period"),
    number("cpu-quota", "", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    text("cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)"),
    number("cpu-rt-period", "", "Limit CPU real-time period in microseconds"),
    number("cpu-rt-runtime", "", "Limit CPU real-time runtime in microseconds"),
    boolean("show-limits", "", "Show limits, and what is used of them, in /proc/{meminfo,cpuinfo,stat}, /sys/…/online"),
    boolean("thread-hints", "", "Set OMP_NUM_THREADS and its like to the number of processors that there are for it"),
    number("pids-limit", "", "Tune container pids limit (set -1 for unlimited)", default=None),
    boolean("oom-kill-disable", "", "Disable OOM Killer"),
    text("cgroup-parent", "", "Optional parent cgroup for the container"),
    value("blkio-weight", "", "Block IO (relative weight), between 10 and 1000, or 0 to disable", "uint16",
          blkio.weight, default=0),
    many("blkio-weight-device", "", "Block IO weight (relative device weight)", parse=blkio.device_weight),
    many("device-read-bps", "", "Limit read rate (bytes per second) from a device", parse=blkio.byte_rate),
    many("device-write-bps", "", "Limit write rate (bytes per second) to a device", parse=blkio.byte_rate),
    many("device-read-iops", "", "Limit read rate (IO per second) from a device", parse=blkio.operation_rate),
    many("device-write-iops", "", "Limit write rate (IO per second) to a device", parse=blkio.operation_rate),
]  # fmt: skip

ISOLATION = [
    many("cap-add", "", "Add Linux capabilities"),
    many("cap-drop", "", "Drop Linux capabilities"),
    boolean("privileged", "", "Give extended privileges to this container"),
    many("security-opt", "", "Security Options"),
    many("sysctl", "", "Sysctl options", kind="map", parse=values.sysctl),
    text("pid", "", "PID namespace to use"),
    text("ipc", "", "IPC mode to use"),
    text("uts", "", "UTS namespace to use"),
    text("cgroupns", "", "Cgroup namespace to use (host|private)"),
    text("userns", "", "User namespace to use"),
    text("isolation", "", "Container isolation technology (default)"),
]

ON_WINDOWS = "is only for containers on Windows"
NO_SOCKET = "can't be honoured: it hands the engine's own socket in, and minidock needs no daemon that has one"
REMOVED = "can't be honoured: Linux has removed that limit (5.16); kernel memory counts in --memory"

REFUSED = [
    *(refused(name, why=ON_WINDOWS) for name in ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")),
    refused("kernel-memory", why=REMOVED),
    refused("use-api-socket", kind="", why=NO_SOCKET),
]

OLDER_NAMES = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}

OLDER = [spelling(old, flag) for old, new in OLDER_NAMES.items() for flag in NETWORK if flag.name == new]

CREATE_FLAGS = [*NAMING, *PROCESS, *HEALTH, *FILES, *NETWORK, *LIMITS, *ISOLATION, *OLDER, *REFUSED]

RUN_FLAGS = [
    *CREATE_FLAGS,
    boolean("detach", "d", "Run container in background and print container ID"),
    boolean("sig-proxy", "", "Proxy received signals to the process", default=True),
    text("detach-keys", "", "Override the key sequence for detaching a container", parse=values.detach_keys),
    explain(
        "Tell each step asked of the kernel as it happens: what, why, its shell line, man page, time (=json, =html)"
    ),
    boolean("dry-run", "", "List the steps without doing any of them"),
    boolean("as-shell", "", "Print a shell script that makes the same container by hand"),
]
