"""The hugetlb controller: how many bytes of huge pages of each size a container may map.

Huge pages are set aside at boot (vm.nr_hugepages) and counted apart from other memory; who touches more than the
limit gets SIGBUS. `rsvd` counts already at mmap(2), so that it fails there with ENOMEM. Man page: mmap(2).
"""

from __future__ import annotations

from minidock.errors import UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile
from minidock.kernel.memory import size
from minidock.spec import HugepageLimit
from minidock.steps import Step

UNITS = ("KB", "MB", "GB")


def limits(cgroup: Cgroup, pages: list[HugepageLimit]) -> list[Step]:
    """Both counters of each page size: `hugetlb.2MB.max` and `hugetlb.2MB.rsvd.max` on version 2."""
    steps: list[Step] = []
    for page in pages:
        if not (page.page_size[:-2].isdigit() and page.page_size[-2:] in UNITS):
            raise UsageError(f"{page.page_size!r} is not a huge page size, such as 2MB")
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
