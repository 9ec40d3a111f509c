"""An exported file says what the trained model says."""
from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmpose_ext.families import family_module, family_of
from mmpose_ext.onnx_files import compare, require_parity
from tests.front_door.client import ROOT

from .trainings import EPOCHS

pytest.importorskip('onnxruntime')

EXPECTED = re.compile(
    r'.* mmengine - INFO - |Loads checkpoint by |largest differences from '
    r'torch: |written: ')
FRESH = 1  # seed of inputs that the export was not checked on


def test_a_file_gives_what_torch_gives(family, undisturbed,
                                       tmp_path: Path) -> None:
    out = tmp_path / 'model.onnx'
    words = [str(undisturbed.folder / f'epoch_{EPOCHS}.pth'), '--out',
             str(out)]
    log = tmp_path / 'output.txt'
    path = as_published(family.config, tmp_path)
    codes = family.server.run(
        [str(ROOT / 'tools/export_onnx.py'), str(path), *words],
        log, [{}], 300)
    lines = log.read_text().splitlines()
    assert codes == [0], lines
    assert [line for line in lines if not EXPECTED.match(line)] == []

    config = Config.fromfile(path)
    module = family_module(family_of(config), 'export_onnx')
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    arguments = parser.parse_args(words)
    graph = module.build_graph(config, arguments)
    # any size of batch is tried as one and as three
    found = compare(graph, out, arguments.batch, FRESH)
    require_parity(out, found, graph.limits)


def as_published(path: Path, folder: Path) -> Path:
    """A config whose data sets are not cut to their first samples."""
    config = Config.fromfile(path, import_custom_modules=False)
    for part in ('val_dataloader', 'test_dataloader'):
        config[part].dataset = config[part].dataset.dataset
    whole = folder / path.name
    config.dump(whole)
    return whole
