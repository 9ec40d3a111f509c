"""Disturb the product in every way that is promised to do no harm.

    python -m tests.campaigns kills --count 50
    python -m tests.campaigns damaged --family equine --seed 117 --count 1

A case is decided by its seed (and ``--family``, if it was given): the seed
that a failure prints makes it happen again.
"""
from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from mmpose_ext.families import family_names
from tests.campaigns import damaged, dead_process, disk_full, kills
from tests.campaigns.cases import FAILED, Outcome, Place, run_cases, table_of
from tests.front_door.client import Server

CAMPAIGNS = {module.NAME: module for module in (
    damaged, kills, disk_full, dead_process)}


def main() -> int:
    """Run campaigns; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.campaigns', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('campaign', nargs='?', default='all',
                        choices=['all', *CAMPAIGNS])
    parser.add_argument('--count', type=int, metavar='N', help='cases of '
                        'each campaign (default: '
                        + ', '.join(f'{module.COUNT} {name}' for name, module
                                    in CAMPAIGNS.items()) + ')')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the first case (default: 0)')
    parser.add_argument('--family', choices=family_names())
    parser.add_argument('--jobs', type=int, default=os.cpu_count(),
                        help='cases at a time (default: one a processor)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='where to work (default: a temporary folder)')
    arguments = parser.parse_args()
    console = Console(stderr=not sys.stdout.isatty())
    folder = (arguments.out or Path(tempfile.mkdtemp(
        prefix='campaigns_'))).absolute()
    place = Place(folder, folder / 'data')
    os.environ['MMPOSE_EXT_DATA'] = str(place.data)
    names = (CAMPAIGNS if arguments.campaign == 'all'
             else [arguments.campaign])
    plans = []
    for name in names:
        count = arguments.count or CAMPAIGNS[name].COUNT
        plans.append([*CAMPAIGNS[name].plan(
            range(arguments.seed, arguments.seed + count), arguments.family)])
    servers = [Server() for _ in range(
        min(arguments.jobs, max(map(len, plans))))]
    outcomes: list[list[Outcome]] = []
    start = time.monotonic()
    try:
        for cases in plans:
            outcomes.append(run_cases(cases, place, servers, console))
    finally:
        for server in servers:
            server.close()
    console = Console()
    for group in outcomes:
        console.print(table_of(group))
    failed = [item for group in outcomes for item in group
              if item.result == FAILED]
    console.print(f'{sum(map(len, outcomes))} cases, {len(failed)} failed, '
                  f'{time.monotonic() - start:.0f} s')
    for item in failed:
        console.print(f'{item.case.campaign} --seed {item.case.seed} '
                      f'--count 1: {item.case.what}', markup=False)
    return int(bool(failed))


if __name__ == '__main__':
    sys.exit(main())
