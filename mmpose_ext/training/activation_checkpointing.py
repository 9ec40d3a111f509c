"""Less memory for a training step: blocks that are run a second time.

Instead of keeping all that a block computes until the backward pass, its
inputs are kept, and the block runs once more when its turn comes.
"""
from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError, close_matches
from mmpose_ext.training.phases import config_name
from mmpose_ext.training.stages import bare_model

LISTS = ('blocks', 'layers')


@HOOKS.register_module()
class ActivationCheckpointHook(Hook):
    """Runs blocks of the model a second time, to save memory.

    Results are those without it, to the bit on one device: the second run
    draws the same random numbers and finds buffers (running statistics,
    vectors of a power iteration) as the first one did, and leaves them as
    the first one left them. MMEngine's own setting
    ``activation_checkpointing`` passes positional arguments alone and gives
    no gradient to a block behind frozen ones; this one does neither harm.

    Blocks are the members of lists (``nn.ModuleList``) called ``blocks`` or
    ``layers``. Passes without gradients, evaluation among them, are left as
    they are, and so are blocks that no gradient reaches, those of a frozen
    prefix.

    Args:
        ratio (float, optional): Share of the blocks of each list, spread
            evenly. Defaults to None: 1 without patterns, else only the
            patterns count.
        patterns (Sequence[str]): Regular expressions; blocks whose whole
            dotted name one matches are taken. Defaults to ().
        lists (Sequence[str]): Names of the lists. Defaults to ('blocks',
            'layers').

    Example:
        >>> custom_hooks = [dict(
        >>>     type='mmpose_ext.ActivationCheckpointHook', ratio=.5)]
        >>> custom_hooks = [dict(
        >>>     type='mmpose_ext.ActivationCheckpointHook',
        >>>     patterns=[r'backbone\\.layers\\.(1[2-9]|2\\d)'])]
    """

    # before copies of the model are made
    priority = 'VERY_HIGH'

    def __init__(self,
                 ratio: float | None = None,
                 patterns: Sequence[str] = (),
                 lists: Sequence[str] = LISTS) -> None:
        if ratio is None and not patterns:
            ratio = 1.
        if ratio is not None and not 0 < ratio <= 1:
            raise DataError('config', 'ActivationCheckpointHook.ratio',
                            'more than 0, at most 1', repr(ratio))
        self.ratio = ratio
        self.patterns = [patterns] if isinstance(patterns, str) else patterns
        self.lists = tuple(lists)
        self._blocks: dict[str, nn.Module] = {}

    def before_run(self, runner: Runner) -> None:
        """Choose the blocks and let them run twice.

        Raises:
            DataError: If there are no blocks, or a pattern matches none.
        """
        self.remove()
        if runner.cfg.get('activation_checkpointing'):
            raise DataError(
                config_name(runner.cfg), 'activation_checkpointing',
                'one way to save memory', 'this setting and '
                'ActivationCheckpointHook', 'leave the setting out')
        model = bare_model(runner.model)
        self._blocks = select_blocks(model, self.ratio, self.patterns,
                                     self.lists, config_name(runner.cfg))
        for block in self._blocks.values():
            run_twice(block)
        count = len(find_blocks(model, self.lists))
        runner.logger.info(f'{len(self._blocks)} of {count} blocks run twice '
                           f'to save memory: {", ".join(self._blocks)}')

    def after_run(self, runner: Runner) -> None:
        """Let the blocks run once again."""
        self.remove()

    def remove(self) -> None:
        """Let the blocks run once again."""
        for block in self._blocks.values():
            run_once(block)
        self._blocks = {}


def find_blocks(model: nn.Module,
                lists: Sequence[str] = LISTS) -> dict[str, nn.Module]:
    """Blocks of a bare model by name: members of lists, not nested ones.

    Args:
        model (nn.Module): The model.
        lists (Sequence[str]): Names of the lists. Defaults to ('blocks',
            'layers').

    Returns:
        dict[str, nn.Module]: In the model's order. Single layers, which have
        no children, are none.
    """
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if not (isinstance(module, nn.ModuleList)
                and name.rpartition('.')[2] in lists):
            continue
        if any(name.startswith(f'{block}.') for block in found):
            continue  # what is in a block runs twice with it
        found.update({
            f'{name}.{number}': member
            for number, member in module.named_children()
            if any(True for _ in member.children())})
    return found


