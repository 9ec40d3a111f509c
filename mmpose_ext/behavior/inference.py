"""Embeddings and classes of whole recordings, in blocks of flat memory.

Every frame owns a window, and the windows of neighbours overlap in all but
one frame. What a network does to each frame by itself is therefore done once a
frame, and windows are views into the result.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmpose_ext.behavior.estimator import LisbetModel
from mmpose_ext.behavior.windows import WindowShape, fold_rows
from mmpose_ext.registry import MODELS
from mmpose_ext.storage import DataError
from mmpose_ext.training import load_whole

Array = np.ndarray
Forward = Callable[[Tensor], Tensor]
Cut = Callable[[Array], tuple[Array, Array]]

MODES = ('exact', 'strided', 'dense', 'causal')
_BLOCK = 4096  # frames whose features are held at a time
_PROBE_WINDOWS = 7  # from which is told whether features go by frame


@dataclass(frozen=True, eq=False)
class Strip:
    """Frames of a record one after another, padding included.

    Attributes:
        frames: (L, N, K, S) float32, NaN missing.
        valid: (1, 2) first and last + 1 frame that the record has.
    """

    frames: Tensor
    valid: Tensor


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """Features of frames that stand in many windows.

    Attributes:
        whole: (L, F) with the frame before at hand.
        first: (L, F) as the first frame of a window; None if that is the
            same.
    """

    whole: Tensor
    first: Tensor | None


class LisbetStreamer:
    """Runs a trained network over recordings of any length.

    Modes:

    * ``exact``: one window a frame, as in training.
    * ``strided``: the window of every `stride`-th frame, and of the last one;
      between them a straight line. An approximation.
    * ``dense``: half-overlapping windows, of which all tokens are used and
      blended. An approximation: a frame sees other neighbours than in its own
      window.
    * ``causal``: one pass, for networks that look back only (LSTM, TCN).
      Exact where they see no further back than a window.

    Args:
        model (nn.Module): A ``LisbetModel`` in evaluation mode: its
            ``data_preprocessor`` makes features (M, W, F) of windows (M, W,
            N, K, S), its ``backbone`` tokens (M, W, D) of these.
        shape (WindowShape): Size, offset and padding of a window.
        batch_size (int): Windows in a forward pass. Defaults to 32, which
            leaves what they need in a CPU's cache; a GPU likes 1024.
    """

    def __init__(self, model: nn.Module, shape: WindowShape,
                 batch_size: int = 32) -> None:
        # Any: what torch says of a module's parts fits none of them
        self.model: Any = model
        self.shape = shape
        self.batch_size = batch_size
        parameter = next(model.parameters(), torch.zeros(()))
        self.device = parameter.device
        self._first_frames: dict[tuple[int, ...], int | None] = {}

    def embeddings(self, tracks: Array, mode: str = 'exact',
                   stride: int = 1) -> Iterator[Array]:
        """Embed every frame of a record.

        Args:
            tracks (ndarray): (T, N, K, S) float32, scaled as in training,
                NaN missing; may lie on the disk.
            mode (str): One of :data:`MODES`. Defaults to ``exact``.
            stride (int): Of ``strided``. Defaults to 1.

        Yields:
            ndarray: (t, D) float32, T rows in all.

        Raises:
            ValueError: If the mode is not known, or not fit for the network.
        """
        if mode not in MODES:
            raise ValueError(f'mode: expected one of {MODES}, found {mode!r}')
        if mode == 'exact' or (mode == 'strided' and stride == 1):
            return self._windowed(tracks, np.arange(len(tracks)))
        if mode == 'strided':
            return self._strided(tracks, stride)
        return self._dense(tracks) if mode == 'dense' else self._causal(
            tracks)

    def embeddings_by(self, cut: Cut, count: int,
                      stride: int = 1) -> Iterator[Array]:
        """Embed every frame of a record whose windows somebody else cuts.

        Windows of another frame rate share no frames, so that each is made by
        itself.

        Args:
            cut (Callable): Frame numbers (M,) to windows (M, W, N, K, S) and
                the positions (M, 2) that are no padding.
            count (int): T.
            stride (int): Frames from one window to the next; between them
                goes a straight line. Defaults to 1.

        Yields:
            ndarray: (t, D) float32, T rows in all.
        """
        frames = _every(count, stride)

        def blocks() -> Iterator[Array]:
            for at in range(0, len(frames), self.batch_size):
                windows, valid = cut(frames[at:at + self.batch_size])
                with torch.inference_mode():
                    features = self._preprocess(
                        torch.from_numpy(windows).to(self.device),
                        torch.from_numpy(valid))
                    yield self._embed(features).float().cpu().numpy()

        return blocks() if stride == 1 else _spread(blocks(), frames)

    def _embed(self, features: Tensor) -> Tensor:
        backbone = self.model.backbone
        if hasattr(backbone, 'forward_token'):
            # its last layer works on one token only
            token: Tensor = backbone.forward_token(features,
                                                   self.shape.token)
            return token
        tokens: Tensor = backbone(features)[-1]
        return tokens[:, self.shape.token]

    def _windowed(self, tracks: Array, frames: Array) -> Iterator[Array]:
        """Embeddings of some frames, evenly spaced, in blocks."""
        stride = int(frames[1] - frames[0]) if len(frames) > 1 else 1
        per_block = max(_BLOCK // stride, 1)
        for begin in range(0, len(frames), per_block):
            owners = frames[begin:begin + per_block]
            strip = self._strip(tracks, int(owners[0]), int(owners[-1]) + 1)
            yield self._run(strip, owners - owners[0], self._embed)

    @torch.inference_mode()
    def _run(self, strip: Strip, starts: Array, forward: Forward) -> Array:
        """What a forward pass makes of the windows that begin at `starts`."""
        size = self.shape.size
        features = self._features(strip)
        parts = []
        for at in range(0, len(starts), self.batch_size):
            some = starts[at:at + self.batch_size]
            if features is None:
                valid = (strip.valid - torch.as_tensor(some)[:, None]).clamp(
                    0, size)
                windows = self._preprocess(
                    _views(strip.frames, some, size), valid)
            else:
                windows = _views(features.whole, some, size)
                if features.first is not None:
                    windows = windows.clone()
                    windows[:, 0] = features.first[torch.as_tensor(some)]
            parts.append(forward(windows).float().cpu().numpy())
        return np.concatenate(parts)

    def _strip(self, tracks: Array, start: int, stop: int) -> Strip:
        """The frames that the windows of start ... stop - 1 see."""
        shape, count = self.shape, len(tracks)
        places = np.arange(start - shape.token, stop + shape.offset)
        # the whole record is one range of rows, so each row folds by itself
        rows = fold_rows(places[None].copy(), np.array([0]),
                         np.array([count]), shape.padding)[0]
        low, high = max(int(rows.min()), 0), int(rows.max()) + 1
        # one read of what lies together, also from a disk
        near = np.array(tracks[low:high], np.float32)
        frames = near[np.maximum(rows - low, 0)]
        frames[rows < 0] = 0 if shape.padding == 'zero' else np.nan
        valid = np.clip([[-places[0], count - places[0]]], 0, len(places))
        return Strip(torch.from_numpy(frames).to(self.device),
                     torch.from_numpy(valid))

    def _preprocess(self, windows: Tensor, valid: Tensor) -> Tensor:
        """Features (M, W, F) of windows (M, W, N, K, S)."""
        data = self.model.data_preprocessor(
            dict(inputs=windows, data_samples=None,
                 valid=valid.to(self.device)), False)
        features: Tensor = data['inputs']
        return features

    def _features(self, strip: Strip) -> FrameFeatures | None:
        """Features of frames; None if they depend on the window."""
        frames = strip.frames
        layout = tuple(frames.shape[1:])
        if layout not in self._first_frames:
            self._first_frames[layout] = self._count_first_frames(layout)
        kind = self._first_frames[layout]
        if kind is None:
            return None
        whole = self._preprocess(frames[None], strip.valid)[0]
        if not kind:
            return FrameFeatures(whole, None)
        places = torch.arange(len(frames))[:, None]
        valid = (strip.valid - places).clamp(0, 1)
        return FrameFeatures(whole,
                             self._preprocess(frames[:, None], valid)[:, 0])

    def _count_first_frames(self, layout: tuple[int, ...]) -> int | None:
        """How many frames of a window have other features there.

        0: a frame's features are the same in each of its windows. 1: but for
        the first frame, which has none before it to tell a velocity. None:
        they depend on the window, as where its gaps are filled. Tried, and
        not assumed.
        """
        size = self.shape.size
        generator = torch.Generator().manual_seed(0)
        count = size + _PROBE_WINDOWS - 1
        frames = torch.rand((count, *layout), generator=generator)
        frames[torch.rand(frames.shape[:-1], generator=generator) < .3] = (
            torch.nan)
        frames[size // 3:size // 2] = torch.nan
        frames = frames.to(self.device)
        starts = np.arange(_PROBE_WINDOWS)
        alone = self._preprocess(
            _views(frames, starts, size).clone(),
            torch.tensor([[0, size]] * _PROBE_WINDOWS))
        try:
            whole = self._preprocess(frames[None], torch.tensor(
                [[0, count]]))[0]
            first = self._preprocess(
                frames[:, None], torch.tensor([[0, 1]] * count))[:, 0]
        except (RuntimeError, ValueError):  # made for one length only
            return None
        windows = _views(whole, starts, size)
        for skipped in (0, 1):
            if windows.shape == alone.shape and torch.allclose(
                    alone[:, skipped:], windows[:, skipped:], atol=1e-5):
                break
        else:
            return None
        if skipped and not torch.allclose(
                alone[:, 0], first[:_PROBE_WINDOWS], atol=1e-5):
            return None
        return skipped

    def _strided(self, tracks: Array, stride: int) -> Iterator[Array]:
        frames = _every(len(tracks), stride)
        return _spread(self._windowed(tracks, frames), frames)

    @torch.inference_mode()
    def _dense(self, tracks: Array) -> Iterator[Array]:
        """Blend the tokens of windows that overlap by half."""
        shape, count = self.shape, len(tracks)
        size = shape.size
        step = max(size // 2, 1)
        weights = 1 - np.abs(np.arange(size) - (size - 1) / 2) / (size / 2)
        weights = weights.astype(np.float32)[:, None] + 1e-3
        # of the frames from `done` on
        done, total, weight = 0, None, None
        begins = np.arange(-step, count, step)
        for at in range(0, len(begins), self.batch_size):
            some = begins[at:at + self.batch_size]
            first, last = int(some[0]), int(some[-1])
            strip = self._strip(tracks, first + shape.token,
                                last + shape.token + 1)
            tokens = self._run(strip, some - first,
                               lambda x: self.model.backbone(x)[-1])
            width = last + size - done
            if total is None or weight is None:
                total = np.zeros((0, tokens.shape[-1]), np.float32)
                weight = np.zeros((0, 1), np.float32)
            total = np.pad(total, ((0, width - len(total)), (0, 0)))
            weight = np.pad(weight, ((0, width - len(weight)), (0, 0)))
            for begin, values in zip(some, tokens, strict=True):
                skip = max(-int(begin), 0)
                place = slice(int(begin) + skip - done,
                              int(begin) + size - done)
                total[place] += values[skip:] * weights[skip:]
                weight[place] += weights[skip:]
            ready = min(last + step, count) - done
            if at + self.batch_size >= len(begins):
                ready = count - done
            yield total[:ready] / weight[:ready]
            total, weight = total[ready:], weight[ready:]
            done += ready

    @torch.inference_mode()
    def _causal(self, tracks: Array) -> Iterator[Array]:
        """One pass over long stretches that begin a window early."""
        if not getattr(self.model.backbone, 'causal', False):
            raise ValueError(
                "mode 'causal': expected a network that looks back only, "
                f'found {type(self.model.backbone).__name__}')
        token = self.shape.token
        for start in range(0, len(tracks), _BLOCK):
            stop = min(start + _BLOCK, len(tracks))
            strip = self._strip(tracks, start, stop)
            tokens = self.model.backbone(self._preprocess(
                strip.frames[None], strip.valid))[-1]
            yield tokens[0, token:token + stop - start].float().cpu().numpy()


def _every(count: int, stride: int) -> Array:
    """Every `stride`-th of `count` frames, and the last one."""
    return np.unique(np.append(np.arange(0, count, stride), count - 1))


def _views(strip: Tensor, starts: Array, size: int) -> Tensor:
    """Windows (M, size, ...) that begin at `starts`, without copying."""
    step = int(starts[1] - starts[0]) if len(starts) > 1 else 1
    if (np.diff(starts) != step).any():  # the last frame is out of step
        places = torch.as_tensor(starts[:, None] + np.arange(size))
        return strip[places]
    first, *others = strip.stride()
    return strip.as_strided(
        (len(starts), size, *strip.shape[1:]),
        (first * step, first, *others),
        strip.storage_offset() + int(starts[0]) * first)


def _spread(blocks: Iterator[Array], frames: Array) -> Iterator[Array]:
    """Values at some frames turned into values at every frame.

    Args:
        blocks (Iterator[ndarray]): (n, D), one row for each of `frames`.
        frames (ndarray): Rising, from 0 to the last.

    Yields:
        ndarray: (t, D) float32.
    """
    kept: Array | None = None
    place = 0  # of the first kept value among `frames`
    for block in blocks:
        values = block if kept is None else np.concatenate([kept, block])
        known = frames[place:place + len(values)]
        place += len(values) - 1
        last = place == len(frames) - 1
        targets = np.arange(known[0], known[-1] + last)
        if len(known) == 1:
            yield values[[0] * len(targets)]
        else:
            right = np.clip(np.searchsorted(known, targets, 'right'), 1,
                            len(known) - 1)
            gap = known[right] - known[right - 1]
            share = ((targets - known[right - 1]) / gap)[:, None]
            yield ((1 - share) * values[right - 1]
                   + share * values[right]).astype(np.float32)
        kept = values[-1:]


def load_model(config: Config, checkpoint: str | Path,
               device: torch.device) -> tuple[LisbetModel, dict[str, Any]]:
    """Build a config's model with the weights of a checkpoint.

    Args:
        config (Config): Of a training.
        checkpoint (str | Path): Its checkpoint, or weights alone.
        device (torch.device): Where to run.

    Returns:
        tuple: The model in evaluation mode, and the metainfo of what it was
        trained on, {} where the checkpoint has none.

    Raises:
        DataError: If it is another kind of model, or the weights are.
    """
    model = MODELS.build(config.model)
    if not isinstance(model, LisbetModel):
        raise DataError(config.filename or 'config', 'model.type',
                        'mmpose_ext.LisbetModel', type(model).__name__)
    loaded = load_whole(model, checkpoint, config)
    meta = loaded.get('meta') if isinstance(loaded, dict) else None
    known = meta.get('dataset_meta') if isinstance(meta, dict) else None
    return model.to(device).eval(), dict(known or {})
