"""The flags of `build`: Docker's, and those of its buildx plugin that mean something here. The rest is refused."""

from __future__ import annotations

import csv
import os

from ..engine.build_request import Output, SecretSource
from ..errors import UsageError
from . import parse_values as values
from .flags import Flag, boolean, explain, foretelling, many, number, refused, text, value
from .units import size, size_or_unlimited


def key_value(raw: str) -> tuple[str, str | None]:
    """NAME=VALUE, or NAME for the environment's value, which may be missing."""
    name, equals, given = raw.partition("=")
    return name, given if equals else os.environ.get(name)


def _fields(raw: str) -> dict[str, str]:
    row = next(csv.reader([raw]), [])
    return {key.strip().lower(): given for key, _, given in (field.partition("=") for field in row)}


def secret(raw: str) -> tuple[str, SecretSource]:
    """id=NAME[,src=FILE|,env=VARIABLE]; without either: the variable of that name, or the file."""
    fields = _fields(raw)
    name = fields.pop("id", "")
    kind = fields.pop("type", "")
    file = fields.pop("src", fields.pop("source", ""))
    env = fields.pop("env", "")
    if fields:
        raise UsageError(f"unexpected key '{next(iter(fields))}' in '{raw}'")
    if kind not in ("", "file", "env"):
        raise UsageError(f'unsupported secret type "{kind}"')
    if kind == "env" and not env:
        env, file = file, ""
    name = name or env or os.path.basename(file)
    if not name:
        raise UsageError(f"secret without an id: {raw}")
    if not file and not env:
        env, file = (name, "") if name in os.environ else ("", name)
    if file and not os.path.exists(file):
        raise UsageError(f"failed to stat {file}: no such file or directory")
    return name, SecretSource(os.path.abspath(file) if file else "", env)


def ssh(raw: str) -> tuple[str, list[str]]:
    """default, NAME, NAME=SOCKET, or NAME=KEY[,KEY…]: an agent's socket, or files of keys."""
    name, _, given = raw.partition("=")
    paths = [path for path in given.split(",") if path] or [os.environ.get("SSH_AUTH_SOCK", "")]
    for path in paths:
        if not path:
            raise UsageError(f"invalid empty ssh agent socket for {name}: make sure SSH_AUTH_SOCK is set")
        if not os.path.exists(path):
            raise UsageError(f"{path}: no such file or directory")
    return name, [os.path.abspath(path) for path in paths]


def output(raw: str) -> Output:
    """DIRECTORY, `-`, or type=…,dest=…"""
    if "=" not in raw:
        return Output("tar", "-") if raw == "-" else Output("local", raw)
    fields = _fields(raw)
    kind, dest = fields.pop("type", ""), fields.pop("dest", "")
    if kind == "docker" and not dest:
        kind = "image"
    if kind not in ("image", "local", "tar", "oci", "docker"):
        raise UsageError(f'output type "{kind}" is not supported by this version of minidock')
    names = _words(fields.pop("name", ""))
    if names and kind in ("local", "tar"):
        raise UsageError(f"output option name is not for type={kind}: only an image has one")
    if fields:
        raise UsageError(f"output option {next(iter(fields))} is not supported by this version of minidock")
    if kind in ("tar", "oci") and not dest:
        dest = "-"
    if kind == "local" and not dest:
        raise UsageError("dest is required for local output")
    return Output(kind, dest, names)


def _words(raw: str) -> list[str]:
    return [word for word in raw.split(",") if word]


def cache_source(raw: str) -> str:
    """NAME, or type=registry,ref=NAME."""
    if "=" not in raw:
        return raw
    fields = _fields(raw)
    if fields.get("type") != "registry" or not fields.get("ref"):
        raise UsageError(f"cache source {raw} is not supported by this version of minidock")
    return fields["ref"]


def cache_target(raw: str) -> str:
    if raw not in ("inline", "type=inline"):
        raise UsageError(f"cache target {raw} is not supported by this version of minidock: only type=inline is")
    return "inline"


def named_context(raw: str) -> tuple[str, str]:
    """NAME=VALUE; what they mean is known when they are needed."""
    name, equals, given = raw.partition("=")
    if not equals or not name or not given:
        raise UsageError(f"invalid context value: {raw}, expected key=value")
    return name, given


ENTITLEMENTS = ("network.host", "security.insecure", "device")


def entitlement(raw: str) -> str:
    if raw not in ENTITLEMENTS and not raw.startswith("device="):
        raise UsageError(f"unknown entitlement {raw}: expected {', '.join(ENTITLEMENTS)} or device=NAME")
    return raw


NO_ATTESTATIONS = "asks for an attestation: minidock writes images without provenance and SBOM; false is accepted"


def no_attestation(raw: str) -> None:
    """--provenance and --sbom: `false` is what happens anyway; scripts give it to get an image without an index."""
    fields = _fields(raw)
    if raw.lower() not in ("false", "0", "disabled=true") and fields.get("disabled", "").lower() not in ("true", "1"):
        raise UsageError(NO_ATTESTATIONS)


