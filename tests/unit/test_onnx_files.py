"""Parity of exported graphs is judged, and missing packages are named."""
from __future__ import annotations

import math
from pathlib import Path

import pytest

from mmpose_ext import onnx_files
from mmpose_ext.storage import DataError

OUT = Path('a.onnx')


@pytest.mark.parametrize('limits', [.1, dict(a=.1, b=.1)])
def test_differences_below_the_limit_are_put_in_words(limits) -> None:
    assert onnx_files.require_parity(OUT, dict(a=.02, b=0.), limits) == (
        'a 2.0e-02, b 0.0e+00')


@pytest.mark.parametrize('worst', [.1, math.nan, math.inf])
@pytest.mark.parametrize('limits', [.1, dict(a=9., b=.1)])
def test_one_too_large_or_nan_is_refused(limits, worst) -> None:
    with pytest.raises(DataError, match=r'parity with torch.*below 0\.1'):
        onnx_files.require_parity(OUT, dict(a=0., b=worst), limits)


def test_missing_packages_are_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr(onnx_files, 'PACKAGES', ('json', 'no_such_thing'))
    assert not onnx_files.packages_are_there()
    assert 'error: no_such_thing not installed' in capsys.readouterr().err
    monkeypatch.setattr(onnx_files, 'PACKAGES', ('json', ))
    assert onnx_files.packages_are_there()


def test_other_endings_are_refused() -> None:
    onnx_files.check_name(OUT)
    with pytest.raises(DataError, match=r'\.onnx'):
        onnx_files.check_name(Path('a.pt'))
