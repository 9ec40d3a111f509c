"""Exports are judged, and what cannot be is one clear error."""
from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from mmpose_ext import onnx_files
from mmpose_ext.storage import DataError

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

OUT = Path('a.onnx')


class Halves(onnx_files.ExportGraph):
    """Halves what it gets, or `factor` times that in the file."""

    inputs = ('x', )
    outputs = ('half', )

    def __init__(self, factor: float = 1.) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x / 2 * self.factor, )

    def expected(self, *example: Tensor) -> tuple[Tensor]:
        return (example[0] / 2, )

    def example(self, batch: int, seed: int = 0) -> tuple[Tensor]:
        return (torch.arange(4. * batch).view(batch, 4) + seed, )

    def metadata(self) -> dict[str, str]:
        return dict(x='a number')


def run(tmp_path: Path, *words: str, any_batch: bool = True,
        graph: onnx_files.ExportGraph | None = None) -> int:
    parser = argparse.ArgumentParser()
    onnx_files.add_export_options(parser, 'things', any_batch)
    arguments = parser.parse_args(
        ['m.pth', '--out', str(tmp_path / 'm.onnx'), *words])
    return onnx_files.run_export(
        Config(), arguments, lambda *_: graph or Halves())


@pytest.mark.parametrize('words, shape', [
    ([], ['B', 4]), (['--dynamic-batch'], ['B', 4]), (['--batch', '2'], [2, 4])
])
def test_the_file_computes_and_explains(tmp_path, capfd, words, shape):
    assert run(tmp_path, *words) == 0
    screen = capfd.readouterr()
    assert screen.err == ''
    assert screen.out.splitlines() == [
        'largest differences from torch: half 0.0e+00',
        f'written: {tmp_path / "m.onnx"}']
    session = onnxruntime.InferenceSession(str(tmp_path / 'm.onnx'))
    given, = session.get_inputs()
    assert (given.name, given.shape) == ('x', shape)
    assert session.get_modelmeta().custom_metadata_map == dict(x='a number')
    found, = session.run(None, dict(x=np.full((2, 4), 3, np.float32)))
    assert (found == 1.5).all()


@pytest.mark.parametrize('factor', [1.01, math.nan])
def test_a_file_that_differs_is_not_kept(tmp_path, factor):
    with pytest.raises(DataError, match='parity with torch'):
        run(tmp_path, graph=Halves(factor))
    assert not list(tmp_path.iterdir())
    assert run(tmp_path, '--no-check', graph=Halves(factor)) == 0


@pytest.mark.parametrize('any_batch', [True, False])
@pytest.mark.parametrize('words, message', [
    (['--batch', '0'], '--batch: expected at least 1'),
    (['--opset', '16'], '--opset: expected 17 to 20, found 16'),
    (['--opset', '21'], '--opset: expected 17 to 20, found 21'),
    (['--out', 'm.pb'], 'ending in .onnx')])
def test_options_that_cannot_be_write_nothing(tmp_path, words, message,
                                              any_batch):
    with pytest.raises(DataError, match=message):
        run(tmp_path, *words, any_batch=any_batch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('limits', [.1, dict(a=.1, b=.1, c=1.)])
def test_differences_below_the_limit_are_put_in_words(limits) -> None:
    assert onnx_files.require_parity(OUT, dict(a=.02, b=0.), limits) == (
        'a 2.0e-02, b 0.0e+00')


@pytest.mark.parametrize('worst', [.1, math.nan, math.inf])
@pytest.mark.parametrize('limits', [.1, dict(a=9., b=.1)])
def test_one_too_large_or_nan_is_refused(limits, worst) -> None:
    with pytest.raises(DataError, match=r'parity with torch.*below 0\.1'):
        onnx_files.require_parity(OUT, dict(a=0., b=worst), limits)


def test_missing_packages_are_named(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(onnx_files, 'PACKAGES', ('json', 'no_such_thing'))
    assert run(tmp_path) == 1
    error = capsys.readouterr().err
    assert 'error: no_such_thing not installed' in error
    assert 'pip install mmpose_ext[export]' in error
    assert not list(tmp_path.iterdir())