def call(raw: str) -> str:
    """The Dockerfile's frontend is asked for something else than an image."""
    if raw not in ("build", "check"):
        raise UsageError(f'method "{raw}" is not supported by this version of minidock: build and check are')
    return raw


def only_default(raw: str) -> None:
    """--builder and --isolation: there is one of them."""
    if raw not in ("", "default"):
        raise UsageError("minidock has none but default")


WHAT = [
    text("file", "f", 'Name of the Dockerfile (default: "PATH/Dockerfile")'),
    many("tag", "t", 'Name and optionally a tag (format: "name:tag")'),
    many("build-arg", "", "Set build-time variables", parse=key_value),
    many("build-context", "", "Additional build contexts (e.g., name=path)", kind="stringArray", parse=named_context),
    many("label", "", "Set metadata for an image"),
    text("target", "", "Set the target build stage to build"),
    text("platform", "", "Set target platform for build"),
    boolean("pull", "", "Always attempt to pull all referenced images"),
    boolean("check", "", "Only look for mistakes in the Dockerfile, and tell them"),
    value("call", "", 'Set method for evaluating build ("check", "build")', "string", call, default="build"),
]

CACHE = [
    boolean("no-cache", "", "Do not use cache when building the image"),
    many("no-cache-filter", "", "Do not cache specified stages", kind="stringArray", parse=_words),
    many("cache-from", "", "Images to consider as cache sources", kind="strings", parse=cache_source),
    many("cache-to", "", "Where the cache goes besides: type=inline, into the image", kind="stringArray",
         parse=cache_target),
]  # fmt: skip

RESULT = [
    many("output", "o", 'Output destination (format: "type=local,dest=path")', kind="stringArray", parse=output),
    boolean("quiet", "q", "Suppress the build output and print image ID on success"),
    text("iidfile", "", "Write the image ID to a file"),
    text("metadata-file", "", "Write build result metadata to a file"),
    text("progress", "", 'Type of progress output ("auto", "plain", "tty", "quiet")', default="auto"),
    boolean("squash", "", "Squash newly built layers into a single new layer"),
    boolean("load", "", 'Shorthand for "--output=type=docker": what happens anyway'),
    boolean("push", "", "Push the image under all its tags once it is built"),
    explain("Tell each step of each RUN asked of the kernel as it happens (=json, =html)"),
    *foretelling(),
]

RUNS = [
    text("network", "", "Set the networking mode for the RUN instructions during build", default="default"),
    many("secret", "", 'Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")', kind="stringArray",
         parse=secret),
    many("ssh", "", 'SSH agent socket or keys to expose to the build (format: "default|<id>[=<socket>|<key>[,<key>]]")',
         kind="stringArray", parse=ssh),
    many("allow", "", 'Allow extra privileged entitlement (e.g., "network.host", "security.insecure", "device")',
         kind="stringArray", parse=entitlement),
    many("add-host", "", 'Add a custom host-to-IP mapping ("host:ip")', parse=values.extra_host),
    many("security-opt", "", "Security options", kind="strings", parse=_words),
    many("ulimit", "", "Ulimit options", kind="ulimit", parse=values.ulimit),
    value("shm-size", "", "Size of /dev/shm", "bytes", size, default=0),
    value("memory", "m", "Memory limit", "bytes", size, default=0),
    value("memory-swap", "", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", "bytes",
          size_or_unlimited, default=0),
    number("cpu-shares", "c", "CPU shares (relative weight)"),
    number("cpu-period", "", "Limit the CPU CFS (Completely Fair Scheduler) period"),
    number("cpu-quota", "", "Limit the CPU CFS (Completely Fair Scheduler) quota"),
    text("cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)"),
    text("cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)"),
    text("cgroup-parent", "", "Set the parent cgroup for the RUN instructions during build"),
]  # fmt: skip


WITHOUT_EFFECT = [
    value("builder", "", "Override the configured builder instance (default)", "string", only_default, default=None),
    value("isolation", "", "Container isolation technology (default)", "string", only_default, default=None),
    boolean("compress", "", "Compress the build context (there is no daemon to send it to)"),
    boolean("force-rm", "", "Always remove intermediate containers (they always are)"),
    boolean("rm", "", "Remove intermediate containers after a successful build (they always are)", default=True),
    boolean("disable-content-trust", "", "Skip image verification (nothing is verified)", default=True),
]

INSTEAD_OF_ATTESTATIONS = [
    many("attest", "", "Attestation parameters (only disabled ones: none is written)", kind="stringArray",
         parse=no_attestation),
    value("provenance", "", "Shorthand for --attest=type=provenance (only false)", "string", no_attestation,
          default=None),
    value("sbom", "", "Shorthand for --attest=type=sbom (only false)", "string", no_attestation, default=None),
]  # fmt: skip

REFUSED: list[Flag] = [
    refused("annotation", why="is not supported: annotations stand in a manifest, and minidock keeps what it builds "
            "by its configuration; use --label"),
    refused("policy", why="is not supported: there is no source policy"),
]  # fmt: skip

FLAGS = [*WHAT, *CACHE, *RESULT, *RUNS, *INSTEAD_OF_ATTESTATIONS, *WITHOUT_EFFECT, *REFUSED]
