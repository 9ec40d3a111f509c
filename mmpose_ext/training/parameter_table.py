"""What trains, and how fast: a table of a model's stages."""
from __future__ import annotations

from collections.abc import Iterable
from io import StringIO

from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import nn

from mmpose_ext.training.stages import bare_model, find_stages


def parameter_table(model: nn.Module, optim_wrapper: OptimWrapper) -> str:
    """Describe the stages of a model and what the optimiser does to them.

    Args:
        model (nn.Module): An estimator, wrapped for several processes or not.
        optim_wrapper (OptimWrapper): It need not hold every parameter.

    Returns:
        str: A line a stage: tensors, parameters, how many of these train,
        learning rate before any schedule, weight decay. Different values in
        one stage are given as a range, '-' stands for none.
    """
    parameters = dict(bare_model(model).named_parameters())
    group_of = {
        id(parameter): group
        for group in optim_wrapper.param_groups
        for parameter in group['params']
    }
    rows = []
    for stage in find_stages(model):
        members = [parameters[name] for name in stage.parameters]
        groups = [group_of[id(p)] for p in members if id(p) in group_of]
        rows.append([
            stage.name, *_counts(members),
            _range(group.get('initial_lr', group['lr']) for group in groups),
            _range(group.get('weight_decay', 0.) for group in groups)
        ])
    rows.append(['all', *_counts(parameters.values()), '', ''])
    return text_table(
        ('stage', 'tensors', 'parameters', 'trainable', 'LR', 'decay'), rows)


def log_parameter_table(runner: Runner, title: str) -> None:
    """Log the table of a runner's model.

    Args:
        runner (Runner): Its optimiser is built.
        title (str): The line above the table.
    """
    table = parameter_table(runner.model, runner.optim_wrapper)
    runner.logger.info(f'{title}\n{table}')


def text_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay out a table as text; all columns but the first to the right.

    Args:
        header (Iterable[str]): Titles of the columns.
        rows (Iterable[Iterable[str]]): As many cells each.

    Returns:
        str: The lines, without one at the end.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(header):
        table.add_column(
            title, justify='right' if number else 'left', no_wrap=True)
    for row in rows:
        table.add_row(*row)
    stream = StringIO()
    Console(file=stream, width=200, color_system=None, markup=False,
            emoji=False).print(table)
    lines = (line.rstrip() for line in stream.getvalue().splitlines())
    return '\n'.join(line for line in lines if line)


def _counts(parameters: Iterable[nn.Parameter]) -> tuple[str, str, str]:
    """Tensors, parameters, and those of them that train."""
    sizes = [(p.numel(), p.requires_grad) for p in parameters]
    return (str(len(sizes)), f'{sum(size for size, _ in sizes):,}',
            f'{sum(size for size, trains in sizes if trains):,}')


def _range(values: Iterable[float]) -> str:
    different = sorted(set(values))
    if not different:
        return '-'
    return ' to '.join(f'{value:.3g}' for value in dict.fromkeys(
        (different[0], different[-1])))
