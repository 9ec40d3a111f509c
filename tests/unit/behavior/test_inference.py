"""Streams of embeddings: those of windows cut one by one, or near them."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from mmpose_ext.behavior import inference
from mmpose_ext.behavior.ground import WindowGround
from mmpose_ext.behavior.inference import LisbetStreamer
from mmpose_ext.behavior.windows import (
    PADDINGS,
    WindowShape,
    gather,
    valid_range,
    window_rows,
)
from mmpose_ext.registry import MODELS

from .stores import make_store
from .window_batches import embed_windows

FEATURES = ('pose', 'velocity', 'motion', 'partner')
BACKBONES = dict(
    transformer=dict(type='mmpose_ext.LisbetTransformer', embed_dims=16,
                     num_layers=2, num_heads=2, hidden_channels=32,
                     max_length=24),
    lstm=dict(type='mmpose_ext.LisbetLSTM', embed_dims=16,
              hidden_channels=16),
    tcn=dict(type='mmpose_ext.LisbetTCN', embed_dims=16, hidden_channels=16,
             kernel_size=3, dilation_base=2, num_blocks=2))


def build(features: tuple[str, ...] = FEATURES, missing: str = 'zero',
          offset: int = 0, backbone: str = 'transformer',
          **changes: object) -> nn.Module:
    torch.manual_seed(1)
    preprocessor = dict(type='mmpose_ext.LisbetPreprocessor', keypoints=3,
                        features=features, missing=missing, body_axis=(2, 0))
    width = MODELS.build(preprocessor).feature_dim
    return MODELS.build(dict(
        type='mmpose_ext.LisbetModel', data_preprocessor=preprocessor,
        backbone={**BACKBONES[backbone], 'in_channels': width, **changes},
        window_offset=offset)).eval()


def with_gaps(frames: int = 300) -> np.ndarray:
    """(T, 2, 3, 2), 8 % of the points missing, an animal away for a while."""
    tracks = make_store((frames, )).record(0).copy()
    generator = np.random.default_rng(5)
    tracks[generator.random(tracks.shape[:3]) < .08] = np.nan
    tracks[40:60, 1] = np.nan
    return tracks


def one_by_one(model: nn.Module, tracks: np.ndarray,
               shape: WindowShape) -> np.ndarray:
    """Embeddings of windows that are cut and embedded one at a time."""
    padded = np.concatenate([tracks, np.full_like(tracks[:1], np.nan)])
    begin, end = np.array([0]), np.array([len(tracks)])
    found = []
    for frame in range(len(tracks)):
        rows = window_rows(np.array([frame]), begin, end, shape)
        valid = valid_range(np.array([frame]), begin, end, shape)
        windows = gather(padded, rows, zero_padding=shape.padding == 'zero')
        found.append(embed_windows(model, torch.from_numpy(windows),
                                   torch.from_numpy(valid)).numpy())
    return np.concatenate(found)


def embed(streamer: LisbetStreamer, tracks: np.ndarray,
          mode: str = 'exact', stride: int = 1) -> np.ndarray:
    """All embeddings (T, D) of a record."""
    return np.concatenate(list(streamer.embeddings(tracks, mode, stride)))


def cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine (T,) of embeddings, each less the mean."""
    middle = other.mean(0)
    one, other = one - middle, other - middle
    return (one * other).sum(1) / np.sqrt(
        (one**2).sum(1) * (other**2).sum(1))


@pytest.mark.parametrize('padding', PADDINGS)
@pytest.mark.parametrize('offset, missing', [(0, 'mask'), (9, 'zero'),
                                             (23, 'mask')])
def test_exact_is_what_each_window_gives(
        monkeypatch: pytest.MonkeyPatch, padding: str, offset: int,
        missing: str) -> None:
    # several blocks, and a last one that is short
    monkeypatch.setattr(inference, '_BLOCK', 50)
    shape = WindowShape(24, offset, padding)
    model, tracks = build(missing=missing, offset=offset), with_gaps(130)
    found = embed(LisbetStreamer(model, shape, 16), tracks)
    assert np.allclose(found, one_by_one(model, tracks, shape), atol=2e-6)


def test_record_shorter_than_a_window() -> None:
    shape = WindowShape(24, 5)
    model, tracks = build(offset=5), with_gaps(80)[:7]
    streamer = LisbetStreamer(model, shape)
    assert np.allclose(embed(streamer, tracks),
                       one_by_one(model, tracks, shape), atol=2e-6)
    for mode in ('strided', 'dense'):
        assert embed(streamer, tracks, mode, 4).shape == (7, 16)
    assert embed(streamer, tracks[:1]).shape == (1, 16)


class Centred(nn.Module):
    """Sees each window from its own mean, so frames cannot be shared."""

    def forward(self, data: dict, training: bool = False) -> dict:
        windows = data['inputs'].nan_to_num(0.)
        return dict(inputs=(windows - windows.mean(1, keepdim=True)
                            ).flatten(2))


def test_features_that_depend_on_the_window_are_found_out() -> None:
    shape = WindowShape(24)
    model, tracks = build(('raw', )), with_gaps(90)
    model.data_preprocessor = Centred()
    streamer = LisbetStreamer(model, shape)
    assert np.allclose(embed(streamer, tracks),
                       one_by_one(model, tracks, shape), atol=2e-6)
    assert list(streamer._first_frames.values()) == [None]


