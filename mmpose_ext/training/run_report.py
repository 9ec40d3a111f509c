"""What the reports about a training are made of, whatever the family."""
from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner, load_checkpoint
from torch import nn

from mmpose_ext.storage import atomic_file
from mmpose_ext.training.stages import bare_model


def try_to_write(runner: Runner, name: str,
                 write: Callable[[Path], None]) -> None:
    """Write a file of the work directory; a failure becomes a warning.

    A training is never lost by its report.

    Args:
        runner (Runner): Of the training.
        name (str): Of the file.
        write (Callable): Writes it at a path.
    """
    path = Path(runner.work_dir) / name
    try:
        write(path)
    except Exception as error:
        runner.logger.warning(f'{path} was not written: '
                              f'{type(error).__name__}: {error}')


def best_model(runner: Runner) -> tuple[Any, str]:
    """Copy of the model with the best weights, and what they are.

    The best checkpoint is taken, else the last one, else what the model
    holds. The first two have the averaged weights, if there are any.
    """
    model = copy.deepcopy(bare_model(runner.model)).eval()
    for key, name in (('best_ckpt', 'best'), ('last_ckpt', 'last')):
        path = runner.message_hub.get_info(key)
        if path and Path(path).is_file():
            load_checkpoint(model, path, map_location='cpu', strict=True)
            return model, f'{name} checkpoint, {Path(path).name}'
    return model, 'at the end of training'


def evaluate_model(runner: Runner, model: Any) -> None:
    """Evaluate a model on the validation data; all processes take part.

    The metrics of the Runner's evaluator then hold its figures.
    """
    loader, evaluator = runner.val_dataloader, runner.val_evaluator
    with torch.no_grad():
        for batch in loader:
            evaluator.process(
                data_samples=model.val_step(batch), data_batch=batch)
    evaluator.evaluate(len(loader.dataset))


def write_weights(model: nn.Module, path: Path) -> None:
    """Write the state dict alone, which loads with ``weights_only``."""
    state = {name: value.cpu() for name, value in model.state_dict().items()}
    with atomic_file(path) as temporary:
        torch.save(state, temporary)


def read_report(path: Path) -> dict[str, Any]:
    """The report so far; {} if there is none that can be read."""
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}
