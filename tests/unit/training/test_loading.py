"""Weights come whole, and faults as one error."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext.storage import DataError
from mmpose_ext.training import choose_device, load_whole


def test_a_device_that_is_not_there_is_one_error() -> None:
    assert choose_device('cpu') == torch.device('cpu')
    assert choose_device('auto').type in ('cpu', 'cuda')
    with pytest.raises(DataError, match='device'):
        choose_device('toaster')


def test_all_weights_are_loaded_and_the_output_stays_clean(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(dict(state_dict=nn.Linear(2, 3).state_dict(),
                    meta=dict(epoch=5)), tmp_path / 'a.pth')
    model = nn.Linear(2, 3)
    loaded = load_whole(model, tmp_path / 'a.pth', Config())
    assert torch.equal(model.weight, loaded['state_dict']['weight'])
    assert loaded['meta']['epoch'] == 5
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('state', [
    nn.Linear(2, 3, bias=False).state_dict(), nn.Linear(2, 4).state_dict()])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path,
                                             state: dict) -> None:
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(DataError, match='weights'):
        load_whole(nn.Linear(2, 3), tmp_path / 'a.pth', Config())


@pytest.mark.parametrize('content', [None, b'', b'PK\3\4', b'text'])
def test_damaged_files_are_refused(tmp_path: Path,
                                   content: bytes | None) -> None:
    if content is not None:
        (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(DataError, match=r'a\.pth'):
        load_whole(nn.Linear(2, 3), tmp_path / 'a.pth', Config())
