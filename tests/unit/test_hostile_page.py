"""docs/hostile.md lists the tests of hostile input, all of them and no others; they themselves check what it claims."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.support import hostile_page

HONEST = {
    *("test_honest", "test_index", "test_index_in_index", "test_duplicate_and_empty_layers", "test_pages_of_tags"),
    *("test_second_pull_asks_once", "test_redirect_within_the_registry_keeps_credentials"),
    *("test_the_good_directory_is_taken", "test_packed_goes_as_it_is", "test_plain_is_packed_once"),
    *("test_packing_is_the_same_every_time", "test_through_a_proxy"),
}
"""Tests in the same files whose images and registries are as they should be."""
AT_LEAST = 60


def test_each_kind_has_a_test_and_each_test_a_kind() -> None:
    rows = hostile_page.rows()
    files = sorted({test.partition("::")[0] for test in rows})
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    told = subprocess.run(asked, cwd=hostile_page.PAGE.parents[1], capture_output=True, text=True, check=True).stdout
    tests = {line for line in told.splitlines() if "::" in line}
    assert set(rows) == {test for test in tests if re.sub(r"\[.*", "", test.partition("::")[2]) not in HONEST}


def test_the_page_counts_right() -> None:
    count = len(hostile_page.rows())
    assert f"There are {count} kinds." in hostile_page.PAGE.read_text() and count >= AT_LEAST
