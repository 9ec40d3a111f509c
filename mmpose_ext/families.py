"""The families, found on disk; no list of them is kept anywhere.

A family is a package of ``mmpose_ext`` that is not a room. It plugs into the
command line tools by having modules named after them (``predict``, ``verify``
...), each with ``add_arguments(parser)`` and ``run(config, arguments)``.
"""
from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from types import ModuleType
from typing import Any

import mmpose_ext

ROOMS = ('compat', 'geometry', 'storage', 'training', 'scoring', 'drawing',
         'synthesis')


def family_names() -> tuple[str, ...]:
    """Names of the families in this installation, sorted."""
    return tuple(
        sorted(
            module.name for module in pkgutil.iter_modules(mmpose_ext.__path__)
            if module.ispkg and module.name not in ROOMS))


def import_families() -> dict[str, Exception]:
    """Import every family, so that its classes are registered.

    Returns:
        dict[str, Exception]: The families that failed, with the cause.
    """
    failures: dict[str, Exception] = {}
    for name in family_names():
        try:
            importlib.import_module(f'mmpose_ext.{name}')
        except Exception as error:  # the caller reports any cause
            failures[name] = error
    return failures


def family_of(config: Any) -> str:
    """Name the family that a config belongs to.

    Args:
        config (Config): A loaded config. Its ``custom_imports`` names the
            family: ``dict(imports=['mmpose_ext.direction'])``.

    Raises:
        ValueError: If it names none, or more than one.
    """
    imports = config.get('custom_imports', {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else imports
    found = [
        name for name in family_names() if f'mmpose_ext.{name}' in imports
    ]
    if len(found) != 1:
        raise ValueError(
            f'{config.filename}: custom_imports.imports: expected one of '
            f'{[f"mmpose_ext.{name}" for name in family_names()]}, found '
            f'{list(imports)}')
    return found[0]


def family_module(family: str, module: str) -> ModuleType | None:
    """Import ``mmpose_ext.<family>.<module>``; None if there is no such file.

    An import error inside the module is passed on, never taken for absence.
    """
    name = f'mmpose_ext.{family}.{module}'
    if importlib.util.find_spec(name) is None:
        return None
    return importlib.import_module(name)
