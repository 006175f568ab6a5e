"""Built-in images: the first `run` works on a machine that reaches no registry.

A recipe (rootfs/README.md) is a shell script that fills a directory, and an image.toml that says what the image runs.
Here the script is run, its directory packed so that the same files always give the same bytes, and imported as a
tar from anywhere else would be. Nothing is left when any of that fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ..errors import ImageNotFound, MinidockError

if TYPE_CHECKING:
    import tarfile

    from .store import Image, ImageStore

PACKAGE = Path(__file__).resolve().parents[1]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recipe's image.toml."""

    describe: str
    """One line for people."""
    epoch: int
    """Seconds since 1970: no file, and not the image itself, is younger."""
    needs: dict[str, str]
    """Programs that the script calls, each with the Debian package that has it."""
    changes: list[str]
    """Dockerfile instructions that make the configuration, as for `import --change`."""


def directory() -> Path:
    """Where the recipes lie: inside an installed package, or beside it in a working copy of the source."""
    installed = PACKAGE / "rootfs"
    return installed if installed.is_dir() else PACKAGE.parent / "rootfs"


def names() -> list[str]:
    """The built-in images."""
    return sorted(path.parent.name for path in directory().glob("*/image.toml"))


def load(name: str) -> Recipe:
    """Read image.toml. Raises ImageNotFound for a name without recipe, MinidockError for a damaged one."""
    import tomllib

    if name not in names():
        raise ImageNotFound(name, hint=f"built-in images are {', '.join(names())}")
    path = directory() / name / "image.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Recipe)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise MinidockError(f"damaged recipe {path}: {error}") from error


def build(store: ImageStore, name: str, *, say: Callable[[str], None]) -> Image:
    """Make the built-in image and tag it `name`:latest. `say` is told what happens, a line at a time.

    Raises MinidockError when a program is missing or the script fails; the store is as before then.
    """
    from .importer import import_tar
    from .layers import workplace

    recipe = load(name)
    check_needs(name, recipe)
    say(f"making the built-in image {name}: {recipe.describe}")
    # In the store's tmp/: there is room for an image, and what a killed process leaves there is collected, by whoever
    # works there next. The lock on our place says that we live, however long the recipe takes.
    with store.bringing_in(), workplace(store) as scratch:
        scratch.chmod(0o711)  # apt downloads as the user _apt
        epoch = run_recipe(name, recipe, scratch, say)
        archive = scratch / "image.tar"
        with archive.open("wb") as file:
            pack(scratch / "rootfs", file, epoch)
        with archive.open("rb") as file:
            return import_tar(
                store,
                file,
                reference=name,
                message=f"built in: rootfs/{name}/recipe",
                changes=recipe.changes,
                created=epoch,
            )


def check_needs(name: str, recipe: Recipe) -> None:
    """Raises MinidockError that names the first program that the recipe calls and this host lacks."""
    from shutil import which

    for program, package in recipe.needs.items():
        if which(program) is None:
            raise MinidockError(
                f"the recipe of {name} needs {program}, which is not installed", hint=f"apt-get install {package}"
            )


def run_recipe(name: str, recipe: Recipe, scratch: Path, say: Callable[[str], None]) -> int:
    """Fill scratch/rootfs; what the script writes is told to `say`. Returns the image's date, in seconds since 1970."""
    import subprocess

    out, aside = scratch / "rootfs", scratch / "aside"
    out.mkdir(mode=0o755)
    aside.mkdir()
    script = directory() / name / "recipe"
    command = ["sh", str(script)]
    if os.geteuid() == 0:
        # What a recipe mounts must end with it, however it ends: scratch is deleted afterwards, and a directory of
        # the host that was still mounted below it would be deleted too.
        command = ["unshare", "--mount", "--propagation", "private", *command]
    said = ""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(recipe, script.parent, out, aside),
        umask=0o022,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said = line.rstrip() or said
            say(line.rstrip())
    if process.returncode != 0:
        raise MinidockError(f"the recipe of {name} failed with exit code {process.returncode}: {said or 'no message'}")
    return date_of(recipe, aside)


def environment(recipe: Recipe, here: Path, out: Path, aside: Path) -> dict[str, str]:
    """What the script sees: nothing of the user's environment but the way to programs and out through a proxy."""
    proxies = {
        key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy", "no_proxy")
    }
    return {
        **proxies,
        "PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or str(recipe.epoch),
        "RECIPE": str(here),
        "BIN": str(PACKAGE / "bin"),
        "OUT": str(out),
        "SCRATCH": str(aside),
    }


def date_of(recipe: Recipe, aside: Path) -> int:
    """SOURCE_DATE_EPOCH, or what the script wrote to $SCRATCH/epoch, or the recipe's own date."""
    written = aside / "epoch"
    return int(os.environ.get("SOURCE_DATE_EPOCH") or (written.read_text() if written.exists() else recipe.epoch))


def pack(root: Path, archive: BinaryIO, epoch: int) -> None:
    """Write the directory as a tar: sorted, no time after `epoch`, owners as numbers; hard links stay links."""
    import tarfile

    us, ours = os.geteuid(), os.getegid()

    def normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = min(int(member.mtime), epoch)
        # Files of whoever runs the recipe are root's in the image: the same bytes with and without root.
        member.uid = 0 if member.uid == us else member.uid
        member.gid = 0 if member.gid == ours else member.gid
        member.uname = member.gname = ""
        return member

    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(os.listdir(root)):
            tar.add(root / entry, arcname=entry, filter=normal)
