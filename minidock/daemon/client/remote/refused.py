"""What tells of this host, or of its kernel: refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from minidock.daemon.client.remote.base import Remote, only_here

if TYPE_CHECKING:
    from minidock.engine.build_request import BuildRequest
    from minidock.model.network import NetworkRequest
    from minidock.model.requests import CreateRequest, ExecRequest


class RemoteRefused(Remote):
    def examine_network(self) -> NoReturn:
        raise only_here("doctor network works")

    def cdi_devices(self, directories: list[str] | None = None) -> NoReturn:
        raise only_here("cdi ls works")

    def examine_gpus(self, directories: list[str] | None = None) -> NoReturn:
        raise only_here("doctor gpu works")

    def generate_cdi(self, vendor: str = "", root: str = "/") -> NoReturn:
        raise only_here("cdi generate works")

    def kernel_side(self, ref: str) -> NoReturn:
        raise only_here("inspect --kernel works")

    def network_side(self, ref: str) -> NoReturn:
        raise only_here("ui works")

    def look(self, command: str) -> NoReturn:
        raise only_here("ui works")

    def explain(self, words: str) -> NoReturn:
        raise only_here("explain works")

    def dry_run(self, request: CreateRequest, *, say: Callable[[str], None]) -> NoReturn:
        raise only_here("run --dry-run works")

    def as_shell(self, request: CreateRequest) -> NoReturn:
        raise only_here("run --as-shell works")

    def foretell_exec(self, ref: str, request: ExecRequest) -> NoReturn:
        raise only_here("exec --dry-run and --as-shell work")

    def foretell_remove(self, ref: str, *, force: bool = False) -> NoReturn:
        raise only_here("rm --dry-run and --as-shell work")

    def foretell_network(self, asked: NetworkRequest) -> NoReturn:
        raise only_here("network create --dry-run and --as-shell work")

    def foretell_build(self, request: BuildRequest, *, stdin: BinaryIO, as_shell: bool) -> NoReturn:
        raise only_here("build --dry-run and --as-shell work")

    def foretell_pull(self, name: str, *, platform: str = "") -> NoReturn:
        raise only_here("pull --dry-run and --as-shell work")
