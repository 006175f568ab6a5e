"""The moves of a pull, told like steps of the kernel's (steps.Step): what is asked of a registry, what becomes of it.

None has an apply(): pull.py does them, and says so to a narrator. Their lines of shell fetch the same bytes with
curl(1) and put together an OCI image layout in the current directory, which `minidock load` takes.
"""

from __future__ import annotations

import shlex
from typing import ClassVar

from minidock.steps import Step

BLOBS = "blobs/sha256"


class AskForManifest(Step, frozen=True):
    """A name is only a word until the registry has said which manifest it means now."""

    url: str
    accept: str = ""
    digest: str = ""
    """Known when it has answered, and then what the script insists on."""
    man: ClassVar[str] = "curl(1)"

    def describe(self) -> str:
        return f"ask for the manifest {self.url}"

    def shell(self) -> str:
        wanted = f"-H {shlex.quote(f'Accept: {self.accept}')} " if self.accept else ""
        file = _file(self.digest) if self.digest else "manifest.json"
        fetch = f'curl -fsSL ${{TOKEN:+-H "Authorization: Bearer $TOKEN"}} {wanted}-o {file} {shlex.quote(self.url)}'
        return f"{fetch}\n{_checked(self.digest)}" if self.digest else fetch


class FetchBlob(Step, frozen=True):
    """Whatever comes is trusted only when its bytes hash to its name."""

    url: str
    digest: str
    size: int
    what: str
    man: ClassVar[str] = "sha256sum(1)"

    def describe(self) -> str:
        return f"fetch the {self.what} {self.digest[:19]}, {self.size} bytes, and hash it"

    def shell(self) -> str:
        file = _file(self.digest)
        fetch = f'curl -fsSL ${{TOKEN:+-H "Authorization: Bearer $TOKEN"}} -o {file} {shlex.quote(self.url)}'
        return f"{fetch}\n{_checked(self.digest)}"


class HaveAlready(Step, frozen=True):
    """What is named after its content is fetched once."""

    digest: str
    path: str
    man: ClassVar[str] = "cp(1)"

    def describe(self) -> str:
        return f"take the layer {self.digest[:19]} that is here already"

    def shell(self) -> str:
        return f"cp {shlex.quote(self.path)} {_file(self.digest)}"


class UnpackLayers(Step, frozen=True):
    """Each becomes a directory that overlayfs uses as a lower one; no member may leave it, no symlink is followed."""

    diff_ids: list[str]
    man: ClassVar[str] = "openat2(2)"

    def describe(self) -> str:
        return f"unpack {len(self.diff_ids)} layer{'' if len(self.diff_ids) == 1 else 's'} while they come"

    def shell(self) -> str:
        return "# tar(1) would follow a hostile layer's symlinks: minidock load unpacks them below"


class FileImage(Step, frozen=True):
    """An image is there when its record is: one rename, after all that it names."""

    image_id: str
    man: ClassVar[str] = "rename(2)"

    def describe(self) -> str:
        return f"write the image {self.image_id[:19]} down"

    def shell(self) -> str:
        return "# the record is written by minidock load, below"


class GiveName(Step, frozen=True):
    """The only thing of an image that may change: a name is a line in tags.json."""

    name: str
    manifest: str = ""
    media_type: str = ""
    size: int = 0
    man: ClassVar[str] = ""

    def describe(self) -> str:
        return f"let {self.name} mean it"

    def shell(self) -> str:
        if not self.manifest:
            return "# a line in tags.json, as minidock tag writes it"
        index = (
            f'{{"schemaVersion":2,"manifests":[{{"mediaType":"{self.media_type}","digest":"{self.manifest}",'
            f'"size":{self.size},"annotations":{{"io.containerd.image.name":"{self.name}"}}}}]}}'
        )
        return (
            f"echo {shlex.quote(index)} > index.json\n"
            """echo '{"imageLayoutVersion":"1.0.0"}' > oci-layout\n"""
            "tar -c blobs index.json oci-layout | minidock load"
        )


def _checked(digest: str) -> str:
    return f"echo '{digest.partition(':')[2]}  {_file(digest)}' | sha256sum -c --quiet"


def _file(digest: str) -> str:
    return f"{BLOBS}/{digest.partition(':')[2]}"
