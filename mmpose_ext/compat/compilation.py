"""What ``compile`` in a config compiles: the networks.

MMEngine compiles ``train_step`` as a whole: with it what takes data samples
apart, whose values change with every batch, and the optimizer, whose rate
does. torch 2.13 fails inside of Adam then, for a group that is no plain dict.
"""
from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def compile_networks_alone() -> None:
    """Let MMEngine's Runner compile networks in place of ``train_step``."""
    Runner._maybe_compile = _compile_networks


def _compile_networks(runner: Runner, target: str) -> None:
    """Compile the parts of a model that map tensors to tensors.

    They are its backbone, its neck and its head, as far as others call them
    and not their ``forward``. Checkpoints do not change. What was compiled
    before stays so.

    Args:
        runner (Runner): ``compile`` in its config is True, or a dict of
            arguments for ``torch.compile``.
        target (str): ``train_step``, by which MMEngine asks.

    Raises:
        ValueError: If torch does not take the arguments.
    """
    settings = runner.cfg.get('compile')
    if settings is None or settings is False:
        return
    settings = {} if settings is True else settings
    model = runner.model.module if is_model_wrapper(
        runner.model) else runner.model
    names = [
        name for name, part in model.named_children()
        if name != 'data_preprocessor' and any(True for _ in part.parameters())
        and not isinstance(part, (nn.ModuleDict, nn.ModuleList))]
    for name in names:
        _compile(model.get_submodule(name), settings)
    runner.logger.info(f'{", ".join(names)} will be compiled: the first '
                       'steps take longer.')


def _compile(part: Any, settings: Any) -> None:
    from torch._dynamo import list_backends
    from torch._dynamo.exc import InvalidBackend
    try:
        part.compile(**settings)
    except InvalidBackend as error:
        raise ValueError(
            f'compile.backend: expected one of {", ".join(list_backends())}, '
            f'found {settings["backend"]!r}') from error
    except TypeError as error:
        raise ValueError(
            'compile: expected True, or arguments of torch.compile, found '
            f'{settings!r}: {str(error).split(") ")[-1]}') from error