def test_every_frame_is_counted_once_in_any_mode(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, '_BLOCK', 64)
    model = build()
    streamer = LisbetStreamer(model, WindowShape(24), 8)
    for frames in (24, 25, 63, 64, 65, 131):
        tracks = with_gaps(140)[:frames]
        for mode, stride in (('exact', 1), ('strided', 1), ('strided', 7),
                             ('strided', 500), ('dense', 1)):
            found = embed(streamer, tracks, mode, stride)
            assert found.shape == (frames, 16), (mode, stride)
            assert np.isfinite(found).all()


def test_strided_is_exact_at_its_frames_and_straight_between() -> None:
    shape = WindowShape(24, 4)
    streamer = LisbetStreamer(build(offset=4), shape)
    tracks = with_gaps(101)
    exact = embed(streamer, tracks)
    found = embed(streamer, tracks, 'strided', 5)
    assert np.allclose(found[::5], exact[::5], atol=2e-6)
    assert np.allclose(found[-1], exact[-1], atol=2e-6)
    for feature in range(16):
        assert np.allclose(found[:, feature], np.interp(
            np.arange(101), np.arange(0, 101, 5), exact[::5, feature]),
            atol=1e-5)


def test_approximations_agree_with_the_exact_mode() -> None:
    # of random weights: what a network has learnt varies less from frame to
    # frame
    shape = WindowShape(24, 12)
    streamer = LisbetStreamer(build(offset=12), shape)
    tracks = make_store((600, )).record(0)
    exact = embed(streamer, tracks)
    agreement = {
        (mode, stride): float(np.median(cosine(
            embed(streamer, tracks, mode, stride), exact)))
        for mode, stride in (('strided', 2), ('strided', 6), ('dense', 1))}
    assert agreement['strided', 2] > .999
    assert agreement['strided', 6] > .99
    assert agreement['strided', 2] > agreement['strided', 6]
    assert agreement['dense', 1] > .75


def test_one_pass_is_exact_for_a_network_that_sees_no_further(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, '_BLOCK', 64)
    # two blocks of two convolutions of 3: 12 frames back
    model = build(('raw', ), backbone='tcn')
    streamer = LisbetStreamer(model, WindowShape(24))
    tracks = with_gaps(150)
    exact = embed(streamer, tracks)
    assert np.allclose(embed(streamer, tracks, 'causal'), exact, atol=1e-5)


def test_one_pass_of_an_lstm_is_near() -> None:
    model = build(('raw', ), backbone='lstm')
    streamer = LisbetStreamer(model, WindowShape(24))
    tracks = make_store((300, )).record(0)
    found = embed(streamer, tracks, 'causal')
    assert np.median(cosine(found, embed(streamer, tracks))) > .99


def test_one_pass_needs_a_network_that_looks_back() -> None:
    streamer = LisbetStreamer(build(), WindowShape(24))
    with pytest.raises(ValueError, match='looks back only'):
        embed(streamer, with_gaps(30), 'causal')
    with pytest.raises(ValueError, match='mode: expected'):
        embed(streamer, with_gaps(30), 'fast')


def test_windows_of_another_frame_rate_are_cut_by_the_ground() -> None:
    store = make_store((90, 70))
    shape = WindowShape(24, 3)
    model = build(offset=3)
    ground = WindowGround(store.subset([1]), shape, False, np.array([.5]))

    def cut(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        anchors = ground.locate(frames)
        return ground.cut(anchors), ground.valid(anchors)

    streamer = LisbetStreamer(model, shape, 16)
    found = np.concatenate(list(streamer.embeddings_by(cut, 70)))
    windows, valid = cut(np.arange(70))
    wanted = embed_windows(model, torch.from_numpy(windows),
                           torch.from_numpy(valid))
    assert np.allclose(found, wanted, atol=2e-6)
    strided = np.concatenate(list(streamer.embeddings_by(cut, 70, 3)))
    assert np.allclose(strided[::3], found[::3], atol=2e-6)


class Watched:
    """An array that counts the frames it gives out at a time."""

    def __init__(self, tracks: np.ndarray) -> None:
        self.tracks, self.largest = tracks, 0
        self.shape = tracks.shape

    def __len__(self) -> int:
        return len(self.tracks)

    def __getitem__(self, part: slice) -> np.ndarray:
        self.largest = max(self.largest, part.stop - part.start)
        return self.tracks[part]


@pytest.mark.parametrize('mode', ['exact', 'strided', 'dense'])
def test_no_more_than_a_block_is_held(monkeypatch: pytest.MonkeyPatch,
                                      mode: str) -> None:
    monkeypatch.setattr(inference, '_BLOCK', 100)
    watched = Watched(make_store((3000, )).record(0))
    streamer = LisbetStreamer(build(), WindowShape(24), 4)
    blocks: Iterator[np.ndarray] = streamer.embeddings(watched, mode, 3)
    assert sum(len(block) for block in blocks) == 3000
    assert watched.largest <= 100 + 24
