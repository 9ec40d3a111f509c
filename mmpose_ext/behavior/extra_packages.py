"""Packages that the extra ``behavior`` installs."""
from __future__ import annotations

import importlib

from mmpose_ext.storage import DataError

_PROJECTS = dict(sklearn='scikit-learn')  # that are named otherwise


def require_packages(*names: str) -> None:
    """Check that packages can be imported.

    Args:
        *names (str): As they are imported.

    Raises:
        DataError: Names the first that cannot, and the cure.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            project = _PROJECTS.get(name, name)
            raise DataError(project, 'package', project, f'no {error.name}',
                            'pip install mmpose_ext[behavior]') from error
