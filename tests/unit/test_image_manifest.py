"""Configs, manifests, indexes: what is read, and which platform is chosen."""

import json

import pytest

from minidock.errors import InvalidImage, UsageError
from minidock.image import manifest as docs
from minidock.image import platforms
from minidock.image.manifest import Descriptor, Platform

DIGEST = "sha256:" + "0" * 64


def offered(*names: str) -> list[Descriptor]:
    found = []
    for text in names:
        parts = [*text.split("/"), ""]
        platform = Platform(parts[1], parts[0], variant=parts[2]) if text != "-" else None
        found.append(Descriptor(docs.OCI_MANIFEST, DIGEST, 1, platform=platform))
    return found


CHOICES = [
    ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
    ("linux/amd64", ["linux/arm64", "windows/amd64"], None),
    ("linux/amd64", [], None),
    ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
    ("linux/amd64", ["linux/amd64/v3"], None),
    ("linux/amd64", ["-", "linux/amd64"], "linux/amd64"),
    ("linux/amd64", ["-"], "-"),
    ("linux/arm64", ["linux/arm64/v8"], "linux/arm64/v8"),
    ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
    ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
    ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
    ("linux/arm/v6", ["linux/arm/v7"], None),
    ("linux/arm/v6", ["linux/arm/v5", "linux/arm/v7"], "linux/arm/v5"),
    ("linux/arm", ["linux/arm/v7"], "linux/arm/v7"),
    ("linux/amd64", ["unknown/unknown", "linux/amd64"], "linux/amd64"),
]


@pytest.mark.parametrize(("wanted", "names", "expected"), CHOICES)
def test_the_best_platform_is_chosen(wanted: str, names: list[str], expected: str | None) -> None:
    chosen = platforms.choose(offered(*names), platforms.parse_platform(wanted))
    shown = None if chosen is None else str(chosen.platform) if chosen.platform else "-"
    assert shown == expected


def test_attestations_are_never_chosen() -> None:
    proof = Descriptor(
        docs.OCI_MANIFEST,
        DIGEST,
        1,
        annotations={"vnd.docker.reference.type": "attestation-manifest"},
        platform=Platform("amd64", "linux"),
    )
    assert platforms.choose([proof], Platform("amd64", "linux")) is None


def test_platforms_as_people_write_them() -> None:
    assert str(platforms.parse_platform("linux/amd64")) == "linux/amd64"
    assert str(platforms.parse_platform("Linux/x86_64")) == "linux/amd64"
    assert str(platforms.parse_platform("linux/arm/v7")) == "linux/arm/v7"
    assert str(platforms.parse_platform("arm64")) == "linux/arm64"
    assert platforms.parse_platform("windows").os == "windows"
    assert platforms.parse_platform("linux").architecture == platforms.host_platform().architecture


def test_half_a_platform_must_be_known() -> None:
    with pytest.raises(UsageError, match='"foo": unknown operating system or architecture'):
        platforms.parse_platform("foo")
    assert str(platforms.parse_platform("foo/bar")) == "foo/bar"  # Docker has it so


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/am d64", "../x"])
def test_bad_platforms(text: str) -> None:
    with pytest.raises(UsageError):
        platforms.parse_platform(text)


def test_a_config_as_docker_writes_it_with_nulls() -> None:
    raw = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": None,
                "Cmd": ["sh"],
                "Entrypoint": None,
                "Volumes": None,
                "Labels": None,
                "OnBuild": None,
                "ExposedPorts": {"80/tcp": {}},
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5},
                "AttachStdin": False,
            },
            "container_config": {"anything": 1},
            "history": [{"created": "2026-01-01T00:00:00Z", "empty_layer": True, "unknown": 1}],
            "rootfs": {"type": "layers", "diff_ids": None},
        }
    ).encode()
    config = docs.parse_config(raw)
    assert config.config.env == [] and config.config.labels == {} and config.config.volumes == {}
    assert config.config.cmd == ["sh"] and config.config.entrypoint is None
    assert config.config.healthcheck is not None and config.config.healthcheck.interval == 5
    assert config.rootfs.diff_ids == [] and config.history[0].empty_layer


@pytest.mark.parametrize("raw", [b'{"config": null}', b"{}", b'{"config": {}, "rootfs": null, "history": null}'])
def test_a_config_of_almost_nothing(raw: bytes) -> None:
    assert docs.parse_config(raw).config.env == []


def test_a_config_survives_being_written() -> None:
    raw = b'{"architecture":"arm","os":"linux","variant":"v7","config":{"Cmd":[],"Env":["A=b"]}}'
    config = docs.parse_config(raw)
    assert docs.parse_config(docs.encode_config(config)) == config
    assert json.loads(docs.encode_config(docs.ImageConfig()))["config"] == {}


def test_a_manifest_keeps_to_known_types() -> None:
    def manifest(config: str = docs.DOCKER_CONFIG, layer: str = docs.DOCKER_LAYER + ".gzip", top: str = "") -> bytes:
        described = {"digest": DIGEST, "size": 1}
        document = {"config": {**described, "mediaType": config}, "layers": [{**described, "mediaType": layer}]}
        return json.dumps({**document, **({"mediaType": top} if top else {})}).encode()

    assert len(docs.parse_manifest(manifest()).layers) == 1
    for raw in (manifest(config="x"), manifest(layer="x"), manifest(top=docs.OCI_INDEX), b"[]", b""):
        with pytest.raises(InvalidImage):
            docs.parse_manifest(raw)
