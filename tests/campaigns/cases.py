"""What a campaign is made of, and the running of it."""
from __future__ import annotations

import queue
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from tests.front_door.client import Server
from tests.promises.trainings import FAMILIES, Family, make_family

FAILED = 'FAILED'


class PromiseError(AssertionError):
    """A promise that is not kept; the text tells how."""


@dataclass
class Place:
    """Where the cases of a campaign run, and with what.

    Attributes:
        folder: Of everything that they write.
        data: ``$MMPOSE_EXT_DATA``.
    """

    folder: Path
    data: Path

    def __post_init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @contextmanager
    def once(self, name: str) -> Iterator[Path]:
        """A folder that several cases share; the first one fills it.

        Yields:
            Path: It exists if an earlier case has filled it.
        """
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            yield self.folder / 'shared' / name

    def family(self, path: Path, server: Server) -> Family:
        """A shrunk tiny config with its data."""
        with self.once(f'data of {path.parent.name}'), \
                self.once(path.stem) as folder:
            folder.mkdir(parents=True, exist_ok=True)
            return make_family(path, self.data, folder, server)


@dataclass(frozen=True)
class Case:
    """One trial of a campaign.

    Attributes:
        campaign: Its name.
        seed: It alone decides what happens.
        family: A folder of the package.
        what: What happens, for people.
        kind: Of the input or the disturbance, which the table counts by.
        run: Does it, in a new folder; returns the outcome in a few words and
            raises ``PromiseError`` if a promise is broken.
    """

    campaign: str
    seed: int
    family: str
    what: str
    kind: str
    run: Callable[[Place, Server, Path], str]


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: The case.
        result: The outcome in a few words, or ``FAILED``.
        detail: Of a failure.
    """

    case: Case
    result: str
    detail: str = ''


def configs_of(family: str | None) -> list[Path]:
    """Tiny configs of a family, or of all."""
    return [path for path in FAMILIES
            if family in (None, path.parent.name)]


def run_cases(cases: Sequence[Case], place: Place, servers: Sequence[Server],
              console: Console) -> list[Outcome]:
    """Run cases, as many at a time as there are servers.

    The folder of a case is removed, unless the case failed.
    """
    idle: queue.Queue[Server] = queue.Queue()
    for server in servers:
        idle.put(server)

    def run(case: Case) -> Outcome:
        server = idle.get()
        folder = place.folder / case.campaign / f'seed_{case.seed}'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            outcome = Outcome(case, case.run(place, server, folder))
            shutil.rmtree(folder)
        except Exception as error:
            outcome = Outcome(case, FAILED, str(error) if isinstance(
                error, PromiseError) else traceback.format_exc())
        finally:
            idle.put(server)
        return outcome

    columns = (TextColumn('{task.description}'), BarColumn(),
               MofNCompleteColumn(), TextColumn('[red]{task.fields[bad]}'),
               TimeElapsedColumn(), TimeRemainingColumn())
    outcomes = []
    with Progress(*columns, console=console) as progress, \
            ThreadPoolExecutor(len(servers)) as pool:
        bar = progress.add_task(
            cases[0].campaign, total=len(cases), bad='')
        for future in as_completed([pool.submit(run, case)
                                    for case in cases]):
            outcome = future.result()
            outcomes.append(outcome)
            failed = sum(item.result == FAILED for item in outcomes)
            progress.update(bar, advance=1,
                            bad=f'{failed} failed' if failed else '')
            if outcome.result == FAILED:
                _print_failure(outcome, place, console)
    return sorted(outcomes, key=lambda item: item.case.seed)


def _print_failure(outcome: Outcome, place: Place, console: Console) -> None:
    case = outcome.case
    console.print(
        f'[red]FAILED[/] {case.family}: {case.what}', highlight=False)
    console.print(outcome.detail, markup=False, highlight=False)
    console.print(
        f'  seed {case.seed}; files in '
        f'{place.folder / case.campaign / f"seed_{case.seed}"}',
        markup=False, highlight=False, soft_wrap=True)


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """Counts of outcomes by family and kind."""
    results = sorted({item.result for item in outcomes} - {FAILED})
    columns = [*results, FAILED]
    table = Table('family', 'kind', 'cases', *columns,
                  title=outcomes[0].case.campaign)
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for item in outcomes:
        groups.setdefault((item.case.family, item.case.kind), []).append(item)
    whole = ('all', '')
    for key in [*sorted(groups), whole]:
        items = groups.get(key, outcomes)
        if key == whole:
            table.add_section()
        table.add_row(*key, str(len(items)), *(
            str(sum(item.result == name for item in items) or '')
            for name in columns))
    return table


def with_server(family: Family, server: Server) -> Family:
    """The same family run by another server."""
    return replace(family, server=server)
