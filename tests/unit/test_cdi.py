"""CDI files: what is read, which one wins, what is refused, and what they make of a config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minidock import spec
from minidock.engine import cdi_edits, cdi_specs, device_requests
from minidock.engine.cdi_specs import CdiMount, DeviceNode, Edits
from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.model.host import DeviceRequest

CONFIG = spec.Spec(
    oci_version="1.2.0",
    process=spec.Process(cwd="/", args=["sh"], env=["PATH=/bin", "A=1"], user=spec.User(additional_gids=[5])),
    mounts=[spec.Mount("/proc", "proc"), spec.Mount("/dev", "tmpfs"), spec.Mount("/opt/a/b", "bind", "/x", ["rbind"])],
    linux=spec.Linux(resources=spec.Resources(devices=[spec.DeviceRule(allow=False)])),
)


def entry(name: str = "0", **edits: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": edits or {"env": [f"DEVICE={name}"]}}


def written(path: Path, version: str = "0.5.0", kind: str = "acme.com/gpu", **rest: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cdiVersion": version, "kind": kind, "devices": [entry()], **rest}))
    return path


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    """Octal numbers too: YAML has them, JSON doesn't."""
    nodes = [{"path": "/dev/a", "hostPath": "/dev/null", "fileMode": 0o640}]
    as_json = written(tmp_path / "a.json", devices=[entry(deviceNodes=nodes)])
    as_yaml = tmp_path / "b.yaml"
    as_yaml.write_text(
        'cdiVersion: "0.5.0"\nkind: acme.com/gpu\ncontainerEdits:\ndevices:\n- name: "0"\n  containerEdits:\n'
        "    deviceNodes:\n    - {path: /dev/a, hostPath: /dev/null, fileMode: 0640}\n"
    )
    assert cdi_specs.load(as_json) == cdi_specs.load(as_yaml)


def test_the_later_directory_wins_and_twins_in_one_cancel_out(tmp_path: Path) -> None:
    low, high = tmp_path / "etc", tmp_path / "run"
    written(low / "a.json", devices=[entry("0"), entry("1"), entry("2")])
    winner = written(high / "z.json", devices=[entry("0"), entry("1")])
    written(high / "y.json", devices=[entry("1")])
    written(high / "notes.txt")
    written(high / "below" / "c.json", devices=[entry("9")])
    found = cdi_specs.read([str(low), str(high), str(tmp_path / "nowhere")])
    assert sorted(found.devices) == ["acme.com/gpu=0", "acme.com/gpu=2"]
    assert found.devices["acme.com/gpu=0"].file == winner
    assert "acme.com/gpu=1" in found.problems
    assert found.files == [low / "a.json", high / "y.json", high / "z.json"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"cdiVersion": "9.0.0"}, "unknown cdiVersion"),
        ({"cdiVersion": "0.3.0"}, "must be at least 0.5.0"),
        ({"cdiVersion": "0.5.0", "annotations": {"a": "b"}}, "must be at least 0.6.0"),
        ({"cdiVersion": "0.6.0", "containerEdits": {"additionalGids": [1]}}, "must be at least 0.7.0"),
        ({"containerEdits": {"netDevices": [{"hostInterfaceName": "a", "name": "b"}]}}, "must be at least 1.1.0"),
        ({"containerEdits": {"intelRdt": {"schemata": []}}}, "must be at least 1.1.0"),
        ({"kind": "acme.com/gpu.x"}, "must be at least 0.6.0"),
        ({"kind": "acme"}, "not a kind"),
        ({"kind": "acme.com/gpu/x"}, "not a kind"),
        ({"kind": None}, "not a CDI specification"),
        ({"devices": []}, "no devices"),
        ({"devices": [entry("a"), entry("a")]}, "twice"),
        ({"devices": [entry("-a")]}, "not a name"),
        ({"devices": [{"name": "a", "containerEdits": {}}]}, "empty containerEdits"),
        ({"surprise": 1}, "surprise"),
        ({"containerEdits": {"env": ["novalue"]}}, "not a variable"),
        ({"containerEdits": {"deviceNodes": [{"path": "/dev/x", "type": "q"}]}}, "not a type"),
        ({"containerEdits": {"deviceNodes": [{"path": "/dev/x", "permissions": "rx"}]}}, "not permissions"),
        ({"containerEdits": {"mounts": [{"hostPath": "", "containerPath": "/x"}]}}, "lacks hostPath"),
        ({"containerEdits": {"hooks": [{"hookName": "never", "path": "/x"}]}}, "no hook"),
        ({"containerEdits": {"hooks": [{"hookName": "prestart", "path": "x"}]}}, "no absolute path"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        cdi_specs.load(written(tmp_path / "a.json", **({"version": change.pop("cdiVersion", "0.5.0")} | change)))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"a: [", b"a: &x [*x]", b"!!python/object:os.system {}"]
)
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_rubbish_is_a_problem_of_one_file(tmp_path: Path, raw: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(raw)
    written(tmp_path / "good.json")
    found = cdi_specs.read([str(tmp_path)])
    assert list(found.devices) == ["acme.com/gpu=0"]
    assert list(found.problems) == [str(tmp_path / name)]


def test_edits_of_a_file_come_once_and_first(tmp_path: Path) -> None:
    written(tmp_path / "a.json", devices=[entry("0"), entry("1")], containerEdits={"env": ["ALL=1"]})
    found = cdi_specs.read([str(tmp_path)])
    edits = cdi_specs.resolve(found, ["acme.com/gpu=1", "acme.com/gpu=0", "acme.com/gpu=1"])
    assert [each.env for each in edits] == [["ALL=1"], ["DEVICE=1"], ["DEVICE=0"]]


def test_edits_reach_every_part_of_the_config() -> None:
    edits = Edits(
        env=["A=2", "B=3"],
        device_nodes=[
            DeviceNode("/dev/n", host_path="/dev/null", permissions="r"),
            DeviceNode("/dev/q", "", "c", 9, 8),
        ],
        mounts=[CdiMount("/etc", "/opt/a/b"), CdiMount("tmpfs", "/opt", ["size=1k"], "tmpfs")],
        hooks=[cdi_specs.CdiHook("createContainer", "/bin/true", ["true"])],
        additional_gids=[0, 5, 7],
    )
    made = cdi_edits.apply(CONFIG, [edits])
    assert made.process and made.linux.resources and made.hooks
    assert made.process.env == ["PATH=/bin", "A=2", "B=3"]
    assert made.process.user.additional_gids == [5, 7]
    assert [(node.path, node.type, node.major, node.minor) for node in made.linux.devices] == [
        ("/dev/n", "c", 1, 3),
        ("/dev/q", "c", 9, 8),
    ]
    assert made.linux.resources.devices[1:] == [
        spec.DeviceRule(True, "c", 1, 3, "r"),
        spec.DeviceRule(True, "c", 9, 8, "rwm"),
    ]
    assert [(mount.destination, mount.source) for mount in made.mounts] == [
        ("/proc", ""), ("/dev", ""), ("/opt", "tmpfs"), ("/opt/a/b", "/etc"),
    ]  # fmt: skip
    assert made.hooks.create_container == [spec.Hook("/bin/true", ["true"])]


def test_what_cannot_be_honoured_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="intelRdt"):
        cdi_edits.apply(CONFIG, [Edits(intel_rdt={})])