def select_blocks(model: nn.Module, ratio: float | None,
                  patterns: Sequence[str], lists: Sequence[str] = LISTS,
                  file: str = 'config') -> dict[str, nn.Module]:
    """Blocks by share and by name, see :class:`ActivationCheckpointHook`.

    Args:
        model (nn.Module): The bare model.
        ratio (float, optional): Share of each list.
        patterns (Sequence[str]): Regular expressions.
        lists (Sequence[str]): Names of the lists.
        file (str): The config, for the error.

    Raises:
        DataError: If there are no blocks, or a pattern is none or matches
            none.
    """
    where = 'ActivationCheckpointHook'
    blocks = find_blocks(model, lists)
    if not blocks:
        raise DataError(
            file, where, f'lists of blocks called {" or ".join(lists)}',
            'none in the model', 'name others by `lists`')
    chosen: set[str] = set()
    if ratio is not None:
        members: dict[str, list[str]] = {}
        for name in blocks:
            members.setdefault(name.rpartition('.')[0], []).append(name)
        for names in members.values():
            # the sum crosses a whole number at each that is taken
            chosen.update(
                name for number, name in enumerate(names)
                if int((number + 1) * ratio + 1e-9)
                > int(number * ratio + 1e-9))
    for number, pattern in enumerate(patterns):
        try:
            found = {name for name in blocks if re.fullmatch(pattern, name)}
        except re.error as error:
            raise DataError(file, f'{where}.patterns[{number}]',
                            'a regular expression',
                            f'{pattern!r}: {error}') from error
        if not found:
            raise DataError(
                file, f'{where}.patterns[{number}]', 'the name of a block',
                repr(pattern), close_matches(pattern, blocks)
                or f'blocks are {", ".join(blocks)}')
        chosen |= found
    if not chosen:
        raise DataError(
            file, f'{where}.ratio', 'a share that is a block at least',
            f'{ratio} of {len(blocks)}')
    return {name: block for name, block in blocks.items() if name in chosen}


def run_twice(block: nn.Module) -> None:
    """Change a module so that it keeps no activations.

    Its class is changed, not its ``forward``, so that deep copies are
    modules of their own.
    """
    kind = type(block)
    if not issubclass(kind, _RunTwice):
        block.__class__ = type(kind.__name__, (_RunTwice, kind), dict(
            __module__=kind.__module__, __qualname__=kind.__qualname__))


def run_once(block: nn.Module) -> None:
    """Undo :func:`run_twice`."""
    kinds = type(block).__bases__
    if kinds[:1] == (_RunTwice, ):
        block.__class__ = kinds[1]


class _RunTwice(nn.Module):
    """What a module inherits from first to run twice."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not (torch.is_grad_enabled() and (
                _wants_gradient((args, kwargs)) or any(
                    value.requires_grad for value in self.parameters()))):
            return super().forward(*args, **kwargs)
        return checkpoint(
            super().forward, *args, use_reentrant=False,
            context_fn=lambda: _same_buffers(self), **kwargs)


def _wants_gradient(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.requires_grad
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return any(_wants_gradient(part) for part in value)


def _same_buffers(module: nn.Module) -> tuple[Any, Any]:
    """Contexts of the first and of the second run."""
    before = [(owner, name, buffer.clone())
              for owner in module.modules()
              for name, buffer in owner.named_buffers(recurse=False)]
    return contextlib.nullcontext(), _with_buffers(before)


@contextlib.contextmanager
def _with_buffers(before: list[tuple[nn.Module, str, Tensor]]
                  ) -> Iterator[None]:
    """Give modules copies of buffers, for what the body does to them."""
    after = [owner._buffers[name] for owner, name, _ in before]
    for owner, name, buffer in before:
        owner._buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for (owner, name, _), original in zip(before, after, strict=True):
            owner._buffers[name] = original
