"""Checkpoints load without running what is inside them."""
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmpose_ext.compat import checkpoints


class Attack:
    """Pickles itself as a call of os.system."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.system, (f'touch {self.flag}', )


class AttackByGetattr:
    """Reaches os.system through the name that HistoryBuffer needs."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


class CallOfBytes:
    """Would take all memory by the name that empty arrays need."""

    def __reduce__(self):
        return bytes, (10**15, )


def mmengine_checkpoint(**extra):
    """The parts of MMEngine's own checkpoints that torch refuses."""
    history = HistoryBuffer([1., 2.], [1, 1])
    return dict(
        meta=dict(epoch=1, iter=3, sigmas=np.ones(3, np.float32),
                  count=np.int64(4), dtype=np.dtype('float64')),
        state_dict=dict(weight=torch.ones(2)),
        message_hub=dict(log_scalars={'train/loss': history}),
        **extra)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(mmengine_checkpoint(), path)
    return path


def test_torch_itself_refuses(stored):
    with pytest.raises(pickle.UnpicklingError, match='Unsupported global'):
        torch.load(stored, weights_only=True)


def test_mmengine_loader_is_ours_and_reads_history(stored):
    loaded = CheckpointLoader.load_checkpoint(str(stored), logger=None)
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert history.current() == 2.
    assert history.mean() == pytest.approx(1.5)
    assert history.statistics('max') == 2.
    np.testing.assert_array_equal(loaded['meta']['sigmas'], np.ones(3))


def test_url_loader_is_safe_too(tmp_path, monkeypatch):
    flag = tmp_path / 'ran'
    hub = tmp_path / 'hub'
    (hub / 'checkpoints').mkdir(parents=True)
    torch.save(
        dict(state_dict=Attack(flag)), hub / 'checkpoints' / 'evil.pth')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(hub))
    with pytest.raises(checkpoints.UnsafeCheckpointError, match='evil.pth'):
        CheckpointLoader.load_checkpoint(
            'https://example.org/evil.pth', logger=None)
    assert not flag.exists()


@pytest.mark.parametrize('legacy', [False, True])
def test_code_is_refused_and_not_run(tmp_path, legacy):
    flag, path = tmp_path / 'ran', tmp_path / 'evil.pth'
    torch.save(
        mmengine_checkpoint(extra=Attack(flag)),
        path,
        _use_new_zipfile_serialization=not legacy)
    with pytest.raises(checkpoints.UnsafeCheckpointError, match='system'):
        checkpoints.load_checkpoint(path)
    assert not flag.exists()


def test_getattr_serves_history_buffer_alone(tmp_path):
    path = tmp_path / 'evil.pth'
    torch.save(mmengine_checkpoint(extra=AttackByGetattr(None)), path)
    with pytest.raises(checkpoints.UnsafeCheckpointError, match='getattr'):
        checkpoints.load_checkpoint(path)


def test_empty_arrays_are_loaded(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(links=np.zeros((0, 3), np.uint8)), path)
    links = checkpoints.load_checkpoint(path)['links']
    assert links.shape == (0, 3) and links.dtype == np.uint8


def test_bytes_serves_empty_arrays_alone(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(bad=CallOfBytes()), path)
    with pytest.raises(checkpoints.UnsafeCheckpointError, match='bytes'):
        checkpoints.load_checkpoint(path)


def test_trust_is_by_name(tmp_path, monkeypatch):
    flag, path = tmp_path / 'ran', tmp_path / 'mine.pth'
    torch.save(dict(extra=Attack(flag)), path)
    monkeypatch.setenv(checkpoints.TRUST_VARIABLE, 'other.pth')
    with pytest.raises(checkpoints.UnsafeCheckpointError):
        checkpoints.load_checkpoint(path)
    monkeypatch.setenv(checkpoints.TRUST_VARIABLE, 'other.pth:mine.pth')
    checkpoints.load_checkpoint(path)
    assert flag.exists()


def test_config_text_is_dropped(tmp_path):
    path = tmp_path / 'old.pth'
    torch.save(dict(meta=dict(config='import os', epoch=1)), path)
    assert checkpoints.load_checkpoint(path)['meta'] == dict(epoch=1)


@pytest.mark.parametrize('keep', [0, 10, .5, .99])
def test_truncated_is_named(stored, keep):
    content = stored.read_bytes()
    length = int(keep * len(content)) if isinstance(keep, float) else keep
    stored.write_bytes(content[:length])
    with pytest.raises(checkpoints.BrokenCheckpointError, match='epoch_1'):
        checkpoints.load_checkpoint(stored)
    assert checkpoints.damage(stored)


def test_flipped_bits_are_found(stored):
    content = bytearray(stored.read_bytes())
    place = content.find(np.ones(2, np.float32).tobytes())
    content[place] ^= 0xff
    assert not checkpoints.damage(stored)
    stored.write_bytes(content)
    with pytest.raises(checkpoints.BrokenCheckpointError, match='checksum'):
        checkpoints.load_checkpoint(stored)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        CheckpointLoader.load_checkpoint(
            str(tmp_path / 'none.pth'), logger=None)
