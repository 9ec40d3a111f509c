"""Build mmpose_ext; pyproject.toml holds the metadata.

What stands here is the ``.mim`` folder inside the package, where ``mim`` and
the OpenMMLab tools look for configs and scripts: copied into a wheel, linked
for an editable install.
"""
from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ('configs', 'tools', 'model-index.yml')


def link_mim() -> None:
    """Link the parts into ``mmpose_ext/.mim`` of the source tree."""
    folder = ROOT / 'mmpose_ext' / '.mim'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in MIM_PARTS:
        (folder / part).symlink_to(Path('..', '..', part))


def copy_mim(folder: Path) -> None:
    """Copy the parts into ``folder``, which is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in MIM_PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source,
                folder / part,
                ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        else:
            shutil.copy2(source, folder / part)


class BuildWithMim(build_py):
    """Build for a wheel, and for ``pip install -e`` (PEP 660)."""

    def run(self) -> None:
        """Build the modules, then add ``.mim``."""
        super().run()
        if self.editable_mode:
            link_mim()
        else:
            copy_mim(Path(self.build_lib, 'mmpose_ext', '.mim'))


class DevelopWithMim(develop):
    """The editable install of old, without PEP 660."""

    def run(self) -> None:
        """Link ``.mim``, then install."""
        link_mim()
        super().run()


setup(cmdclass={'build_py': BuildWithMim, 'develop': DevelopWithMim})
