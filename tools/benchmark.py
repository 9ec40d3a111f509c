"""Measure parameters, FLOPs, throughput and memory of a config."""
import sys

from mmpose_ext.commands import run_command

if __name__ == '__main__':
    sys.exit(run_command('benchmark', __doc__))
