"""Build hook: the cffi extension and the small C programs of native/ are part of the package's own build."""

import os
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
PROGRAMS = {"minidock-shim": "shim.c", "minidock-init": "init.c"}
CFLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]


class BuildNative(build_ext):
    """Compile the extension, then each program of PROGRAMS as one static binary into minidock/bin."""

    def run(self) -> None:
        super().run()
        base = HERE if self.inplace or self.editable_mode else Path(self.build_lib)
        target = base / "minidock" / "bin"
        target.mkdir(parents=True, exist_ok=True)
        for program, source in PROGRAMS.items():
            path = HERE / "native" / source
            if path.exists():
                compiler = os.environ.get("CC", "cc")
                subprocess.run([compiler, *CFLAGS, "-o", str(target / program), str(path)], check=True)


setup(cffi_modules=["native/build.py:ffi"], cmdclass={"build_ext": BuildNative})
