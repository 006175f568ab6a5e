"""Lab 12: an image as the OCI specification lays it out, made here; and what an image can't be trusted in."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from minidock.kernel import capabilities, cgroups, memory
from minidock.kernel.cgroup_files import Cgroup
from minidock.labs.bench import Host


def check(host: Host) -> None:
    layout = _layout(host)
    said = host.run(str(layout), str(host.base / "first"))
    host.fact(
        "the image runs its own command, in its own directory",
        said.out.splitlines()[:2] == ["from the top layer", "/root"],
        found=said.out or said.err,
        hint="Entrypoint, then Cmd; WorkingDir; layers from the bottom up",
    )
    names = {line.partition("=")[0] for line in said.out.splitlines()[2:] if "=" in line}
    host.fact(
        "its environment is the image's, and nothing of yours",
        names - {"PWD", "SHLVL", "OLDPWD", "_"} == {"PATH", "GREETING", "HOME"},
        found=" ".join(sorted(names)[:12]),
        look="env",
        hint="Env is a list of KEY=value; what the host has set (tokens, passwords!) must not get in",
    )
    said = host.run(str(layout), str(host.base / "second"), "/bin/sh", "-c", "echo other; exit 3")
    host.fact("another command can be given", (said.out, said.code) == ("other\n", 3), found=f"{said.out} {said.code}")
    with host.running(str(layout), str(host.base / "third"), command=["/bin/sleep", "1000"]) as it:
        wanted = capabilities.mask(capabilities.resolve([], [], False).bounding)
        limit = memory.read(Cgroup(path=host.cgroup, hierarchies=cgroups.discover())).get("limit")
        root = [row["type"] for row in it.mounts() if row["destination"] == "/"]
        facts = {
            "an overlay as root": root[-1] == "overlay",
            "its own namespaces": all(it.namespace(k) != host.namespace(k) for k in ("uts", "pid", "mount", "network")),
            "few capabilities": int(it.status("CapEff"), 16) == wanted,
            "a system call filter": it.status("Seccomp") == "2",
            "256 MiB at most": limit == 256 << 20,
        }
        for text, true in facts.items():
            hint = "give_up() comes last, after everything that needs a right; the rest is in the labs before"
            host.fact(f"it is a container: {text}", true, look=f"/proc/{it.pid}/status, mountinfo, cgroup", hint=hint)
    _tampered(host, layout)


def _tampered(host: Host, layout: Path) -> None:
    """One byte of a layer is changed: the name is now wrong, and nothing of it may run."""
    changed = host.base / "changed"
    shutil.copytree(layout, changed)
    layer = max((changed / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(layer.read_bytes())
    data[-1] ^= 1
    layer.write_bytes(data)
    said = host.run(str(changed), str(host.base / "fourth"), expect=False)
    host.fact(
        "an image that somebody has changed is refused",
        said.code != 0 and "from the" not in said.out,
        found=said.out or said.err,
        look="sha256sum blobs/sha256/*",
        hint="a blob's name is the SHA-256 of its bytes: compare before you use it",
    )


def _layout(host: Host) -> Path:
    layout = host.base / "layout"
    (layout / "blobs" / "sha256").mkdir(parents=True)
    top = host.base / "toptree"
    (top / "etc").mkdir(parents=True)
    (top / "etc" / "hello").write_text("from the top layer\n")
    bottom = host.rootfs("bottomtree", etc_hello="from the bottom layer\n")
    tars = [_tar(bottom), _tar(top)]
    kind = "application/vnd.oci.image.layer.v1.tar"
    layers = [_blob(layout, tars[0], kind), _blob(layout, gzip.compress(tars[1], mtime=0), f"{kind}+gzip")]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
        "config": {
            "Env": ["PATH=/bin", "GREETING=hi", "HOME=/root"],
            "WorkingDir": "/root",
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["cat /etc/hello; pwd; env"],
        },
    }
    described = _blob(layout, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": layers}
    index = [_blob(layout, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")]
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": index}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return layout


def _blob(layout: Path, data: bytes, media_type: str) -> dict[str, Any]:
    name = hashlib.sha256(data).hexdigest()
    (layout / "blobs" / "sha256" / name).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}


def _tar(tree: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(tree.rglob("*")):
            archive.add(path, path.relative_to(tree), recursive=False)
    return packed.getvalue()
