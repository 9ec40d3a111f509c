"""What is left of a config where files are missing."""
from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mmpose_ext.handobject.missing_files import drop_losses_without_files


def make_config(folder: Path, mano: str) -> Config:
    """Losses whose files are there, or not, and a hand model."""
    return Config(dict(
        model=dict(head=dict(
            mano=dict(path=str(folder / mano)),
            losses=dict(
                uv=dict(type='a', loss_weight=2.),
                points=dict(type='a', models_dir=str(folder / 'no')),
                rotation=dict(type='a', models_dir=str(folder)),
                penetration=dict(type='a', fields=str(folder / 'no.npz')),
                mano=dict(type='mmpose_ext.HandObjectManoLoss')))),
        custom_hooks=[
            dict(type='a'),
            dict(type='mmpose_ext.LossWeightHook', schedules=[
                dict(loss='head.losses.penetration'),
                dict(loss='head.losses.uv')])]))


def test_losses_without_their_files_are_left_out(tmp_path: Path) -> None:
    config = make_config(tmp_path, 'MANO_RIGHT.pkl')
    assert drop_losses_without_files(config) == [
        'points', 'penetration', 'mano', 'mano']
    assert [*config.model.head.losses] == ['uv', 'rotation']
    assert config.model.head.mano is None
    assert config.custom_hooks[1].schedules == [
        dict(loss='head.losses.uv')]


def test_what_is_there_stays(tmp_path: Path) -> None:
    for name in ('no', 'no.npz', 'MANO_RIGHT.pkl'):
        (tmp_path / name).touch()
    config = make_config(tmp_path, 'MANO_RIGHT.pkl')
    before = config.to_dict()
    assert drop_losses_without_files(config) == []
    assert config.to_dict() == before
    # a config may have no losses at all
    assert drop_losses_without_files(Config(dict(
        model=dict(head=dict())))) == []
