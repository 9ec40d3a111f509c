"""Where the parts lie that are not modules."""
from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def project_root() -> Path:
    """Folder of ``tools`` and ``configs``: a checkout, or what mim has."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / 'tools').is_dir() else _PACKAGE / '.mim'
