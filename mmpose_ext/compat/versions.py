"""Version bounds of the stack that mmpose_ext stands on."""
from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.version import Version

TESTED_SETS = (
    'mmengine 0.10.7, mmcv-lite 2.1.0, mmdet 3.3.0, mmpose 1.3.2, '
    'torch 2.13, numpy 2.4 (Python 3.11)', )


class IncompatibleVersionError(RuntimeError):
    """A package of the stack is missing or outside its bounds.

    Not an ``ImportError``: MMEngine's registries swallow those and report a
    class as unknown instead.
    """


@dataclass(frozen=True)
class Requirement:
    """One package of the stack.

    Attributes:
        name: What users call it.
        distributions: Distribution names that provide it, the first one is
            proposed for installation.
        minimum: Lowest supported version.
        below: First version that is not supported.
        install: The version to install when none fits.
    """

    name: str
    distributions: tuple[str, ...]
    minimum: str
    below: str
    install: str

    def installed(self) -> str | None:
        """Return the installed version, None when the package is absent."""
        for distribution in self.distributions:
            try:
                return metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
        return None

    def fits(self, version: str) -> bool:
        """Whether a version lies in ``[minimum, below)``."""
        return (Version(self.minimum) <= Version(version)
                and Version(Version(version).base_version) < Version(
                    self.below))

    @property
    def cure(self) -> str:
        """The command that installs a version that fits."""
        command = f"pip install '{self.distributions[0]}=={self.install}'"
        # MMPose's metadata asks for chumpy, which cannot be built any more.
        return command + ' --no-deps' if self.name == 'mmpose' else command


REQUIREMENTS = (
    Requirement('torch', ('torch', ), '2.4', '3', '2.13.0'),
    Requirement('numpy', ('numpy', ), '1.24', '3', '2.2.6'),
    Requirement('mmengine', ('mmengine', 'onedl-mmengine', 'mmengine-lite'),
                '0.10.4', '0.11', '0.10.7'),
    Requirement('mmcv', ('mmcv-lite', 'mmcv', 'onedl-mmcv'), '2.0.1', '2.4',
                '2.1.0'),
    Requirement('mmdet', ('mmdet', 'onedl-mmdetection'), '3.2.0', '3.6',
                '3.3.0'),
    Requirement('mmpose', ('mmpose', ), '1.3.0', '1.4', '1.3.2'),
)


def check_versions(
        requirements: tuple[Requirement, ...] = REQUIREMENTS) -> None:
    """Compare the installed stack with the supported bounds.

    Only metadata is read; nothing is imported.

    Args:
        requirements (tuple[Requirement]): What to check. Defaults to
            :data:`REQUIREMENTS`.

    Raises:
        IncompatibleVersionError: Names every package that does not fit, what
            was found and the command that cures it.
    """
    problems = []
    for requirement in requirements:
        found = requirement.installed()
        if found is None or not requirement.fits(found):
            problems.append(
                f'  {requirement.name}: expected >= {requirement.minimum}, '
                f'< {requirement.below}, found {found or "nothing"}; '
                f'cure: {requirement.cure}')
    if problems:
        raise IncompatibleVersionError(
            'mmpose_ext cannot work with the installed packages:\n' +
            '\n'.join(problems) + '\nTested sets: ' + '; '.join(TESTED_SETS) +
            '\nAsk `python -m mmpose_ext.doctor` for the whole picture.')
