"""What a view costs, beside MMPose's own top-down pipeline."""
from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
from mmengine.config import Config
from mmengine.dataset import Compose

from mmpose_ext.registry import DATASETS
from mmpose_ext.storage import DataError
from mmpose_ext.training.config_check import find_settings
from mmpose_ext.training.loading import without_log
from mmpose_ext.training.stopwatch import measure_by_turns

MOST_SAMPLES = 256  # taken in turns


def compare_pipelines(config: Config, seconds: float = 5.) -> dict[str, Any]:
    """Measure the training's pipeline and MMPose's, in turns.

    Both read the same pictures and change them alike; MMPose's has
    ``TopdownAffine`` for the view and ``RegressionLabel`` for the targets,
    the cheapest of its codecs. Ours includes the look into the index and the
    checks of each file, MMPose's begins with its record at hand. Nothing is
    kept in a cache. One thread.

    Args:
        config (Config): Of a training of this family.
        seconds (float): About how long to measure each. Defaults to 5.

    Returns:
        dict: ``ours`` and ``stock``, each the rates that
        :func:`~mmpose_ext.training.stopwatch.measure_by_turns` gives, in
        samples; ``ratio``, ours over stock by CPU-seconds; and ``samples``,
        how many were taken in turns.

    Raises:
        DataError: If the config has no training data of this family.
    """
    dataset = _build(config)
    steps = dataset.pipeline.transforms
    stock = Compose(stock_steps(steps))
    count = min(len(dataset), MOST_SAMPLES)
    # spread over sequences and cameras, as a shuffled training is
    numbers = [row * len(dataset) // count for row in range(count)]
    records = [dataset.get_data_info(number) for number in numbers]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        rates = measure_by_turns(dict(
            ours=_cycle(dataset.prepare_data, numbers),
            stock=_cycle(lambda record: stock(copy.copy(record)), records)),
            dict(ours=1, stock=1), seconds)
    finally:
        cv2.setNumThreads(threads)
    ratio = rates['ours']['per_cpu_second'] / rates['stock']['per_cpu_second']
    return dict(rates, ratio=ratio, samples=count)


def stock_steps(steps: Sequence[Any]) -> list[Any]:
    """The same pipeline of MMPose's own parts.

    What changes the picture alone stays.

    Args:
        steps (Sequence): Transforms of a training of this family.

    Returns:
        list: Transforms, and settings of those that take another's place.
    """
    size = next(step.input_size for step in steps
                if type(step).__name__ == 'HandObjectTopdownView')
    instead = dict(
        HandObjectTopdownView=dict(type='TopdownAffine', input_size=size),
        GenerateTarget=dict(type='GenerateTarget', encoder=dict(
            type='RegressionLabel', input_size=size)),
        HandObjectPackInputs=dict(type='PackPoseInputs'))
    return [_stock_box(step) if type(step).__name__ == (
        'HandObjectRandomBBoxTransform') else instead.get(
            type(step).__name__, step) for step in steps]


def _stock_box(step: Any) -> dict[str, Any]:
    """MMPose's own, with the same settings."""
    return dict(vars(step), type='RandomBBoxTransform')


def _build(config: Config) -> Any:
    """The data set of the training, without a cache."""
    place = 'train_dataloader'
    for _, settings in find_settings(
            config.get(place), place, lambda part: str(
                part.get('type')).split('.')[-1] == 'HandObjectDataset'):
        with without_log():
            return DATASETS.build({**settings, 'cache': None})
    raise DataError(config.filename, place, 'a mmpose_ext.HandObjectDataset',
                    'none')


def _cycle(call: Callable[[Any], Any],
           items: Sequence[Any]) -> Callable[[], None]:
    """A function that calls another with each item in turns, for ever."""
    endless = itertools.cycle(items)

    def step() -> None:
        call(next(endless))

    return step
