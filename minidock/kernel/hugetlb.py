"""The hugetlb controller: how many bytes of huge pages of each size a container may map.

Huge pages are set aside at boot (vm.nr_hugepages) and counted apart from other memory; who touches more than the
limit gets SIGBUS. `rsvd` counts already at mmap(2), so that it fails there with ENOMEM. Man page: mmap(2).
"""

from __future__ import annotations

import os

from minidock.errors import UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_number
from minidock.kernel.memory import size
from minidock.spec import HugepageLimit, Resources
from minidock.steps import Step

UNITS = ("KB", "MB", "GB")
MAP_HUGETLB = 0x40000  # asm-generic/mman.h


def limits(cgroup: Cgroup, pages: list[HugepageLimit]) -> list[Step]:
    """Both counters of each page size: `hugetlb.2MB.max` and `hugetlb.2MB.rsvd.max` on version 2."""
    steps: list[Step] = []
    for page in pages:
        if not (page.page_size[:-2].isdigit() and page.page_size[-2:] in UNITS):
            raise UsageError(f"{page.page_size!r} is not a huge page size, such as 2MB")
        if page.limit < -1:
            raise UsageError(f"{page.limit} is no number of bytes; -1 is for any")
        directory = cgroup.need("hugetlb", "limit huge pages")
        suffix = "limit_in_bytes" if cgroup.version("hugetlb") == 1 else "max"
        value = str(page.limit) if page.limit >= 0 else ("-1" if suffix == "limit_in_bytes" else "max")
        start = f"{directory}/hugetlb.{page.page_size}"
        what = f"limit huge pages of {page.page_size} to {size(page.limit)}"
        steps.append(WriteCgroupFile(what, f"{start}.{suffix}", value))
        # The reservation counter came with Linux 5.7; the limit above holds without it.
        reserved = f"limit reserved huge pages of {page.page_size} to {size(page.limit)}"
        steps.append(WriteCgroupFile(reserved, f"{start}.rsvd.{suffix}", value, default=True))
    return steps


def read(cgroup: Cgroup) -> dict[str, dict[str, int | None]]:
    """By page size: bytes in use (`current`) and `limit` (-1: none)."""
    directory = cgroup.directory("hugetlb")
    if directory is None or not os.path.isdir(directory):
        return {}
    two = cgroup.version("hugetlb") == 2
    current, limit = ("current", "max") if two else ("usage_in_bytes", "limit_in_bytes")
    names = (name.split(".") for name in os.listdir(directory) if name.startswith("hugetlb."))
    return {
        page: {
            "current": read_number(f"{directory}/hugetlb.{page}.{current}"),
            "limit": read_number(f"{directory}/hugetlb.{page}.{limit}"),
        }
        for _, page, *rest in names
        if rest == [limit]
    }


def demo() -> None:
    """Allow no huge page of 2 MB, and ask mmap(2) for one."""
    import mmap

    from minidock.kernel.cgroup_demo import inside

    def ask() -> None:
        try:
            mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
            print("mmap gave a huge page", flush=True)
        except OSError as error:
            print(f"mmap says: {error.strerror}", flush=True)

    inside(Resources(hugepage_limits=[HugepageLimit("2MB", 0)]), ask, show=lambda cgroup: print(read(cgroup)))


if __name__ == "__main__":
    demo()
