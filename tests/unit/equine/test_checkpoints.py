"""The table of weights that the horse's configs start from."""
from __future__ import annotations

from mmpose_ext.download_checkpoints import published_checkpoints
from mmpose_ext.equine.checkpoints import CHECKPOINTS


def test_hash_is_the_one_in_the_name() -> None:
    for item in CHECKPOINTS.values():
        stem, date = item.file.removesuffix('.pth').rsplit('_', 1)
        assert len(date) == 8 and date.isdigit()
        assert stem.endswith(f'-{item.sha256}') and len(item.sha256) == 8


def test_published_files_are_where_openmmlab_has_them() -> None:
    folders = {
        'rtmpose-m-ap10k': 'v1/projects/rtmposev1',
        'hrnet-w32-ap10k': 'animal/hrnet',
        'hrnet-w32-animalpose': 'animal/hrnet',
        'cspnext-m': 'v1/projects/rtmposev1',
    }
    assert {key: item.url for key, item in CHECKPOINTS.items()} == {
        key: f'https://download.openmmlab.com/mmpose/{folder}/'
             f'{CHECKPOINTS[key].file}' for key, folder in folders.items()}
    assert [key for key, item in CHECKPOINTS.items() if item.optional] == [
        'cspnext-m']


def test_command_offers_the_familys_table() -> None:
    assert CHECKPOINTS.items() <= published_checkpoints().items()
