"""Behind the front doors in ``tools/``: find the family, let it do the work.

A family plugs in by having a module named after the command
(``mmpose_ext/<family>/predict.py``) with two functions::

    def add_arguments(parser: ArgumentParser) -> None: ...
    def run(config: Config, arguments: Namespace) -> int | None: ...

Commands that start from data instead of a config find their family so:

* ``verify_dataset --ann-file FILE``: its ``verify_dataset`` module has also
  ``accepts(path: Path) -> bool`` and ``run_file(path, arguments) -> int``;
* ``convert_dataset``: its ``convert`` module has ``CONVERTERS``, see
  :class:`Converter`;
* ``synthesize``: ``mmpose_ext/synthesis/<family>.py`` has ``write_world(out,
  seed, size)``.
"""
from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmpose_ext.families import family_module, family_names, family_of
from mmpose_ext.storage import DataError, check_file

USAGE_ERROR = 2


@dataclass(frozen=True)
class Converter:
    """One source format that a family can turn into its own.

    Attributes:
        help: One line for ``--help``.
        accepts: Whether an input's points are those of this family; decides
            between families that read the same format. May raise `DataError`.
        add_arguments: Adds the converter's own options.
        run: Converts; gets ``format``, ``input``, ``out`` (Path) and
            ``overwrite`` among its arguments.
    """

    help: str
    accepts: Callable[[Path], bool]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def run_command(command: str,
                description: str,
                argv: Sequence[str] | None = None,
                prog: str = '') -> int:
    """Run a command that starts from a config.

    Args:
        command (str): Name of the family's module.
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.
        prog (str): How it is called. Defaults to ``tools/<command>.py``.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    prog = prog or f'tools/{command}.py'
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='overrides of the config, key=value')
    # The family, and so the options, are known once the config is.
    path = _likely_config(argv)
    if path is None:
        parser.epilog = (
            'Further options depend on the family of CONFIG: '
            f'{prog} CONFIG --help lists them.')
        parser.parse_args(argv)
        parser.error('the config must be a .py file')
    try:
        # MMEngine's log would mix with results on the standard output.
        with contextlib.redirect_stdout(sys.stderr):
            config = Config.fromfile(path)
        family = family_of(config)
    except (OSError, SyntaxError, ValueError) as error:
        parser.error(str(error))
    module = family_module(family, command)
    if module is None:
        parser.error(f'the family {family} has no command {command}')
    module.add_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.config != path:
        parser.error(f'put the config, {arguments.config}, first')
    if arguments.cfg_options:
        config.merge_from_dict(arguments.cfg_options)
    init_default_scope(config.get('default_scope', 'mmpose'))
    return _report_data_error(lambda: module.run(config, arguments))


def _likely_config(argv: Sequence[str]) -> str | None:
    """The first .py file, if possible none that may be an option's value."""
    files = [(before.startswith('-'), word)
             for before, word in zip(['', *argv], argv, strict=False)
             if word.endswith('.py') and not word.startswith('-')]
    return min(files, key=lambda pair: pair[0], default=(False, None))[1]


def run_verify(description: str, argv: Sequence[str] | None = None) -> int:
    """Run ``tools/verify_dataset.py``, from a config or from a file of data.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 0 clean, 1 for bad data, 2 for wrong usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not any(word.split('=')[0] == '--ann-file' for word in argv):
        return run_command(
            'verify_dataset',
            f'{description} In place of CONFIG, --ann-file FILE names a file '
            'of data.', argv)
    parser = argparse.ArgumentParser(
        prog='tools/verify_dataset.py', description=description)
    parser.add_argument(
        '--ann-file', type=Path, required=True, help='file of data')
    modules = {
        family: module for family in family_names()
        if (module := family_module(family, 'verify_dataset')) is not None
    }
    parser.add_argument(
        '--family', choices=sorted(modules),
        help='whose data it is; found out from FILE by default')
    known, _ = parser.parse_known_args(argv)
    path = known.ann_file
    family = known.family or next(
        (name for name, module in modules.items() if module.accepts(path)),
        None)
    if family is None:
        return _report_data_error(lambda: _refuse(path, sorted(modules)))
    modules[family].add_arguments(parser)
    arguments = parser.parse_args(argv)
    return _report_data_error(
        lambda: modules[family].run_file(path, arguments))


def run_convert(description: str, argv: Sequence[str] | None = None) -> int:
    """Run ``tools/convert_dataset.py``: one sub-command a format.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='tools/convert_dataset.py', description=description)
    formats = parser.add_subparsers(
        dest='format', required=True, metavar='FORMAT')
    unsure = ''
    for name, families in sorted(_converters().items()):
        try:
            fitting = _fitting_families(
                families, argv[1:] if argv[:1] == [name] else [])
        except DataError as error:
            return _report(error)
        text = '; '.join(f'{other}: {converter.help}'
                         for other, converter in families.items())
        sub = formats.add_parser(
            name, help=text, description=text,
            epilog='The options shown are those of the family '
            f'{", ".join(fitting)}.' if len(fitting) < len(families) else '')
        sub.add_argument('input', type=Path, help='file or folder')
        sub.add_argument(
            '--out', type=Path, required=True, help='folder to write')
        sub.add_argument(
            '--overwrite', action='store_true', help='replace the folder')
        sub.add_argument(
            '--family', choices=sorted(families),
            help='whose data set to write; found out from INPUT by default')
        if len(fitting) == 1:
            families[fitting[0]].add_arguments(sub)
            sub.set_defaults(run=families[fitting[0]].run, family=fitting[0])
        else:
            unsure = (f'the points of INPUT fit {" and ".join(fitting)}'
                      if fitting else 'the points of INPUT fit none of '
                      f'{", ".join(sorted(families))}')
    if unsure:
        # --help and what is missing come first
        path = parser.parse_known_args(argv)[0].input
        if not path.exists():
            return _report(DataError(path, 'file', 'a file or a folder',
                                     'nothing'))
        parser.error(f'{unsure}: name the one to convert for by --family')
    arguments = parser.parse_args(argv)
    return _report_data_error(lambda: arguments.run(arguments))


