"""Ports, mounts, environment, limits: what Docker's client accepts, and its sentence for what it doesn't.

The tables were made by giving the same words to Docker 28.2.2 with a Docker 20.10 server.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli import parse_env, parse_mounts, parse_ports, parse_values, parse_volumes
from minidock.errors import UsageError
from minidock.model.host import (
    BindOptions,
    DeviceMapping,
    ImageOptions,
    PortBinding,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from minidock.model.mount_checks import check_mount


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(UsageError) as caught:
        function(*arguments)
    return caught.value.message


# -p and --expose


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("80", {"80/tcp": ["", ""]}),
        ("80/tcp", {"80/tcp": ["", ""]}),
        ("8080:80", {"80/tcp": ["", "8080"]}),
        ("127.0.0.1:8080:80", {"80/tcp": ["127.0.0.1", "8080"]}),
        ("127.0.0.1::80", {"80/tcp": ["127.0.0.1", ""]}),
        (":80", {"80/tcp": ["", ""]}),
        ("::80", {"80/tcp": ["", ""]}),
        ("[::1]:80:80", {"80/tcp": ["::1", "80"]}),
        ("::1:80:80", {"80/tcp": ["::1", "80"]}),
        ("[::]:80:80", {"80/tcp": ["::", "80"]}),
        ("80:80/udp", {"80/udp": ["", "80"]}),
        ("80:80/sctp", {"80/sctp": ["", "80"]}),
        ("127.0.0.1:80:80/TCP", {"80/tcp": ["127.0.0.1", "80"]}),
        ("80:80/", {"80/tcp": ["", "80"]}),
        ("8000-8002:80", {"80/tcp": ["", "8000-8002"]}),
        ("8000-8002:80-82", {"80/tcp": ["", "8000"], "81/tcp": ["", "8001"], "82/tcp": ["", "8002"]}),
        ("80-82", {"80/tcp": ["", ""], "81/tcp": ["", ""], "82/tcp": ["", ""]}),
        ("0:80", {"80/tcp": ["", "0"]}),
        ("01:80", {"80/tcp": ["", "1"]}),
        ("published=8080,target=80", {"80/tcp": ["", "8080"]}),
        ("target=80,protocol=udp,published=90,mode=host", {"80/udp": ["", "90"]}),
    ],
)
def test_published_ports(raw: str, wanted: dict[str, list[str]]) -> None:
    open_ports, bindings = parse_ports.parse_ports([raw], [])
    assert bindings == {port: [PortBinding(*binding)] for port, binding in wanted.items()}
    assert open_ports == list(wanted)


def test_one_port_may_be_published_twice() -> None:
    open_ports, bindings = parse_ports.parse_ports(["80:80", "81:80"], ["80", "90-91/udp"])
    assert bindings == {"80/tcp": [PortBinding("", "80"), PortBinding("", "81")]}
    assert open_ports == ["80/tcp", "90/udp", "91/udp"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("abc", "invalid containerPort: abc"),
        ("80:80:80:80", "invalid IP address: 80:80"),
        ("1-3:1-2", "invalid ranges specified for container and host Ports: 1-2 and 1-3"),
        ("80:80-81", "invalid ranges specified for container and host Ports: 80-81 and 80"),
        ("99999:80", "invalid hostPort: 99999"),
        ("80/foo", "invalid proto: foo"),
        ("1.2.3:80:80", "invalid IP address: 1.2.3"),
        ("-1:80", "invalid hostPort: -1"),
        ("80:", "no port specified: 80:<empty>"),
        ("", "no port specified: <empty>"),
        ("70000", "invalid containerPort: 70000"),
        ("a:80", "invalid hostPort: a"),
        ("80:a", "invalid containerPort: a"),
        ("localhost:80:80", "invalid IP address: localhost"),
        ("80-79", "invalid containerPort: 80-79"),
        ("/tcp", "no port specified: /tcp<empty>"),
        ("[::1:80:80", "invalid IP address [::1: address [::1:: missing ']' in address"),
        (" 80:80", "invalid hostPort:  80"),
        ("+80:80", "invalid hostPort: +80"),
        ("256.1.1.1:80:80", "invalid IP address: 256.1.1.1"),
        ("fe80::1%eth0:80:80", "invalid IP address: fe80::1%eth0"),
        ("published=80", "no port specified: 80:/tcp<empty>"),
        ("target=x", "invalid containerPort: x"),
    ],
)
def test_bad_published_ports(raw: str, message: str) -> None:
    assert refusal(parse_ports.parse_ports, [raw], []) == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("foo", 'invalid range format for --expose: foo, error: strconv.ParseUint: parsing "foo": invalid syntax'),
        ("80-70", "invalid range format for --expose: 80-70, error: invalid range specified for port: 80-70"),
        ("80:80", "invalid port format for --expose: 80:80"),
    ],
)
def test_bad_exposed_ports(raw: str, message: str) -> None:
    assert refusal(parse_ports.parse_ports, [], [raw]) == message


@given(st.text(alphabet="0123456789-:/.[]tcpud=,a ", max_size=20))
def test_no_port_makes_anything_but_bindings_or_a_usage_error(raw: str) -> None:
    try:
        _, bindings = parse_ports.parse_ports([raw], [])
    except UsageError:
        return
    assert all(0 <= int(port.split("/")[0]) <= 65535 for port in bindings)


# -v and --tmpfs


@pytest.mark.parametrize(
    ("raw", "binds", "anonymous"),
    [
        ("/a", [], ["/a"]),
        ("data:/b", ["data:/b"], []),
        ("/a:/b:z", ["/a:/b:z"], []),
        ("/a:/b:rshared", ["/a:/b:rshared"], []),
        ("/a:/b:ro,rprivate,Z", ["/a:/b:ro,rprivate,Z"], []),
        ("data:/b:nocopy", ["data:/b:nocopy"], []),
        ("/a/../b:/c/", ["/b:/c"], []),
    ],
)
def test_volumes(raw: str, binds: list[str], anonymous: list[str]) -> None:
    assert parse_volumes.parse_volumes([raw]) == (binds, anonymous)


def test_relative_sources_start_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    binds, _ = parse_volumes.parse_volumes([".:/a", "./x:/b", "../y:/c", "there:/d"])
    assert binds == [f"{tmp_path}:/a", f"{tmp_path}/x:/b", f"{tmp_path.parent}/y:/c", "there:/d"]


BIND = "invalid volume specification: '{}': invalid mount config for type \"bind\": "


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "invalid empty volume spec"),
        (":/a", "invalid spec: :/a: empty section between colons"),
        ("/a:", "invalid spec: /a:: empty section between colons"),
        ("/a:b", BIND.format("/a:b") + "invalid mount path: 'b' mount path must be absolute"),
        ("/a:/", BIND.format("/a:/") + "invalid specification: destination can't be '/'"),
        ("/a:/b/../..", BIND.format("/a:/b/../..") + "invalid specification: destination can't be '/'"),
        ("/a:/b:foo", "invalid mode: foo"),
        ("/a:/b:ro,foo", "invalid mode: ro,foo"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:rshared,shared", "invalid mode: rshared,shared"),
        ("/a:/b:nocopy", BIND.format("/a:/b:nocopy") + "field VolumeOptions must not be specified"),
        ("/a:/b:c:d", "invalid volume specification: '/a:/b:c:d'"),
        ("/x:rw", "invalid volume specification: '/x:rw'"),
        (
            "a:/x:rshared",
            "invalid volume specification: 'a:/x:rshared': invalid mount config for type \"volume\": "
            "field BindOptions must not be specified",
        ),
    ],
)
def test_bad_volumes(raw: str, message: str) -> None:
    assert refusal(parse_volumes.parse_volumes, [raw]) == message


def test_tmpfs() -> None:
    assert parse_volumes.parse_tmpfs(["/a", "/b/:size=1m,ro", "/b:rw"]) == {"/a": "", "/b": "rw"}
    assert refusal(parse_volumes.parse_tmpfs, ["a"]) == "invalid mount path: 'a' mount path must be absolute"


# --mount


def test_mounts() -> None:
    bind = parse_mounts.parse_mount("TYPE=BIND,src=/tmp,dst=/x,RO,bind-propagation=rslave,consistency=cached")
    assert (bind.type, bind.source, bind.target, bind.read_only) == ("bind", "/tmp", "/x", True)
    assert bind.bind_options == BindOptions(propagation="rslave")
    assert bind.consistency == "cached"
    volume = parse_mounts.parse_mount("target=/x,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=p")
    assert volume.type == "volume"
    assert volume.volume_options == VolumeOptions(
        no_copy=True, labels={"a": "b"}, driver_config={"Name": "local", "Options": {"o": "p"}}
    )
    tmpfs = parse_mounts.parse_mount("type=tmpfs,target=/x,tmpfs-size=1g,tmpfs-mode=1777")
    assert tmpfs.tmpfs_options == TmpfsOptions(size_bytes=1 << 30, mode=0o1777)
    image = parse_mounts.parse_mount("type=image,source=weights:1,target=/x,image-subpath=a/b")
    assert (image.type, image.source, image.image_options) == ("image", "weights:1", ImageOptions(subpath="a/b"))


def test_a_mount_is_a_line_of_csv() -> None:
    mount = parse_mounts.parse_mount('type=bind,"source=/a,b ""c""",target=/x')
    assert mount.source == '/a,b "c"'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "EOF"),
        ("type=bind", "target is required"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("type=tmpfs,target=/x,tmpfs-size=x", "invalid value for tmpfs-size: x"),
        ("type=tmpfs,target=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=bind,source=/tmp,target=/x,readonly=maybe", "invalid value for readonly: maybe"),
        ("source=a,target=/x,volume-nocopy=maybe", "invalid value for volume-nocopy: maybe"),
        ("type=volume,target=/x,bind-propagation=rslave", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=bind,source=/tmp,target=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("type=bind,source=/tmp,target=/x,tmpfs-size=1", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ("type=bind,source=/tmp,target=/x,image-subpath=1", "cannot mix 'image-*' options with mount type 'bind'"),
        ("type=bind,source=/tmp,target=/x,foo=bar", "unexpected key 'foo' in 'foo=bar'"),
        ("type=bind, source=/tmp,target=/x", "unexpected key ' source' in ' source=/tmp'"),
        (
            "type=bind,source=/tmp,target=/x,bind-recursive=foo",
            'invalid value for bind-recursive: foo (must be "enabled", "disabled", "writable", or "readonly")',
        ),
        (
            "type=bind,source=/tmp,target=/x,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
        ),
        ('type=bind,source=/t"mp,target=/x', 'parse error on line 1, column 20: bare " in non-quoted-field'),
    ],
)
def test_bad_mounts(raw: str, message: str) -> None:
    assert refusal(parse_mounts.parse_mount, raw) == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("type=foo,target=/x", 'invalid mount config for type "foo": mount type unknown'),
        ("type=bind,target=/x", 'invalid mount config for type "bind": field Source must not be empty'),
        (
            "type=bind,source=rel,target=/x",
            "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            "type=bind,source=/a,target=/",
            "invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        ("type=image,target=/x", 'invalid mount config for type "image": field Source must not be empty'),
        (
            "type=image,source=a,target=/x,image-subpath=a/../..",
            'invalid mount config for type "image": subpath must be a relative path within the volume',
        ),
        ("type=tmpfs,target=/x,source=/y", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        (
            "type=bind,source=/a,target=/x,bind-propagation=foo",
            'invalid mount config for type "bind": invalid propagation mode: foo',
        ),
    ],
)  # fmt: skip
def test_mounts_that_the_server_refuses(raw: str, message: str) -> None:
    assert refusal(check_mount, parse_mounts.parse_mount(raw)) == message


@given(st.text(alphabet='typebindsourcarg=/,"\\ 0', max_size=40))
def test_any_mount_is_one_or_a_usage_error(raw: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_mounts.parse_mount(raw).target


# -e, --env-file, -l, --label-file


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "yes")
    monkeypatch.delenv("NOWHERE", raising=False)
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbfA=1\n# no\n\n  X= two words \nHERE\nNOWHERE\nE=\r\n")
    found = parse_env.environment([str(file)], ["A=2", "HERE", "NOWHERE", "C= x"])
    assert found == ["A=2", "X= two words ", "HERE=yes", "E=", "NOWHERE", "C= x"]


def test_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("A=1\nPATH\nE=\n")
    assert parse_env.labels([str(file)], ["a", "b=c=d", "A=2"]) == {"A": "2", "E": "", "a": "", "b": "c=d"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"=x\n", "no variable name on line '=x'"),
        (b"A B=1\n", "variable 'A B' contains whitespaces"),
        (b"a b\n", "variable 'a b' contains whitespaces"),
        (b"\xff=1\n", "invalid utf8 bytes at line 1: [255 61 49]"),
    ],
)
def test_bad_env_files(raw: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(raw)
    assert refusal(parse_env.environment, [str(file)], []) == f"invalid env file ({file}): {message}"


def test_missing_env_file() -> None:
    assert refusal(parse_env.environment, ["/nope"], []) == "open /nope: no such file or directory"


@pytest.mark.parametrize("raw", ["", "=", "=a"])
def test_names_are_needed(raw: str) -> None:
    assert refusal(parse_env.check_env, raw) == f"invalid environment variable: {raw}"
    assert refusal(parse_env.check_label, raw) == f"invalid label '{raw}': empty name"


# single values


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("nofile=1024", Ulimit("nofile", 1024, 1024)),
        ("nofile=1024:2048", Ulimit("nofile", 1024, 2048)),
        ("core=-1", Ulimit("core", -1, -1)),
        ("core=10:-1", Ulimit("core", 10, -1)),
    ],
)
def test_ulimits(raw: str, wanted: Ulimit) -> None:
    assert parse_values.ulimit(raw) == wanted


