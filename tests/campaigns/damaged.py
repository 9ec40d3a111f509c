"""Damaged inputs end in one clear error, and nothing is left half-written."""
from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

from tests.campaigns.cases import Case, Place, PromiseError
from tests.campaigns.damage import Damage, damages_of
from tests.campaigns.kills import temporaries
from tests.campaigns.subjects import TREES, Subject, subjects
from tests.front_door.client import Server

NAME = 'damaged'
COUNT = 400

TIMEOUT = 60.  # seconds of a machine with nothing else to do; then it hangs
CACHE = '.mmpose_ext_cache'  # beside the data, whole or absent


def plan(seeds: range, family: str | None) -> Iterator[Case]:
    """A damaged input for each seed: the kinds in turn, each time another.

    What happens to a file is found when it is there, so that the text tells
    the command alone.
    """
    chosen = [subject for subject in subjects()
              if family in (None, subject.family)]
    for seed in seeds:
        subject = chosen[seed % len(chosen)]
        door = Path(subject.door[0]).stem
        yield Case(NAME, seed, subject.family, f'{subject.kind}, {door}',
                   subject.kind,
                   _DamagedInput(subject, seed // len(chosen), seed))


class _DamagedInput:
    """Damage a file of a sound folder and run a command on it."""

    def __init__(self, subject: Subject, turn: int, seed: int) -> None:
        self._subject, self._turn, self._seed = subject, turn, seed

    def __call__(self, place: Place, server: Server, folder: Path) -> str:
        self._try_sound(place, server, folder)
        source, out = folder / 'in', folder / 'out'
        sound_tree(self._subject.tree, place, server, source)
        file, damage = self._damage(source)
        before = _state(source)
        code, words, text = self._run(server, folder)
        told = (f'{file.relative_to(source)}: {damage.name}\n'
                f'$ {" ".join(words)}\n')
        try:
            check_ending(code, text)
            self._check_files(code, before, source, out, damage)
        except PromiseError as failure:
            raise PromiseError(f'{told}{failure}\n{text[-3000:]}') from None
        return 'refused' if code else 'harmless'

    def _damage(self, source: Path) -> tuple[Path, Damage]:
        draw = random.Random(f'{NAME} {self._seed}')
        files = sorted(source.glob(self._subject.pattern))
        assert files, f'no {self._subject.pattern} in {source}'
        file = draw.choice(files)
        damages = damages_of(file)
        # the kinds of damage in an order of their own for each subject
        random.Random(repr(self._subject)).shuffle(damages)
        damage = damages[self._turn % len(damages)]
        damage.apply(file, draw)
        return file, damage

    def _try_sound(self, place: Place, server: Server,
                   folder: Path) -> None:
        """Once, the command has to accept what is sound."""
        what = self._subject.tree, self._subject.door
        digest = blake2b(repr(what).encode(), digest_size=6).hexdigest()
        with place.once(f'accepted {digest}') as accepted:
            if accepted.exists():
                return
            sound_tree(self._subject.tree, place, server, folder / 'in')
            code, words, text = self._run(server, folder)
            if code:
                raise PromiseError('refused though sound\n$ '
                                  f'{" ".join(words)}\n{text[-3000:]}')
            shutil.rmtree(folder)
            accepted.parent.mkdir(exist_ok=True)
            accepted.write_text(repr(what))
            folder.mkdir()

    def _run(self, server: Server, folder: Path) -> tuple[int, list[str], str]:
        """Run the command; returns its code, itself and what it said."""
        log, temporary = folder / 'output.txt', folder / 'tmp'
        for made in (folder / 'out', temporary):
            made.mkdir()
        words = [word.replace('{in}', str(folder / 'in')).replace(
            '{out}', str(folder / 'out' / 'result'))
            for word in self._subject.door]
        code, = server.run(words, log, [dict(
            MMPOSE_EXT_DATA=str(folder / 'in'), TMPDIR=str(temporary))],
            TIMEOUT * max(1, os.getloadavg()[0] / (os.cpu_count() or 1)))
        return code, words, log.read_text(errors='replace')

    def _check_files(self, code: int, before: dict, source: Path, out: Path,
                     damage: Damage) -> None:
        after = _state(source)
        if before != after:
            changed = {str(path) for path, _ in
                       before.items() ^ after.items()}
            raise PromiseError(f'the input was changed: {sorted(changed)}')
        written = [str(path.relative_to(out))
                   for path in sorted(out.rglob('*'))]
        left = [*temporaries(out), *temporaries(source)]
        if left or (code and written and not self._subject.keeps):
            raise PromiseError(f'left behind: {left or written}')
        writes = any('{out}' in word for word in self._subject.door)
        if not code and writes and not written:
            raise PromiseError('nothing was written')
        if not code and damage.is_fatal and self._subject.is_read:
            raise PromiseError('accepted, though nothing of it is left')


def check_ending(code: int, text: str) -> None:
    """A command ended with 0, or with 1 and one line."""
    if code == -9:
        raise PromiseError(f'hung for {TIMEOUT:g} s')
    if code not in (0, 1):
        raise PromiseError(f'ended with {code}')
    if 'Traceback (most recent call last)' in text:
        raise PromiseError('ended in a traceback')
    errors = [line for line in text.splitlines()
              if re.match('error: .+: .+: expected .+, found ', line)]
    if code and not errors:
        raise PromiseError('ended without an error that tells what is wrong')


def sound_tree(name: str, place: Place, server: Server, copy: Path) -> None:
    """Copy a sound folder, which is made when it is asked for first."""
    with place.once(f'sound {name}') as sound:
        if not sound.exists():
            begun = sound.with_name(f'begun {name}')
            shutil.rmtree(begun, ignore_errors=True)
            begun.mkdir(parents=True)
            TREES[name](begun, place, server)
            begun.rename(sound)
    shutil.copytree(sound, copy)
    for config in copy.glob('config.py'):
        config.write_text(config.read_text().replace('{in}', str(copy)))


def _state(folder: Path) -> dict[str, tuple[int, ...]]:
    """Size and time of everything in a folder."""
    state = {}
    for path, _, names in os.walk(folder):
        if CACHE in path:
            continue
        for name in names:
            found = os.lstat(Path(path, name))
            state[os.path.relpath(Path(path, name), folder)] = (
                found.st_size, found.st_mtime_ns, found.st_ino)
    return state