def run_synthesize(description: str,
                   argv: Sequence[str] | None = None) -> int:
    """Run ``tools/synthesize.py``: write the synthetic world of a family.

    Args:
        description (str): For ``--help``.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        int: Exit code; 1 for bad data, 2 for wrong usage.
    """
    from mmpose_ext import synthesis
    worlds = sorted(
        {module.name for module in pkgutil.iter_modules(synthesis.__path__)}
        & set(family_names()))
    root = Path(os.environ.get('MMPOSE_EXT_DATA', 'data'), 'synthetic')
    parser = argparse.ArgumentParser(
        prog='tools/synthesize.py', description=description)
    parser.add_argument('family', choices=worlds, metavar='FAMILY',
                        help=f'one of {", ".join(worlds)}')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help=f'folder to write (default: {root}/FAMILY)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--size', type=int, metavar='N',
                        help='how much to write; what is counted depends on '
                        'the family')
    arguments = parser.parse_args(argv)
    world = importlib.import_module(
        f'mmpose_ext.synthesis.{arguments.family}')
    out = arguments.out or root / arguments.family
    size = {} if arguments.size is None else {'size': arguments.size}

    def work() -> None:
        world.write_world(out=out, seed=arguments.seed, **size)
        print(f'written: {out}')

    return _report_data_error(work)


def _converters() -> dict[str, dict[str, Converter]]:
    """Format to family to converter."""
    offers: dict[str, dict[str, Converter]] = {}
    for family in family_names():
        module: ModuleType | None = family_module(family, 'convert')
        if module is not None:
            for name, converter in module.CONVERTERS.items():
                offers.setdefault(name, {})[family] = converter
    return offers


def _fitting_families(families: dict[str, Converter],
                      words: Sequence[str]) -> list[str]:
    """The family asked for, else all that accept the input.

    Families may have options of the same name, so the choice comes before
    the command line is parsed. Where there is nothing to choose by, help is
    that of the first family.
    """
    named = [word.removeprefix('--family=') for word in words
             if word.startswith('--family=')]
    named += [after for word, after in zip(words, words[1:], strict=False)
              if word == '--family']
    if named and named[0] in families:
        return named[:1]
    inputs = [Path(word) for before, word
              in zip(['', *words], words, strict=False)
              if before != '--out' and Path(word).exists()]
    if len(families) == 1:
        return list(families)
    if not inputs:  # nothing to choose by
        to_run = words and not {'-h', '--help'} & {*words}
        return list(families) if to_run else list(families)[:1]
    fitting, errors = [], []
    for name, converter in families.items():
        try:
            if any(converter.accepts(path) for path in inputs):
                fitting.append(name)
        except DataError as error:  # may be fine for another family
            errors.append(error)
    if errors and not fitting:
        raise errors[0]
    return fitting


def _refuse(path: Path, families: Sequence[str]) -> int:
    check_file(path)
    raise DataError(path, 'file', f'data of {" or ".join(families)}',
                    'another format', 'name the family by --family')


def _report_data_error(work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except DataError as error:
        return _report(error)


def _report(error: DataError) -> int:
    print(f'error: {error}', file=sys.stderr)
    return 1
