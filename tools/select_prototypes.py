"""Select the motifs that return in models of many sizes."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('select_prototypes', __doc__))
