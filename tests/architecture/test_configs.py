"""Every config that is shipped loads and builds the model it claims."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.config import Config

from mmpose_ext.handobject.sigma_linear import HandObjectSigmaLinear
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training.config_check import check_config
from tests.architecture.rules import ROOT

LISTED = [model for metafile in sorted(ROOT.glob('configs/*/metafile.yml'))
          for model in yaml.safe_load(metafile.read_text())['Models']]


def test_index_names_every_metafile() -> None:
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == [
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob('configs/*/metafile.yml'))]


def test_metafiles_list_every_config_once() -> None:
    for folder in sorted((ROOT / 'configs').glob('[!_]*')):
        content = yaml.safe_load((folder / 'metafile.yml').read_text())
        named = [Path(model['Config']).name for model in content['Models']]
        assert sorted(named) == sorted(
            path.name for path in folder.glob('*.py')), folder.name
        collections = {item['Name'] for item in content['Collections']}
        for model in content['Models']:
            assert model['Name'] == Path(model['Config']).stem
            assert model['In Collection'] in collections
            for result in model.get('Results', []):
                assert set(result) == {'Task', 'Dataset', 'Metrics'}


@pytest.mark.parametrize('model', LISTED, ids=lambda model: model['Name'])
def test_config_builds_a_model_of_the_size_that_is_told(
        model: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numbers in its tensors, and without data."""
    monkeypatch.setattr(HandObjectSigmaLinear, 'reset_spectrum',
                        lambda self: None)
    config = Config.fromfile(ROOT / model['Config'])
    check_config(config)
    if 'losses' in config.model.get('head', {}):
        config.model.head.losses = {}  # some look at meshes
    try:
        with torch.device('meta'):
            built = MODELS.build(config.model)
    except DataError as error:
        pytest.skip(str(error))  # a skeleton that comes with the data
    assert sum(map(torch.numel, built.parameters())) == (
        model['Metadata']['Parameters'])
