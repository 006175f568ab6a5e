"""Builds minidock._native: the C that Python cannot express, through cffi in API mode.

Every PART is a pair `NAME.h` (what Python may call, read by cffi as it stands) and `NAME.c` (how it is done).
Called by the package's own build (setup.py); by hand: `python native/build.py`.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
PARTS = ["syscalls", "clone"]

ffi = FFI()
for part in PARTS:
    ffi.cdef((HERE / f"{part}.h").read_text())
ffi.set_source(
    "minidock._native",
    "\n".join(f'#include "{HERE / part}.c"' for part in PARTS),
    depends=[str(HERE / f"{part}.{ending}") for part in PARTS for ending in "hc"],
    py_limited_api=False,  # the interpreter's fork hooks (clone.c) are not part of the stable ABI
    extra_compile_args=["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
)

if __name__ == "__main__":
    ffi.compile(tmpdir=str(HERE.parent), verbose=True)
