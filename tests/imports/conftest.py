"""The command in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.imports.exports import Import


@pytest.fixture
def peerwatt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Import:
    return Import(tmp_path, monkeypatch, capsys)
