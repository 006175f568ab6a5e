"""A tree that has what NVIDIA's driver shows of itself, with libraries that the loader takes for real."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

VERSION = "550.54.15"
MAJOR = 239
"""No driver has it here (local/experimental use): opening an allowed node says ENXIO, a refused one EPERM."""
UVM, CAPS = 238, 237
ASKER = """
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    const char *names[] = {"libcuda.so.1", "libcuda.so", "libnvidia-ml.so.1", "libnvcuvid.so.1"};
    for (int i = 0; i < 4; i++) printf("%s %s\\n", names[i], dlopen(names[i], RTLD_NOW) ? "found" : "missing");
    return 0;
}
"""
CUDA = """
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
typedef unsigned long long memory;
int cuInit(unsigned flags) { return flags != 0; }
int cuDeviceGetCount(int *count) {
    struct stat facts;
    *count = !stat("/dev/nvidia0", &facts) + !stat("/dev/nvidia1", &facts);
    return 0;
}
int cuDeviceGet(int *device, int number) { *device = number; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(long)(device + 1); return 0; }
int cuCtxSetCurrent(void *context) { return !context; }
int cuCtxSynchronize(void) { return 0; }
int cuMemAlloc_v2(memory *place, size_t bytes) { *place = (memory)malloc(bytes); return 0; }
int cuMemcpyHtoD_v2(memory to, const void *from, size_t bytes) { memcpy((void *)to, from, bytes); return 0; }
int cuMemcpyDtoH_v2(void *to, memory from, size_t bytes) { memcpy(to, (void *)from, bytes); return 0; }
int cuModuleLoadData(void **module, const void *text) { *module = (void *)text; return strncmp(text, ".version", 8); }
int cuModuleGetFunction(void **function, void *module, const char *name) { *function = module; return !strstr(module, name); }
int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **arguments, void **extra) {
    unsigned *numbers = *(unsigned **)arguments[0], count = *(unsigned *)arguments[1];
    for (unsigned n = 0; n < count; n++) numbers[n] *= 2;
    return 0;
}
"""  # noqa: E501
"""A driver that computes with the processor: as much of CUDA's as tests/support/gpu.c calls."""


def tree(root: Path, *, library: str = "usr/lib64") -> Path:
    """Two GPUs; nodes that exist but the second's and nvidia-uvm's. Needs root and gcc."""
    _put(root, "proc/driver/nvidia/version", f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {VERSION}  Tue Mar  5\n")
    _put(root, "proc/devices", f"Character devices:\n{MAJOR} nvidia\n{UVM} nvidia-uvm\n\nBlock devices:\n")
    for number, slot in enumerate(("0000:01:00.0", "0000:41:00.0")):
        text = f"Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-{number}aaa\nDevice Minor: \t {number}\n"
        _put(root, f"proc/driver/nvidia/gpus/{slot}/information", text)
    (root / "dev").mkdir()
    for name, minor in (("nvidiactl", 255), ("nvidia0", 0)):
        os.mknod(root / "dev" / name, stat.S_IFCHR | 0o666, os.makedev(MAJOR, minor))
    for name in ("libcuda", "libnvidia-ml", "libnvcuvid"):
        _library(root / library / f"{name}.so.{VERSION}", f"{name}.so.1", CUDA if name == "libcuda" else "")
    _put(root, "usr/bin/nvidia-smi", "#!/bin/sh\necho NVIDIA-SMI\n")
    (root / "usr/bin/nvidia-smi").chmod(0o755)
    return root


def cut(root: Path) -> None:
    """The second GPU is cut into three MIG instances, the last of which are of one GPU instance."""
    (root / "proc/devices").write_text(
        (root / "proc/devices").read_text().replace("nvidia-uvm\n", f"nvidia-uvm\n{CAPS} nvidia-caps\n")
    )
    for name, minor in {"gi2": 39, "gi2/ci0": 40, "gi11": 102, "gi11/ci0": 103, "gi11/ci1": 104}.items():
        text = f"DeviceFileMinor: {minor}\nDeviceFileMode: 256\nDeviceFileModify: 1\n"
        _put(root, f"proc/driver/nvidia/capabilities/gpu1/mig/{name}/access", text)


def asker(directory: Path) -> Path:
    """A root file system of glibc's loader, its library, and a program that looks for the driver's libraries."""
    (directory / "ask.c").write_text(ASKER)
    image = directory / "image"
    for name in ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"):
        (image / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, image / name[1:])
    subprocess.run(["gcc", "-o", image / "ask", directory / "ask.c"], check=True)
    return image


def _put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def _library(path: Path, soname: str, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", f"-Wl,-soname,{soname}", "-x", "c", "-"]
    subprocess.run(["gcc", "-o", path, *flags], check=True, input=source, text=True)
