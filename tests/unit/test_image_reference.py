"""Names of images: Docker's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import MinidockError
from minidock.image import reference

DIGEST = "sha256:" + "ab" * 32

GOOD = {
    "busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "busybox:1.36": ("docker.io/library/busybox:1.36", "busybox:1.36"),
    "library/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "docker.io/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "index.docker.io/library/busybox": ("docker.io/library/busybox:latest", "busybox:latest"),
    "user/app": ("docker.io/user/app:latest", "user/app:latest"),
    "library/a/b": ("docker.io/library/a/b:latest", "library/a/b:latest"),
    "localhost/app": ("localhost/app:latest", "localhost/app:latest"),
    "localhost:5000/app:v1": ("localhost:5000/app:v1", "localhost:5000/app:v1"),
    "Host/app": ("Host/app:latest", "Host/app:latest"),
    "registry.example/a/b/c:x_y.z-1": ("registry.example/a/b/c:x_y.z-1", "registry.example/a/b/c:x_y.z-1"),
    "[::1]:5000/app": ("[::1]:5000/app:latest", "[::1]:5000/app:latest"),
    f"busybox@{DIGEST}": (f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
    f"busybox:1@{DIGEST}": (f"docker.io/library/busybox:1@{DIGEST}", f"busybox:1@{DIGEST}"),
    "a__b.c-d--e": ("docker.io/library/a__b.c-d--e:latest", "a__b.c-d--e:latest"),
    "busybox:" + "t" * 128: ("docker.io/library/busybox:" + "t" * 128, "busybox:" + "t" * 128),
}

BAD = {
    "": "invalid reference format",
    ":tag": "invalid reference format",
    "a b": "invalid reference format",
    "a//b": "invalid reference format",
    "/a": "invalid reference format",
    "a/": "invalid reference format",
    "-a": "invalid reference format",
    "a___b": "invalid reference format",
    "a..b": "invalid reference format",
    "../../etc/passwd": "invalid reference format",
    "a:": "invalid reference format",
    "a:-x": "invalid reference format",
    "a:" + "t" * 129: "invalid reference format",
    "a@sha256:123": "invalid reference format",
    "a@sha256:" + "AB" * 32: "invalid reference format",
    "a@md5:" + "ab" * 16: "unsupported digest algorithm",
    "a\n": "invalid reference format",
    "é": "invalid reference format",
    "Busybox": "invalid reference format: repository name (library/Busybox) must be lowercase",
    "user/App": "invalid reference format: repository name (user/App) must be lowercase",
    "a" * 64: "invalid repository name (" + "a" * 64 + "), cannot specify 64-byte hexadecimal strings",
    "b" * 256: "repository name must not be more than 255 characters",
}


@pytest.mark.parametrize("text", GOOD)
def test_good_names(text: str) -> None:
    full, familiar = GOOD[text]
    parsed = reference.parse(text).tagged()
    assert (parsed.full, parsed.familiar) == (full, familiar)
    assert reference.parse(parsed.familiar) == reference.parse(full) == parsed


@pytest.mark.parametrize("text", BAD)
def test_bad_names(text: str) -> None:
    with pytest.raises(MinidockError) as caught:
        reference.parse(text)
    assert caught.value.message == BAD[text]


@given(st.text(max_size=40) | st.text(alphabet="aA0._-:/@[]", max_size=30))
def test_any_text_is_a_name_or_an_error_of_ours(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except MinidockError:
        return
    assert reference.parse(parsed.full) == parsed
    assert reference.parse(parsed.familiar) == parsed


def test_ids() -> None:
    assert (
        reference.is_identifier("ab12") and reference.is_identifier("sha256:ab") and reference.is_identifier("0" * 64)
    )
    assert not reference.is_identifier("xyz") and not reference.is_identifier("") and not reference.is_identifier("A1")
    assert (
        reference.is_digest(DIGEST) and not reference.is_digest(DIGEST[:-1]) and not reference.is_digest(DIGEST + "\n")
    )
