"""What `scripts/bench` runs: each row of GOALS measured on minidock and on Docker in turn, in one run on one machine.

Only ratios mean anything: all sides alternate, so that all suffer alike from whatever else the machine does. A new row
is a function in rows/ and a line in ROWS. The standard library is enough, with the tests' own dockerd and image.

The same conditions for all: the same busybox image, the same file system, no command's output is shown. dockerd has
a network namespace of its own, so that it doesn't meet the host's rules or another dockerd; that costs it nothing that
can be measured, as its containers' packets go through a bridge and iptables there in the same way.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from scripts.rows import containers, images, memory, throughput, transfer  # noqa: E402
from scripts.rows.engines import Row, engines  # noqa: E402
from scripts.rows.table import HEAD, about, line, page  # noqa: E402

PAGE = REPOSITORY / "docs" / "benchmarks.md"

ROWS = [
    Row("`run --rm busybox true`, bridge network", "ms", "0.5, then 0.35", containers.run_bridge),
    Row("`run --rm --network none busybox true`", "ms", "0.4, then 0.25", containers.run_none),
    Row("`minidock-oci run` of a bundle, beside `runc run`", "ms", "1.5, then 1 (to runc)", containers.run_bundle),
    Row("`exec C true`", "ms", "0.8, then 0.6", containers.exec_true),
    Row("`ps`, ten containers", "ms", "80 ms, then 50 ms", containers.list_ten),
    Row("50 detached containers started one after another, then all removed", "ms", "0.5", containers.fifty),
    Row("`ps -a` with 1,000 stopped containers, beside 10", "ms", "5 (to itself)", containers.list_thousand),
    Row("`images` with 200 images, beside 5", "ms", "5 (to itself)", images.list_images),
    Row("unpack a layer of 100,000 small files, beside `tar -x`", "ms", "1.2 (to tar)", images.unpack_small_files),
    Row("`run -d`, the last of 200 running ones, beside the first", "ms", "1.5 (to itself)", containers.two_hundredth),
    Row("published port, 512 MiB out of a container to the host", "ms", "1", throughput.published),
    Row("the same by 127.0.0.1", "ms", "1", throughput.published_localhost),
    Row("the same by [::1]", "ms", "1", throughput.published_ipv6),
    Row("512 MiB from one container to another", "ms", "1", throughput.between),
    Row("500 short connections by a published port", "ms", "1", throughput.connections),
    Row("the same by 127.0.0.1, 500 connections", "ms", "1", throughput.connections_localhost),
    Row("the same by [::1], 500 connections", "ms", "1", throughput.connections_ipv6),
    Row("5,000 datagrams and their answers by a published UDP port", "ms", "1", throughput.datagrams),
    Row("the same by 127.0.0.1, datagrams", "ms", "1", throughput.datagrams_localhost),
    Row("the same by [::1], datagrams", "ms", "1", throughput.datagrams_ipv6),
    Row("`pull` of a Debian image, 160 MB unpacked, from a registry on loopback", "ms", "0.6, then 0.4", transfer.pull),
    Row("`push` of the same into an empty registry", "ms", "0.6, then 0.4", transfer.push),
    Row("memory of pulling and pushing a layer of 2 GiB", "MiB", "150 MiB", transfer.peak),
    Row("`build --no-cache`, 8 instructions with 3 RUN", "ms", "0.5, then 0.3", images.build_anew),
    Row("`build`, all cached", "ms", "3, then 2", images.build_cached),
    Row("memory of one detached container with one published port", "MiB", "0.5, then 0.15", memory.of_container),
    Row("warm: the docker client's `run --rm busybox true`, served by `minidock daemon`", "ms", "", memory.run_warm),
    Row("memory of the idle daemon (Docker: dockerd and containerd)", "MiB", "", memory.of_daemon),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure minidock beside Docker and runc.")
    parser.add_argument("-n", type=int, default=15, metavar="TIMES", help="samples of each side (default 15)")
    parser.add_argument("--list", action="store_true", help="print the rows and leave")
    parser.add_argument("words", nargs="*", help="only rows whose name holds one of these words")
    asked = parser.parse_args()
    rows = [row for row in ROWS if not asked.words or any(word in row.name for word in asked.words)]
    if asked.list or not rows:
        sys.exit("\n".join(row.name for row in ROWS) if asked.list else "no row has such a name: see --list")
    if os.geteuid() != 0:
        sys.exit("scripts/bench needs root: try it with sudo")
    with engines() as bench:
        print(HEAD, flush=True)
        lines = []
        for row in rows:
            lines.append(line(row, row.take(bench, asked.n)))
            print(lines[-1], flush=True)
        facts = about(bench)
    print(facts)
    if rows == ROWS:
        PAGE.write_text(page(lines, facts))


if __name__ == "__main__":
    main()