TOO_MANY = "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"
TOO_SOFT = "ulimit soft limit must be less than or equal to hard limit: "


@pytest.mark.parametrize(
    ("function", "raw", "message"),
    [
        ("ulimit", "nofile", "invalid ulimit argument: nofile"),
        ("ulimit", "nofile=a", 'strconv.ParseInt: parsing "a": invalid syntax'),
        ("ulimit", "foo=1", "invalid ulimit type: foo"),
        ("ulimit", "nofile=1:2:3", TOO_MANY),
        ("ulimit", "nofile=5:3", TOO_SOFT + "5 > 3"),
        ("ulimit", "nofile=-1:10", TOO_SOFT + "soft: -1 (unlimited), hard: 10"),
        ("sysctl", "foo", "sysctl 'foo' is not allowed"),
        ("sysctl", "kernel.shm=1", "sysctl 'kernel.shm=1' is not allowed"),
        ("stream", "foo", "valid streams are STDIN, STDOUT and STDERR"),
        ("extra_host", "foo", 'bad format for add-host: "foo"'),
        ("extra_host", "foo:bar", 'invalid IP address in add-host: "bar"'),
        ("address", "foo", "IP address is not correctly formatted: foo"),
        ("domain", "...", "... is not a valid domain"),
        ("domain", "a b", "a b is not a valid domain"),
        ("device", "a:b:c:d", "bad format for path: a:b:c:d"),
        ("device", "", "bad format for path: "),
        ("device", "/dev/null:/dev/x:q", "bad mode specified: q"),
        ("device", "nosuch", "nosuch is not an absolute path"),
        ("device_rule", "foo", "invalid device cgroup format 'foo'"),
        ("mac_address", "foo", "foo is not a valid mac address"),
        ("pull_policy", "foo", "invalid pull option: 'foo': must be one of \"always\", \"missing\" or \"never\""),
        (
            "platform",
            "foo",
            'error parsing specified platform: "foo": unknown operating system or architecture: invalid argument',
        ),
        (
            "platform",
            "a/b/c/d",
            'error parsing specified platform: "a/b/c/d": cannot parse platform specifier: invalid argument',
        ),
        ("detach_keys", "ctrl-1", "Unknown character: 'ctrl-1'"),
        ("detach_keys", "foo", "Unknown character: 'foo'"),
    ],
)  # fmt: skip
def test_bad_values(function: str, raw: str, message: str) -> None:
    assert refusal(getattr(parse_values, function), raw) == message


def test_good_values() -> None:
    assert parse_values.sysctl("net.ipv4.ip_forward=1") == ("net.ipv4.ip_forward", "1")
    hosts = ("a:1.2.3.4", "a=1.2.3.4", "a:[::1]", "a:::1", "a:host-gateway")
    wanted = ["a:1.2.3.4", "a:1.2.3.4", "a:::1", "a:::1", "a:host-gateway"]
    assert [parse_values.extra_host(raw) for raw in hosts] == wanted
    assert parse_values.device("/dev/null") == DeviceMapping("/dev/null", "/dev/null", "rwm")
    assert parse_values.device("/dev/null:rw") == DeviceMapping("/dev/null", "/dev/null", "rw")
    assert parse_values.device("/dev/null:/dev/x:r") == DeviceMapping("/dev/null", "/dev/x", "r")
    assert parse_values.domain(".") == "."
    assert parse_values.detach_keys("ctrl-p,ctrl-q") == "ctrl-p,ctrl-q"
    assert parse_values.mac_address("92-D0-c6-0a-29-33") == "92:d0:c6:0a:29:33"
    assert [parse_values.platform(raw) for raw in ("", "linux", "linux/arm64/v8")] == ["", "linux", "linux/arm64/v8"]
