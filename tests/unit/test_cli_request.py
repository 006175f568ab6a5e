"""From the flags of `run` to the request: every flag arrives where the API has it, and contradictions are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minidock.cli.flags import parse
from minidock.cli.request import build
from minidock.cli.run_flags import CREATE_FLAGS, RUN_FLAGS
from minidock.errors import UsageError
from minidock.model.checks import check
from minidock.model.container import ContainerConfig
from minidock.model.host import DeviceMapping, HostConfig, LogConfig, MountRequest, PortBinding, RestartPolicy, Ulimit
from minidock.model.requests import CreateRequest


def request(*words: str) -> CreateRequest:
    values, positional = parse(RUN_FLAGS, [*words, "busybox", "sh", "-c", "id"], interspersed=False)
    return build(positional[0], positional[1:], values)


def test_without_flags_everything_is_the_default() -> None:
    found = request()
    assert found.config == ContainerConfig(
        image="busybox", cmd=["sh", "-c", "id"], attach_stdout=True, attach_stderr=True
    )
    assert found.host_config == HostConfig()
    assert (found.name, found.platform) == ("", "")


CONFIG: list[tuple[list[str], dict[str, Any]]] = [
    (["-h", "box"], {"hostname": "box"}),
    (["--domainname", "d"], {"domainname": "d"}),
    (["-u", "1:2"], {"user": "1:2"}),
    (["-i"], {"attach_stdin": True, "open_stdin": True, "stdin_once": True}),
    (["-t"], {"tty": True}),
    (["-d", "-i"], {"attach_stdin": False, "attach_stdout": False, "open_stdin": True, "stdin_once": False}),
    (["-a", "stdout"], {"attach_stdin": False, "attach_stdout": True, "attach_stderr": False}),
    (["-a", "stdin", "-a", "STDERR", "-i"], {"attach_stdin": True, "attach_stdout": False, "attach_stderr": True}),
    (["-e", "A=1", "-e", "A=2"], {"env": ["A=2"]}),
    (["--expose", "80", "-p", "81"], {"exposed_ports": {"81/tcp": {}, "80/tcp": {}}}),
    (["-v", "/data"], {"volumes": {"/data": {}}}),
    (["-w", "/srv"], {"working_dir": "/srv"}),
    (["--entrypoint", "/x"], {"entrypoint": ["/x"]}),
    (["--entrypoint", ""], {"entrypoint": [""]}),
    (["--mac-address", "92:d0:c6:0a:29:33"], {"mac_address": "92:d0:c6:0a:29:33"}),
    (["-l", "a=b"], {"labels": {"a": "b"}}),
    (["--stop-signal", "INT"], {"stop_signal": "INT"}),
    (["--stop-timeout", "3"], {"stop_timeout": 3}),
]


@pytest.mark.parametrize(
    ("words", "wanted"), CONFIG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_container_config(words: list[str], wanted: dict[str, Any]) -> None:
    config = request(*words).config
    assert {name: getattr(config, name) for name in wanted} == wanted


HOST: list[tuple[list[str], dict[str, Any]]] = [
    (["-v", "/a:/b:ro", "-v", "data:/c"], {"binds": ["/a:/b:ro", "data:/c"]}),
    (["--cidfile", "x"], {"container_id_file": "x"}),
    (["--log-opt", "max-size=10m", "--log-opt", "max-file=3"],
     {"log_config": LogConfig("json-file", {"max-size": "10m", "max-file": "3"})}),
    (["--log-driver", "none"], {"log_config": LogConfig("none")}),
    (["--network", "none"], {"network_mode": "none"}),
    (["--net", "container:x"], {"network_mode": "container:x"}),
    (["-p", "1.2.3.4:80:81/udp"], {"port_bindings": {"81/udp": [PortBinding("1.2.3.4", "80")]}}),
    (["-P"], {"publish_all_ports": True}),
    (["--rm"], {"auto_remove": True}),
    (["--restart", "no"], {"restart_policy": RestartPolicy()}),
    (["--restart", "always"], {"restart_policy": RestartPolicy("always")}),
    (["--restart", "on-failure:3"], {"restart_policy": RestartPolicy("on-failure", 3)}),
    (["--cap-add", "ALL", "--cap-drop", "chown"], {"cap_add": ["ALL"], "cap_drop": ["chown"]}),
    (["--cgroupns", "host"], {"cgroupns_mode": "host"}),
    (["--dns", "1.1.1.1", "--dns-search", "x.y", "--dns-option", "ndots:2", "--dns-opt", "rotate"],
     {"dns": ["1.1.1.1"], "dns_search": ["x.y"], "dns_options": ["ndots:2", "rotate"]}),
    (["--add-host", "a=1.2.3.4"], {"extra_hosts": ["a:1.2.3.4"]}),
    (["--group-add", "audio"], {"group_add": ["audio"]}),
    (["--ipc", "host", "--pid", "host", "--uts", "host", "--userns", "host"],
     {"ipc_mode": "host", "pid_mode": "host", "uts_mode": "host", "userns_mode": "host"}),
    (["--oom-score-adj", "-5"], {"oom_score_adj": -5}),
    (["--privileged", "--read-only"], {"privileged": True, "readonly_rootfs": True}),
    (["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"],
     {"security_opt": ["no-new-privileges", "seccomp=unconfined"], "masked_paths": None}),
    (["--security-opt", "systempaths=unconfined"], {"security_opt": [], "masked_paths": [], "readonly_paths": []}),
    (["--tmpfs", "/t:size=1m"], {"tmpfs": {"/t": "size=1m"}}),
    (["--shm-size", "1g"], {"shm_size": 1 << 30}),
    (["--sysctl", "net.core.somaxconn=9"], {"sysctls": {"net.core.somaxconn": "9"}}),
    (["--annotation", "a=b"], {"annotations": {"a": "b"}}),
    (["-m", "64m", "--memory-swap", "-1", "--memory-reservation", "32m", "--memory-swappiness", "7"],
     {"memory": 64 << 20, "memory_swap": -1, "memory_reservation": 32 << 20, "memory_swappiness": 7}),
    (["--cpus", "0.5"], {"nano_cpus": 500_000_000}),
    (["-c", "512", "--cpu-period", "50000", "--cpu-quota", "25000"],
     {"cpu_shares": 512, "cpu_period": 50000, "cpu_quota": 25000}),
    (["--cpuset-cpus", "0", "--cpuset-mems", "0"], {"cpuset_cpus": "0", "cpuset_mems": "0"}),
    (["--pids-limit", "-1"], {"pids_limit": -1}),
    (["--device", "/dev/null:/dev/x:r"], {"devices": [DeviceMapping("/dev/null", "/dev/x", "r")]}),
    (["--device-cgroup-rule", "c 1:3 rwm"], {"device_cgroup_rules": ["c 1:3 rwm"]}),
    (["--ulimit", "nofile=1:2", "--ulimit", "nofile=3"], {"ulimits": [Ulimit("nofile", 3, 3)]}),
    (["--mount", "type=tmpfs,target=/x"], {"mounts": [MountRequest("tmpfs", "/x")]}),
    (["--init"], {"init": True}),
    (["--init=false"], {"init": False}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "wanted"), HOST, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_host_config(words: list[str], wanted: dict[str, Any]) -> None:
    found = request(*words)
    assert {name: getattr(found.host_config, name) for name in wanted} == wanted
    check(found)


def test_a_seccomp_profile_is_read_and_travels(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text('{ "defaultAction": "SCMP_ACT_ALLOW" }\n')
    options = request("--security-opt", f"seccomp={file}").host_config.security_opt
    assert options == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']


CPUS = os.cpu_count() or 1
HERE = f"Range of CPUs is from 0.01 to {CPUS}.00, as there are only {CPUS} CPUs available"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "5m"], "Minimum memory limit allowed is 6MB"),
        (
            ["--memory-swap", "5m", "-m", "10m"],
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (["--memory-swap", "50m"], "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (["--memory-reservation", "1m"], "Minimum memory reservation allowed is 6MB"),
        (["--memory-reservation", "50m", "-m", "10m"],
         "Minimum memory limit can not be less than memory reservation limit, see usage"),
        (["--memory-swappiness", "101"], "invalid value: 101. Valid memory swappiness range is 0-100"),
        (["--memory-swappiness", "-2"], "invalid value: -2. Valid memory swappiness range is 0-100"),
        (["--cpus", "-1"], HERE),
        (["--cpus", "10000"], HERE),
        (
            ["--cpu-period", "10"],
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (["--cpu-quota", "10"], "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (["--cpus", "1", "--cpu-period", "10000"], "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (["--cpus", "1", "--cpu-quota", "10000"], "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (["--cpuset-cpus", "a"], "Invalid value a for cpuset cpus: invalid format: a"),
        (["--cpuset-cpus", "1-0"], "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
        (["--cpuset-cpus", "0-"], "Invalid value 0- for cpuset cpus: invalid format: 0-"),
        (["--oom-score-adj", "1001"], "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (["--stop-signal", "foo"], "Invalid signal: foo"),
        (["--restart", "always", "--rm"], "conflicting options: cannot specify both --restart and --rm"),
        (["--restart", "foo"], "invalid restart policy 'foo'"),
        (["--restart", "on-failure:a"], "invalid restart policy format: maximum retry count must be an integer"),
        (["--restart", "on-failure:-1"], "maximum retry count cannot be negative"),
        (["--restart", "always:3"], "maximum retry count cannot be used with restart policy 'always'"),
        (["--name", "a"], "Invalid container name (a), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (["--name", "/foo/bar"], "Invalid container name (/foo/bar), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (["--net", "container:", "-h", "x"], "Invalid network mode: invalid container format container:<name|id>"),
        (["--net", "container:x", "-h", "x"], "conflicting options: hostname and the network mode"),
        (
            ["--net", "container:x", "-p", "80"],
            "conflicting options: port publishing and the container type network mode",
        ),
        (["--net", "container:x", "--expose", "80"],
         "conflicting options: port exposing and the container type network mode"),
        (["--net", "container:x", "--dns", "1.1.1.1"], "conflicting options: dns and the network mode"),
        (["--net", "container:x", "--add-host", "a:1.2.3.4"],
         "conflicting options: custom host-to-IP mapping and the network mode"),
        (["--uts", "host", "-h", "x"], "conflicting options: hostname and the UTS mode"),
        (["--pid", "foo"], "--pid: invalid PID mode"),
        (["--pid", "container:"], "--pid: invalid PID mode"),
        (["--uts", "private"], "--uts: invalid UTS mode"),
        (["--cgroupns", "foo"], "--cgroupns: invalid CGROUP mode"),
        (["--userns", "private"], "--userns: invalid USER mode"),
        (["--ipc", "foo"], "Invalid IPC mode: foo"),
        (["--security-opt", "foo"], 'Invalid --security-opt: "foo"'),
        (["--security-opt", "foo=bar"], 'invalid --security-opt 2: "foo=bar"'),
        (["--security-opt", "no-new-privileges=maybe"], 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        (["--security-opt", "systempaths=foo"], 'invalid --security-opt 2: "systempaths=foo"'),
        (["--security-opt", "seccomp=/nope"],
         "opening seccomp profile (/nope) failed: open /nope: no such file or directory"),
        (["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"),
        (["--log-driver", "syslog"], "--log-driver syslog is not supported by this version of minidock"),
        (["--log-opt", "foo=bar"], "unknown log opt 'foo' for json-file log driver"),
        (["--log-opt", "max-file=0"], "max-file cannot be less than 1"),
        (["-w", "foo"], "the working directory 'foo' is invalid, it needs to be an absolute path"),
        (["-v", "/tmp:/x", "--mount", "type=bind,source=/tmp,target=/x"], "Duplicate mount point: /x"),
        (["-v", "/tmp:/x", "-v", "/usr:/x"], "Duplicate mount point: /x"),
        (["--mount", "type=foo,target=/x"], 'invalid mount config for type "foo": mount type unknown'),
    ],
)  # fmt: skip
def test_contradictions(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(request(*words))
    assert caught.value.message == message


def test_words_that_are_not_text() -> None:
    with pytest.raises(UsageError) as caught:
        check(request("-e", "A=\udcff"))
    assert caught.value.message == "not valid UTF-8: A=\\xff"


def test_processors_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="Requested CPUs are not available - requested 9999, available: "):
        check(request("--cpuset-cpus", "9999"))


def test_published_ports_of_the_host_network_are_only_worth_a_warning() -> None:
    assert check(request("--net", "host", "-p", "80:80")) == [
        "Published ports are discarded when using host network mode"
    ]


@pytest.mark.parametrize("signal", ["", "TERM", "SIGTERM", "sigint", "9", "RTMIN+3", "SIGRTMAX-1"])
def test_signals(signal: str) -> None:
    check(request("--stop-signal", signal))


def test_create_has_the_flags_of_run_but_those_of_running() -> None:
    only_run = {flag.name for flag in RUN_FLAGS} - {flag.name for flag in CREATE_FLAGS}
    assert only_run == {"detach", "sig-proxy", "detach-keys", "explain", "dry-run", "as-shell"}


def test_no_flag_is_there_twice() -> None:
    names = [flag.name for flag in RUN_FLAGS]
    shorts = [flag.short for flag in RUN_FLAGS if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
