"""A trained model and records, ready to predict frame by frame."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from mmpose_ext.behavior.inference import MODES, LisbetStreamer
from mmpose_ext.behavior.recordings import Recordings
from mmpose_ext.storage import DataError

Array = np.ndarray

EXACT, STRIDED = 'exact', 'strided'


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model with what is known of its training.

    Attributes:
        model: In evaluation mode, on its device.
        meta: Metainfo of what it was trained on; {} if unknown.
        config: Of the training.
        checkpoint: Its weights, for errors.
    """

    model: nn.Module
    meta: dict[str, Any]
    config: Config
    checkpoint: Path

    @property
    def head(self) -> Any:
        """The head that tells behaviours; None where there is none."""
        return find_frame_head(self.model)

    @property
    def config_name(self) -> str:
        """What errors call the config."""
        return self.config.filename or 'config'


@dataclass(frozen=True, eq=False)
class RecordPredictor:
    """What embeds the frames of records and tells their behaviours.

    Attributes:
        recordings: What is read.
        streamer: What embeds.
        head: What tells behaviours; None of a model that does not.
        classes: Their names.
        mode: One of :data:`~mmpose_ext.behavior.inference.MODES`.
        stride: Of ``strided``.
    """

    recordings: Recordings
    streamer: LisbetStreamer
    head: Any
    classes: tuple[str, ...]
    mode: str
    stride: int

    @classmethod
    def prepare(cls, trained: TrainedModel, recordings: Recordings,
                mode: str = EXACT, stride: int = 1,
                batch_size: int | None = None) -> RecordPredictor:
        """Join what was opened.

        Args:
            trained (TrainedModel): The model.
            recordings (Recordings): What it is to read.
            mode (str): See ``LisbetStreamer``. Defaults to ``exact``.
            stride (int): Of ``strided``. Defaults to 1.
            batch_size (int, optional): Windows at a time. Defaults to None:
                32, or 1024 on a GPU.

        Raises:
            DataError: If the parts do not fit together.
        """
        shape, source = recordings.shape, recordings.store.source
        backbone: Any = trained.model.backbone
        offset = getattr(trained.model, 'window_offset', shape.offset)
        if offset != shape.offset:
            raise DataError(
                trained.config_name, 'window_offset',
                f'model.window_offset, {offset}, in the data set too',
                str(shape.offset))
        if mode not in MODES:
            raise DataError(source, 'mode', f'one of {", ".join(MODES)}',
                            repr(mode))
        if mode == 'causal' and not getattr(backbone, 'causal', False):
            raise DataError(
                trained.config_name, 'mode causal', 'a network that looks '
                'back only', type(backbone).__name__)
        if mode in ('dense', 'causal') and (recordings.factors != 1).any():
            raise DataError(
                source, f'mode {mode}', 'records at the frame rate of the '
                'model', f'{recordings.factors.max():g} times as many '
                'frames', 'use a stride')
        device = next(trained.model.parameters()).device
        head = trained.head
        return cls(
            recordings,
            LisbetStreamer(trained.model, shape, batch_size or (
                32 if device.type == 'cpu' else 1024)),
            head, () if head is None else name_classes(
                head, trained.meta, recordings, trained.checkpoint),
            mode, stride)

    @property
    def multilabel(self) -> bool:
        """Whether several behaviours may hold at once."""
        return self.head is not None and self.head.kind == 'multilabel'

    def embed(self, index: int) -> Iterator[Array]:
        """Embed every frame of a record.

        Args:
            index (int): Of the record.

        Yields:
            ndarray: (t, D) float32, as many rows as frames in all.
        """
        store = self.recordings.store
        if self.recordings.factors[index] != 1:
            return self.streamer.embeddings_by(
                self.recordings.cutter(index), int(store.lengths[index]),
                self.stride)
        return self.streamer.embeddings(store.record(index), self.mode,
                                        self.stride)

    @torch.inference_mode()
    def score(self, embeddings: Array) -> Array:
        """Class probabilities (t, C) of embeddings (t, D)."""
        parameter = next(self.head.parameters())
        logits = self.head.logits(torch.from_numpy(embeddings).to(parameter))
        scores = logits.sigmoid() if self.multilabel else logits.softmax(-1)
        return np.asarray(scores.float().cpu().numpy())


def find_frame_head(model: nn.Module) -> Any:
    """The head that tells behaviours; None where there is none."""
    heads = getattr(model, 'heads', None) or {}
    return next((head for head in heads.values()
                 if getattr(head, 'kind', None) in ('multiclass',
                                                    'multilabel')), None)


def name_classes(head: Any, meta: dict[str, Any], recordings: Recordings,
                 checkpoint: Path) -> tuple[str, ...]:
    """Names of a head's classes: the checkpoint's, else the data's.

    Raises:
        DataError: If neither has as many.
    """
    count = int(head.num_classes)
    for names in (meta.get('classes') or (), recordings.store.classes):
        if len(names) == count:
            return tuple(map(str, names))
    raise DataError(
        checkpoint, 'classes', f'names of the {count} classes of the model',
        f'{len(recordings.store.classes)} in the data, none that fit in the '
        'checkpoint', 'use a checkpoint of a training, or set classes in the '
        'data set')
