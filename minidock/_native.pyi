"""What native/build.py compiles; typed loosely on purpose: kernel/syscalls.py is its only user and gives the types."""

from typing import Any

ffi: Any
lib: Any
