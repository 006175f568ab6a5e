"""Names of a layer's members, below its root."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidImage
from minidock.image.names import clean

ODD = st.lists(st.sampled_from([b"a", b".", b"..", b"...", b".a", b"a.", b"", b"a/"]), max_size=5).map(b"/".join)


@given(ODD)
def test_a_name_is_what_its_parts_say(name: bytes) -> None:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        with pytest.raises(InvalidImage, match=r"has \.\. in its name"):
            clean(name)
    else:
        assert clean(name) == b"/".join(parts)


@pytest.mark.parametrize("name", [b"a" * 4096, b"a/" * 2048 + b"b", b"./" + b"a" * 4096])
def test_a_name_that_no_kernel_takes_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidImage, match="more than 4095 bytes"):
        clean(name)


def test_the_longest_name() -> None:
    assert clean(b"a" * 4095) == b"a" * 4095
