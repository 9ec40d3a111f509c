"""Every config builds the published network, with and without weights."""
from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmpose_ext.equine import checkpoints
from mmpose_ext.layout import project_root
from mmpose_ext.registry import MODELS
from mmpose_ext.training import find_stages

FOLDER = project_root() / 'configs' / 'equine'
CONFIGS = sorted(FOLDER.glob('*.py'))


def load(path: Path) -> Config:
    return Config.fromfile(path, import_custom_modules=False)


def build(config: Config) -> nn.Module:
    init_default_scope('mmpose')
    return MODELS.build(config.model)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_fixed_names_are_there() -> None:
    names = {path.stem for path in CONFIGS}
    assert {'rtmpose-m_tiny_synthetic', 'rtmpose-m_ap10k_horse26-256x256',
            'hrnet-w32_ap10k_horse26-256x256',
            'hrnet-w32_animalpose_horse26-256x256'} <= names


# published figures, computed at 256 x 256 for 26 points
RTMPOSE = dict(stem=16_392, stage1=118_848, stage2=658_368, stage3=2_606_976,
               stage4=8_878_848)
HRNET = dict(
    stem=38_848, layer1=286_208, stage2=221_376 + 390_848,
    stage3=73_984 + 6_821_632, stage4=295_424 + 20_407_232, head=858)


@pytest.mark.parametrize('name, total, published', [
    ('rtmpose-m_ap10k_horse26-256x256', 13.963e6, RTMPOSE),
    ('hrnet-w32_ap10k_horse26-256x256', 28.536e6, HRNET)])
def test_network_has_the_published_size(name: str, total: float,
                                        published: dict[str, int]) -> None:
    model = build(load(FOLDER / f'{name}.py'))
    assert count(model) == pytest.approx(total, rel=1e-4)
    parameters = dict(model.named_parameters())
    sizes = {stage.name: sum(parameters[key].numel()
                             for key in stage.parameters)
             for stage in find_stages(model)}
    assert {key: sizes[key] for key in published} == published
    assert list(sizes)[-1] == 'head'


@pytest.mark.parametrize('path', CONFIGS, ids=[p.stem for p in CONFIGS])
def test_weights_can_be_downloaded(path: Path) -> None:
    """What a config starts from is in the table of downloads."""
    pretrained = load(path).pretrained
    if pretrained is not None:
        files = {item.file for item in checkpoints.CHECKPOINTS.values()}
        assert Path(pretrained).name in files


@pytest.mark.parametrize('path', CONFIGS, ids=[p.stem for p in CONFIGS])
def test_phases_cover_any_run(path: Path) -> None:
    """Boundaries are fractions, the first phase begins with the run."""
    for hook in load(path).custom_hooks:
        for phase in hook.get('phases', hook.get('switches', [])):
            assert 0 <= phase['begin'] < 1
        if 'phases' in hook:
            assert hook['phases'][0]['begin'] == 0
