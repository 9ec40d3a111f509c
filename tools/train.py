"""MMPose's own `tools/train.py`, run as it is packaged.

Nothing is added here: what mmpose_ext adds enters through the config.
Running MMPose's script on the same config does the same.
"""
import runpy
from pathlib import Path

import mmpose

SCRIPT = Path(mmpose.__file__).parent / '.mim' / 'tools' / 'train.py'

if __name__ == '__main__':
    runpy.run_path(str(SCRIPT), run_name='__main__')
