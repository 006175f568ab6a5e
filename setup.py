"""Build hook: the cffi extension and the small C programs of native/ are part of the package's own build."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
PROGRAMS = {
    "minidock-shim": "native/shim.c",
    "minidock-init": "native/init.c",
    "minidock-later": "native/later.c",
    "minidock-exec": "native/exec.c",
    "hello": "rootfs/hello-world/hello.c",
}
CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
# hello has no libc, and nothing of this compiler's name or of the day in it: the same bytes make the same image.
EXTRA_CFLAGS = {
    "hello": [
        *["-Os", "-s", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"],
        *["-fno-ident", "-Wl,--build-id=none", "-Wl,-z,noseparate-code"],
    ]
}


class BuildNative(build_ext):
    """Compile the extension, then each program of PROGRAMS as one static binary into minidock/bin."""

    def run(self) -> None:
        super().run()
        base = HERE if self.inplace or self.editable_mode else Path(self.build_lib)
        target = base / "minidock" / "bin"
        target.mkdir(parents=True, exist_ok=True)
        for program, source in PROGRAMS.items():
            path = HERE / source
            if path.exists():
                compiler = os.environ.get("CC", "cc")
                flags = [*CFLAGS, *EXTRA_CFLAGS.get(program, [])]
                fresh = target / f".{program}.new"
                subprocess.run([compiler, *flags, "-o", str(fresh), str(path)], check=True)
                # Renamed, not overwritten: the old one may be running (ETXTBSY), or be about to be started.
                fresh.replace(target / program)
        if base != HERE:
            # An installed package has no repository beside it: the recipes of the built-in images and
            # the labs go inside.
            shutil.copytree(HERE / "rootfs", base / "minidock" / "rootfs", dirs_exist_ok=True)
            shutil.copytree(HERE / "labs", base / "minidock" / "labs" / "content", dirs_exist_ok=True)


setup(cffi_modules=["native/build.py:ffi"], cmdclass={"build_ext": BuildNative})