@pytest.mark.parametrize("path", ["/dev/no-such-device", "/etc/passwd"])
def test_a_node_that_is_none_says_what_to_do(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        cdi_edits.apply(CONFIG, [Edits(device_nodes=[DeviceNode(path)])])
    assert path in caught.value.message and "make it anew" in caught.value.hint


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (DeviceRequest(count=-1, capabilities=[["gpu"]]), ["0", "2", "10"]),
        (DeviceRequest(count=2, capabilities=[["compute", "gpu"]]), ["0", "2"]),
        (DeviceRequest(driver="nvidia", device_ids=["GPU-1"], capabilities=[["gpu"]]), ["GPU-1"]),
        (DeviceRequest(capabilities=[["gpu"]]), []),
    ],
)
def test_what_a_request_means(tmp_path: Path, request_: DeviceRequest, names: list[str]) -> None:
    """In the order of their numbers: 10 comes after 2."""
    written(tmp_path / "a.json", kind="nvidia.com/gpu", devices=[entry(name) for name in ("10", "2", "0", "GPU-1")])
    found = cdi_specs.read([str(tmp_path)])
    assert device_requests.device_names(found, request_) == [f"nvidia.com/gpu={name}" for name in names]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (DeviceRequest(count=1, device_ids=["0"], capabilities=[["gpu"]]), "cannot set both"),
        (DeviceRequest(count=1, capabilities=[["tpu"]]), r'device driver "" with capabilities: \[\[tpu\]\]'),
        (DeviceRequest(driver="acme", count=1, capabilities=[["gpu"]]), r'device driver "acme"'),
        (DeviceRequest(driver="amd", count=-1, capabilities=[["gpu"]]), r'device driver "amd"'),
        (DeviceRequest(count=2, capabilities=[["gpu"]]), "2 GPUs were asked for"),
    ],
)
def test_requests_that_nothing_meets(tmp_path: Path, request_: DeviceRequest, problem: str) -> None:
    written(tmp_path / "a.json", kind="nvidia.com/gpu")
    with pytest.raises(MinidockError, match=problem):
        device_requests.device_names(cdi_specs.read([str(tmp_path)]), request_)
