"""A config inside a checkpoint is read, and nothing that it says is run."""
from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmpose_ext import Inferencer
from mmpose_ext.storage import DataError
from mmpose_ext.stored_config import PARTS, config_of

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = dict(imports=['mmpose_ext.direction'])
MODEL = dict(
    type='mmpose_ext.DirectionEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.5],
                           std=[255.]),
    backbone=dict(type='mmpose_ext.DirectionCNN'),
    head=dict(
        type='mmpose_ext.DirectionRegressionHead', in_channels=64,
        in_size=(3, 3), loss=dict(type='mmpose_ext.DirectionPointLoss'),
        decoder=dict(type='mmpose_ext.CenteredRegressionLabel',
                     input_size=(50, 50))))


def text_of(**values: Any) -> str:
    return Config(values, format_python_code=False).pretty_text


def save(folder: Path, text: Any, **more: Any) -> Path:
    path = folder / 'model.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=text, **more)), path)
    return path


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), 'w')


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when something of the trap is run."""
    path = tmp_path / 'sprung'
    touch = f'open({str(path)!r}, "w")\n'
    package = tmp_path / f'evil_{tmp_path.name}'
    package.mkdir()
    (package / '__init__.py').write_text(touch)
    (tmp_path / 'evil.py').write_text(touch)
    (tmp_path / 'evil.json').write_text('{"_base_": "evil.py"}')
    (tmp_path / 'evil.pkl').write_bytes(pickle.dumps(Touch(path)))
    monkeypatch.syspath_prepend(tmp_path)
    return path


def hostile(way: str, marker: Path) -> str:
    folder = marker.parent
    package = f'evil_{folder.name}'
    touch = dict(type='os.system', command=f'touch {marker}')
    part = {
        'text': None,
        'expression': None,
        'dotted type': dict(model=touch),
        'nested type': dict(model=dict(MODEL, backbone=touch)),
        'type in a list': dict(model=[touch]),
        'module as a type': dict(model=dict(type=package)),
        'scope of a part': dict(model=dict(MODEL, _scope_=package)),
        'scope of a type': dict(model=dict(type=f'{package}.Thing')),
        'default scope': dict(default_scope=package, model=MODEL),
        'function of MMEngine': dict(model=dict(
            type='mmengine.load', file=str(folder / 'evil.pkl'))),
        'data set that unpickles': dict(model=dict(
            type='mmengine.dataset.BaseDataset',
            ann_file=str(folder / 'evil.pkl'))),
        'metainfo from Python': dict(model=dict(
            MODEL, metainfo=dict(from_file=str(folder / 'evil.py')))),
        'metainfo from Python by JSON': dict(model=dict(
            MODEL, metainfo=dict(from_file=str(folder / 'evil.json')))),
        'distiller': dict(model=dict(
            type='mmpose.DWPoseDistiller', teacher_cfg=str(
                folder / 'evil.json'), student_cfg='')),
        'imports': dict(custom_imports=dict(
            imports=['mmpose_ext.direction', package]), model=MODEL),
    }[way]
    if part is not None:
        return text_of(**{'custom_imports': IMPORTS, **part})
    text = text_of(custom_imports=IMPORTS, model=MODEL)
    touch_now = f'open({str(marker)!r}, "w")'
    return f'{text}\n' + (f'{touch_now}\n' if way == 'text'
                          else f'work_dir = [{touch_now}]\n')


WAYS = ('text', 'expression', 'dotted type', 'nested type', 'type in a list',
        'module as a type', 'scope of a part', 'scope of a type',
        'default scope', 'function of MMEngine', 'data set that unpickles',
        'metainfo from Python', 'metainfo from Python by JSON', 'distiller',
        'imports')


@pytest.mark.parametrize('way', WAYS)
def test_trap_is_sprung_by_mmengine_and_not_by_us(way: str,
                                                  marker: Path) -> None:
    text = hostile(way, marker)
    checkpoint = save(marker.parent, text)
    with pytest.raises(DataError) as caught:
        Inferencer(checkpoint)
    assert not marker.exists()
    assert caught.value.file == str(checkpoint)
    assert 'meta.cfg' in caught.value.where
    assert 'a config that is given is trusted' in caught.value.hint
    # otherwise the test would tell nothing
    try:
        config = Config.fromstring(text, '.py')
        init_default_scope(config.get('default_scope', 'mmpose'))
        MODELS.build(config.model)
    except Exception:  # what comes after the trap
        pass
    assert marker.exists()


@pytest.mark.parametrize('where', [
    dict(skeleton='rat.PY'), dict(work_dir=dict(a=['x.py/'])),
    dict(test_dataloader=dict(dataset=dict(type='BaseDataset'))),
    dict(test_dataloader=dict(dataset=dict(type='CocoDataset'))),
    dict(model=dict(MODEL, type=[1])), dict(model=dict(MODEL, type='')),
    dict(model=dict(MODEL, type='mmpose_ext.DirectionCnn')),
    dict(model=dict(MODEL, type='mmpose_ext.Inferencer')),
    dict(model=dict(MODEL, _scope_=['mmpose'])), dict(default_scope=None),
    dict(custom_imports=['json']), dict(custom_imports=dict(imports=[[1]])),
    dict(custom_imports=3)
])
def test_what_could_run_code_is_refused(where: dict[str, Any],
                                        tmp_path: Path) -> None:
    values = {'custom_imports': IMPORTS, 'model': MODEL, **where}
    with pytest.raises(DataError, match='meta.cfg'):
        config_of(save(tmp_path, text_of(**values)))


def test_nothing_is_fetched_and_hooks_are_left_out(tmp_path: Path) -> None:
    away = dict(type='Pretrained', checkpoint='http://127.0.0.1:9/x.pth')
    text = text_of(
        default_scope='mmpose', custom_imports=IMPORTS, load_from='http://x',
        work_dir='runs', sizes=[(1, 2)], pretrained='http://x',
        model=dict(MODEL, init_cfg=away, backbone=dict(
            MODEL['backbone'], pretrained='http://x', init_cfg=[away])),
        test_dataloader=dict(dataset=dict(
            type='mmpose_ext.DirectionDataset', pipeline=[dict(
                type='LoadImage', backend_args=dict(backend='petrel'))])),
        custom_hooks=[dict(type='somewhere.Hook')],
        optim_wrapper=dict(optimizer=dict(type='somewhere.Optimizer')))
    config = config_of(save(tmp_path, text))
    assert config.to_dict() == dict(
        default_scope='mmpose', custom_imports=IMPORTS, work_dir='runs',
        sizes=[(1, 2)], model=MODEL, test_dataloader=dict(dataset=dict(
            type='mmpose_ext.DirectionDataset',
            pipeline=[dict(type='LoadImage')])))
    assert config.filename == str(tmp_path / 'model.pth')
    assert config.text == text


def test_a_type_in_metainfo_is_that_of_a_keypoint(tmp_path: Path) -> None:
    metainfo = dict(keypoint_info={0: dict(name='nose', type='upper')})
    dataset = dict(type='mmpose_ext.DirectionDataset', metainfo=metainfo)
    config = config_of(save(tmp_path, text_of(
        custom_imports=IMPORTS, model=MODEL,
        train_dataloader=dict(dataset=dataset))))
    assert config.train_dataloader.dataset.to_dict() == dataset


@pytest.mark.parametrize('path', sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'configs').glob('*/*_tiny_*.py')))
def test_config_of_every_family_is_read_as_it_was(path: str,
                                                  tmp_path: Path) -> None:
    written = Config.fromfile(ROOT / path, format_python_code=False)
    read = config_of(save(tmp_path, written.pretty_text))
    for part in PARTS:
        assert without_weights(written[part]) == read[part]
    assert 'custom_hooks' not in read and 'optim_wrapper' not in read


def without_weights(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(without_weights, value))
    if not isinstance(value, dict):
        return value
    return {key: without_weights(item) for key, item in value.items()
            if key not in ('init_cfg', 'pretrained', 'backend_args')}


@pytest.mark.parametrize(('checkpoint', 'where', 'hint'), [
    (dict(state_dict={}), 'meta.cfg', 'config='),
    (dict(state_dict={}, meta=None), 'meta.cfg', 'config='),
    (dict(state_dict={}, meta=dict(cfg=3)), 'meta.cfg', 'config='),
    ([torch.zeros(1)], 'meta.cfg', 'config='),
    (dict(meta=dict(cfg='a = (')), 'meta.cfg', 'trusted'),
    (dict(meta=dict(cfg='a = 1')), 'custom_imports', ''),
    (dict(meta=dict(cfg='text = 1')), 'meta.cfg', ''),
])
def test_checkpoint_without_a_config(checkpoint: Any, where: str, hint: str,
                                     tmp_path: Path) -> None:
    path = tmp_path / 'm.pth'
    torch.save(checkpoint, path)
    with pytest.raises(DataError) as caught:
        Inferencer(path)
    assert where in caught.value.where and hint in caught.value.hint
    assert caught.value.file == str(path)


def test_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, '', note=Touch(tmp_path / 'sprung'))
    with pytest.raises(DataError, match='refused'):
        config_of(path)
    assert not (tmp_path / 'sprung').exists()


def test_old_format_and_missing_file(tmp_path: Path) -> None:
    path = tmp_path / 'old.pth'
    torch.save(dict(meta=dict(cfg=text_of(custom_imports=IMPORTS))), path,
               _use_new_zipfile_serialization=False)
    assert config_of(path).custom_imports == IMPORTS
    with pytest.raises(DataError, match='nothing'):
        config_of(tmp_path / 'none.pth')
    (tmp_path / 'torn.pth').write_bytes(b'PK\3\4')
    with pytest.raises(DataError, match='truncated'):
        config_of(tmp_path / 'torn.pth')
