"""images --tree: widths, several names, what is in use."""

from __future__ import annotations

import pytest

from minidock.cli import image_tree
from minidock.model.lists import ImageSummary


def row(number: int, names: list[str], containers: int = 0) -> ImageSummary:
    return ImageSummary("sha256:" + str(number) * 64, names, [], 0, number * 1_000_000, containers=containers)


def test_names_sizes_and_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(image_tree, "_terminal_width", lambda: 120)
    images = [row(1, ["site:2", "registry.example.org/team/site:2"], 3), row(2, [])]
    image_tree.show(images, lambda _: 400_000, lambda _: "linux/arm/v7")
    warning, *lines = capsys.readouterr().out.splitlines()
    assert warning.startswith("WARNING: This is an experimental feature")
    assert {len(line) for line in lines[2:] if line} == {len(lines[0])}, "the columns are straight"
    assert [line.split() for line in lines] == [
        ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "USED"],
        ["site:2"],
        ["registry.example.org/team/site:2", "111111111111", "1MB", "400kB", "✔"],
        ["└─", "linux/arm/v7", "111111111111", "1MB", "400kB", "✔"],
        [],
        ["<untagged>", "222222222222", "2MB", "400kB"],
        ["└─", "linux/arm/v7", "222222222222", "2MB", "400kB"],
    ]


def test_a_narrow_terminal_has_fewer_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_tree, "_terminal_width", lambda: 38)
    image_tree.show([row(1, ["a-very-long-name-that-does-not-fit:1"])], lambda _: 1, lambda _: "linux/amd64")
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0].split() == ["IMAGE", "ID"]
    assert lines[1].split() == ["a-very-long-name-tha...", "111111111111"]
