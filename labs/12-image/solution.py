"""Lab 12: a real image, and everything of the labs before: your container engine.

    python lab12_image.py LAYOUT SCRATCH [COMMAND [ARGUMENT...]]

LAYOUT is a directory with an image as the OCI specification lays it out (`minidock save busybox | tar -x -C LAYOUT`,
or `skopeo copy docker://… oci:LAYOUT`); SCRATCH an empty directory.
"""

import gzip
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from lab02_namespaces import init
from lab03_mounts import KINDS, isolate, mount_proc
from lab04_root import change_root
from lab05_overlay import stack
from lab06_cgroups import PATH, finish, limits, start
from lab07_devices import filtered, make_devices
from lab08_rights import call_filter, give_up, hide

from minidock.image.unpack import unpack
from minidock.kernel import cgroups, uts
from minidock.steps import Live


def blob(layout: Path, digest: str) -> bytes:
    """The bytes that the digest names, if they are what it says. Raises ValueError when somebody has changed them."""
    algorithm, _, name = digest.partition(":")
    data = (layout / "blobs" / algorithm / name).read_bytes()
    # lab: begin  content-addressed: the SHA-256 of the bytes must be the name
    if hashlib.sha256(data).hexdigest() != name:
        raise ValueError(f"{digest} is not what its name says: the image was changed")
    # lab: end
    return data


def read_image(layout: Path) -> tuple[dict[str, Any], list[bytes]]:
    """The configuration and the layers' tars, bottom first: index.json → manifest → config and layers."""
    index = json.loads((layout / "index.json").read_bytes())
    # lab: begin  follow the digests; a layer may be compressed by gzip (its mediaType ends in +gzip)
    manifest = json.loads(blob(layout, index["manifests"][0]["digest"]))
    config = json.loads(blob(layout, manifest["config"]["digest"]))
    layers = []
    for layer in manifest["layers"]:
        data = blob(layout, layer["digest"])
        layers.append(gzip.decompress(data) if layer["mediaType"].endswith("gzip") else data)
    # lab: end
    return config, layers


def unpack_layers(layers: list[bytes], scratch: Path) -> list[str]:
    """Each layer in a directory of its own; returns them, bottom first."""
    found = []
    for number, data in enumerate(layers):
        directory = scratch / f"layer{number}"
        directory.mkdir(parents=True)
        file = os.memfd_create("layer")
        os.write(file, data)
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as stream:
            unpack(stream.read, directory)
        found.append(str(directory))
    return found


def run(layout: Path, scratch: Path, command: list[str]) -> int:
    """Run the image: its own command, environment and directory, unless another command is given."""
    config, tars = read_image(layout)
    settings = config.get("config", {})
    layers = unpack_layers(tars, scratch)
    filter = call_filter()
    for name in ("upper", "work", "merged"):
        (scratch / name).mkdir()

    def child() -> None:
        isolate()
        uts.SetHostname("mini").apply(Live())
        root = stack(layers, str(scratch))
        mount_proc(root)
        make_devices(root)
        change_root(root)
        hide()
        # lab: begin  only Env (KEY=value lines) as environment, WorkingDir; then give_up, then init
        os.environ.clear()
        os.environ.update(line.split("=", 1) for line in settings.get("Env") or [])
        os.chdir(settings.get("WorkingDir") or "/")
        give_up(filter)
        init(command or [*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])])
        # lab: end

    plan = cgroups.plan(cgroups.discover(), PATH, filtered(limits(256, 100)))
    return finish(start([*KINDS, "network"], plan, child), plan)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]).absolute(), sys.argv[3:]))
