"""Write down what BuildKit makes of tests/interop/builds/buildkit.txt:

    sudo .venv/bin/python -m tests.support.recordbuildkit DIRECTORY VERSION

where DIRECTORY has `buildkitd` and `buildctl`, which Debian hasn't, and VERSION says which. Needs skopeo and runc.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.support import buildcontext
from tests.support.buildcases import PLACE, Case, cases
from tests.support.buildlooks import config_of, tree_of
from tests.support.images import busybox_layer
from tests.support.instance import Minidock

RECORD = PLACE / "buildkit.json"
BASE = ("-c", "ENV PATH=/usr/local/bin:/usr/bin:/bin", "-c", 'CMD ["sh"]')
"""Changes of `import` that make the image `base` of a busybox."""


def looks(store: ImageStore, name: str) -> dict[str, Any]:
    """An image's configuration, and of its tree what is not as in `base`."""
    image = store.find(name)
    below, tree = (tree_of(store, each) for each in (store.find("base"), image))
    changed = {path: facts for path, facts in tree.items() if below.get(path) != facts}
    gone = {path: "gone" for path in below if path not in tree}
    return {"tree": {**changed, **gone}, "config": config_of(image)}


@contextmanager
def buildkitd(binaries: Path, place: Path) -> Iterator[list[str]]:
    """The client's command."""
    address = f"unix://{place}/socket"
    daemon = [binaries / "buildkitd", "--root", place / "root", "--addr", address, "--config", "/dev/null"]
    worker = ["--containerd-worker=false", "--oci-worker=true", "--oci-worker-net=host", "--oci-worker-binary=runc"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, daemon), *worker], stdout=log, stderr=log)
    client = [str(binaries / "buildctl"), "--addr", address]
    try:
        while subprocess.run([*client, "debug", "workers"], capture_output=True, check=False).returncode:
            time.sleep(0.5)
        yield client
    finally:
        process.terminate()
        process.wait()


def one(client: list[str], case: Case, place: Path, base: str) -> str:
    """Build it; the name of the archive."""
    dockerfile = place / "Dockerfile"
    dockerfile.write_text(case.dockerfile)
    out = place / "out.tar"
    options = [option.format(context=place / "context") for option in case.options]
    command = [*client, "build", "--frontend=dockerfile.v0", *options, "--oci-layout", f"base={place}/layout"]
    command += ["--opt", f"context:base=oci-layout://base@{base}", "--local", f"context={place}/context"]
    command += ["--local", f"dockerfile={place}", "--output", f"type=docker,dest={out},name={case.name}"]
    subprocess.run(command, check=True)
    return str(out)


def main(binaries: Path, version: str) -> None:
    with tempfile.TemporaryDirectory(prefix="buildkit-") as scratch:
        place = Path(scratch)
        ours = Minidock(Layout(place / "store"))
        buildcontext.make(place / "context")
        (place / "base.tar").write_bytes(busybox_layer("/bin/busybox"))
        ours("import", *BASE, str(place / "base.tar"), "base", check=True)
        ours("save", "-o", str(place / "base-image.tar"), "base", check=True)
        copy = ["skopeo", "copy", "-q", f"docker-archive:{place}/base-image.tar", f"oci:{place}/layout:latest"]
        subprocess.run(copy, check=True)
        base = json.loads((place / "layout/index.json").read_bytes())["manifests"][0]["digest"]
        record: dict[str, Any] = {"made by": f"BuildKit {version}", "cases": {}}
        with buildkitd(binaries, place) as client:
            for case in cases("buildkit.txt"):
                ours("load", "-q", "-i", one(client, case, place, base), check=True)
                record["cases"][case.name] = looks(ImageStore(ours.layout), case.name)
        ours.close()
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
