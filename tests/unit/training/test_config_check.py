from __future__ import annotations

import inspect
import re
from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training import check_config
from mmpose_ext.training.config_check import READ_KEYS

TEXT = '''
data_root = 'data/mouse'
max_epochs = 7
codec = dict(type='Codec', size=(3, 4))
model = dict(head=dict(decoder=codec))
model_wrapper_cfg = dict(type='Wrapper')
train_dataloader = dict(batch_size=7, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_epochs=max_epochs)
auto_scale_lr = dict(base_batch_size=8)
env_cfg = dict(cudnn_benchmark=False)
'''


@pytest.fixture
def config(tmp_path) -> Config:
    path = tmp_path / 'config.py'
    path.write_text(TEXT)
    return Config.fromfile(path)


def refused(config: Config, **options) -> DataError:
    config.merge_from_dict(options)
    with pytest.raises(DataError) as caught:
        check_config(config)
    assert Path(caught.value.file) == Path(config.filename)
    return caught.value


def test_clean_config_passes(config):
    check_config(config)
    config.merge_from_dict({
        'train_cfg.max_epochs': 2, 'work_dir': 'a', 'resume': True,
        'load_from': None, 'launcher': 'none', 'compile': True,
        'model.head.decoder.size': (5, 6)})
    check_config(config)


def test_data_root(config):
    error = refused(config, data_root='/disk')
    assert error.where == 'data_root' and '/disk' in error.found
    assert 'train_dataloader.dataset.data_root=/disk' in error.hint
    assert 'val_dataloader.dataset.data_root=/disk' in error.hint
    assert 'MMPOSE_EXT_DATA' in error.hint


def test_number_is_sought_by_its_name(config):
    hint = refused(config, max_epochs=2).hint
    assert 'train_cfg.max_epochs=2' in hint
    assert 'batch_size' not in hint and 'MMPOSE_EXT_DATA' not in hint


def test_part_of_the_config(config):
    hint = refused(config, **{'codec.size': (9, 9)}).hint
    assert hint.endswith('; write model.head.decoder.size=(9, 9)')


def test_name_of_a_setting_without_its_path(config):
    error = refused(config, batch_size=3)
    assert error.hint == 'did you mean train_dataloader.batch_size?'


@pytest.mark.parametrize('key, near', [
    ('optim_wraper', 'optim_wrapper'), ('custom_hook', 'custom_hooks'),
    ('trian_cfg', 'train_cfg')])
def test_misspelt_key(config, key, near):
    error = refused(config, **{f'{key}.lr': 1})
    assert error.where == key and f'did you mean {near}?' in error.hint


def test_unknown_key_without_a_match(config):
    assert refused(config, zzzz=1).hint == ''


def test_misspelt_key_in_the_file(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(TEXT + 'optim_wraper = dict()\n')
    error = refused(Config.fromfile(path))
    assert 'did you mean optim_wrapper?' in error.hint


def test_hidden_by_the_wrapper(config):
    error = refused(config, find_unused_parameters=True)
    assert 'model_wrapper_cfg.find_unused_parameters=True' in error.hint
    config.pop('model_wrapper_cfg')
    path = Path(config.filename)
    path.write_text(TEXT.replace('model_wrapper_cfg', '_wrapper'))
    check_config(config)


@pytest.mark.parametrize('key', [
    'env_cfg.cudnn_benchmarks', 'auto_scale_lr.enabled'])
def test_parts_that_mmengine_skims(config, key):
    assert refused(config, **{key: True}).where == key


def test_config_without_a_file(tmp_path):
    check_config(Config(dict(anything=1)))
    path = tmp_path / 'config.py'
    path.write_text('anything = 1')
    config = Config.fromfile(path)
    config.anything = 2
    path.unlink()
    check_config(config)


def test_stock_configs_pass():
    folder = Path(mmpose.__file__).parent / '.mim' / 'configs'
    for name in ('animal_2d_keypoint/rtmpose/ap10k/'
                 'rtmpose-m_8xb64-210e_ap10k-256x256.py',
                 'body_2d_keypoint/topdown_heatmap/coco/'
                 'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'):
        check_config(Config.fromfile(folder / name))


def test_read_keys_are_those_of_the_installed_runner():
    scripts = Path(mmpose.__file__).parent / '.mim' / 'tools'
    source = inspect.getsource(Runner.from_cfg) + ''.join(
        re.findall(r'self\.cfg\.get\([^)]*', inspect.getsource(Runner)))
    found = set(re.findall(r"cfg(?:\.get\(|\[)\s*'(\w+)'", source))
    for name in ('train.py', 'test.py'):
        text = (scripts / name).read_text()
        found |= set(re.findall(r"'(\w+)' in cfg\b(?!\.)", text))
        found |= set(re.findall(r'\bcfg\.(\w+)\b(?!\()', text))
    assert found - {'get', 'merge_from_dict', 'filename'} <= READ_KEYS
    assert 'model' in found and 'preprocess_cfg' in found


@HOOKS.register_module(force=True)
class ReadingHook(Hook):
    """A hook with a key of its own."""

    config_keys = ('start_weights', )


def test_key_that_a_hook_reads_is_free(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(TEXT + "start_weights = 'a.pth'\n"
                    "custom_hooks = [dict(type='mmpose_ext.ReadingHook')]\n")
    config = Config.fromfile(path)
    config.merge_from_dict(dict(start_weights=None))
    check_config(config)
    config.custom_hooks = [dict(type='EMAHook')]
    assert refused(config).where == 'start_weights'


def test_hook_stops_the_run(toy_runner, tmp_path):
    path = tmp_path / 'config.py'
    runner = toy_runner(custom_hooks=[dict(type='mmpose_ext.ConfigCheckHook')])
    runner.cfg.dump(path)
    changed = Config.fromfile(path)
    changed.merge_from_dict(dict(max_epoch=3))
    with pytest.raises(DataError, match='max_epoch'):
        Runner.from_cfg(changed).train()
