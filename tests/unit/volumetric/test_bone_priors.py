"""The command that measures bones on the labels of a config."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import Dataset

from mmpose_ext.registry import DATASETS
from mmpose_ext.volumetric.bone_losses import DannceBoneLengthLoss
from mmpose_ext.volumetric.bone_priors import main
from mmpose_ext.volumetric.length_priors import read_priors
from mmpose_ext.volumetric.loss_hook import training_labels
from mmpose_ext.volumetric.skeletons import build_metainfo


@DATASETS.register_module(force=True)
class BonePriorsToy(Dataset):
    """A bone of 10 to 12 mm, and one that is labelled so often."""

    metainfo = build_metainfo('toy', ('a', 'b', 'c'), [(0, 1), (1, 2)])

    def __init__(self, known: int = 3) -> None:
        self.known = known

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        return index

    def labelled_poses(self) -> np.ndarray:
        poses = np.zeros((3, 3, 3))
        poses[:, 0, 0] = [10, 11, 12]
        poses[:, 2, 1] = [30, 31, 32]
        poses[self.known:, 2] = np.nan
        return poses


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / 'config.py'
    path.write_text(
        "default_scope = 'mmpose'\n"
        "custom_imports = dict(imports=['mmpose_ext.volumetric'])\n"
        'train_dataloader = dict(batch_size=1, num_workers=0, '
        "sampler=dict(type='DefaultSampler', shuffle=False), "
        "dataset=dict(type='mmpose_ext.BonePriorsToy'))\n")
    return str(path)


@pytest.mark.parametrize('suffix', ['.npy', '.mat'])
def test_shows_and_writes_what_the_loss_reads(config, tmp_path, capsys,
                                              suffix):
    out = tmp_path / f'priors{suffix}'
    assert main([config, '--out', str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ['a-b', '11.00', '1.00', '3'], ['b-c', '31.00', '1.00', '3']]
    assert f"DannceBoneLengthLoss', priors='{out}')" in lines[-1]
    np.testing.assert_allclose(read_priors(out).mean, [11, 31])
    loss = DannceBoneLengthLoss(str(out))
    loss.prepare(*training_labels(BonePriorsToy(), config))
    assert loss.describe() == f'2 bones, 11 to 31 mm, from {out}'


def test_bones_with_too_few_labels_are_to_be_masked(config, tmp_path, capsys):
    out = tmp_path / 'priors.npy'
    assert main([config, '--out', str(out), '--cfg-options',
                 'train_dataloader.dataset.known=1']) == 0
    text = capsys.readouterr().out
    assert "mask=['b-c']" in text and 'nan' in text
    loss = DannceBoneLengthLoss(str(out), mask=['b-c'])
    loss.prepare(*training_labels(BonePriorsToy(1), config))
    assert loss.describe().startswith('1 bones, 11')


def test_a_file_is_replaced_only_when_asked(config, tmp_path, capsys):
    out = tmp_path / 'priors.npy'
    out.write_text('mine')
    assert main([config, '--out', str(out)]) == 1
    assert '--overwrite replaces it' in capsys.readouterr().err
    assert out.read_text() == 'mine'
    assert main([config, '--out', str(out), '--overwrite']) == 0
    assert len(read_priors(out).mean) == 2


@pytest.mark.parametrize('out, options, message', [
    ('priors.csv', [], '.npy or .mat'), ('no/priors.npy', [], 'no folder'),
    ('priors.npy', ['train_dataloader=None'], 'data loader')])
def test_nothing_is_written_when_it_cannot_be(config, tmp_path, capsys, out,
                                              options, message):
    argv = [config, '--out', str(tmp_path / out)]
    assert main(argv + (['--cfg-options', *options] if options else [])) == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['config.py']


def test_a_wrong_config_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / 'none.py'), '--out', 'a.npy'])
    assert caught.value.code == 2
    assert 'none.py' in capsys.readouterr().err
