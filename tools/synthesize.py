"""Write a small synthetic world to learn from, with exact truth."""
import sys

from mmpose_ext.commands import run_synthesize

if __name__ == '__main__':
    sys.exit(run_synthesize(__doc__))
