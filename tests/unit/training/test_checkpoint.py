from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend, put, put_text

from mmpose_ext.compat.checkpoints import damage
from mmpose_ext.registry import HOOKS
from mmpose_ext.storage.errors import DataError
from mmpose_ext.training import AtomicLocalBackend

from .conftest import Killed, KillHook, ToyMetric

BACKEND = dict(backend='atomic_local')


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix == '.pth'}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def final_states(folder: Path, name: str = 'epoch_4.pth') -> dict:
    loaded = torch.load(folder / name, weights_only=False)
    return {
        key: loaded[key]
        for key in ('state_dict', 'ema_state_dict', 'optimizer',
                    'param_schedulers')
    }


def assert_same(one, other) -> None:
    """Compare nested states bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


class TestAtomicLocalBackend:

    def test_writes_and_makes_folders(self, tmp_path):
        put(b'new', tmp_path / 'a' / 'b.pth', BACKEND)
        put_text('text', tmp_path / 'a' / 'b.txt', backend_args=BACKEND)
        assert (tmp_path / 'a' / 'b.pth').read_bytes() == b'new'
        assert (tmp_path / 'a' / 'b.txt').read_text() == 'text'
        assert len(list((tmp_path / 'a').iterdir())) == 2

    def test_failure_keeps_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / 'a.pth'
        put(b'old', path, BACKEND)

        def fail(self, data):
            with open(self, 'wb') as file:
                file.write(data[:1])
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(Path, 'write_bytes', fail)
        with pytest.raises(OSError, match='space') as caught:
            put(b'new', path, BACKEND)
        assert caught.value.filename == str(path)
        assert path.read_bytes() == b'old'
        assert list(tmp_path.iterdir()) == [path]

    def test_removals_wait(self, tmp_path):
        backend = get_file_backend(backend_args=BACKEND)
        for name in 'abc':
            (tmp_path / name).write_text(name)
        with backend.postponed_removals() as postponed:
            backend.remove(tmp_path / 'a')
            backend.remove(tmp_path / 'b')
            assert len(list(tmp_path.iterdir())) == 3
            postponed.remove(str(tmp_path / 'b'))
        backend.remove(tmp_path / 'c')
        assert [path.name for path in tmp_path.iterdir()] == ['b']

    def test_removals_are_given_up_on_failure(self, tmp_path):
        backend = AtomicLocalBackend()
        path = tmp_path / 'a'
        path.write_text('a')
        with pytest.raises(OSError), backend.postponed_removals():
            backend.remove(path)
            raise OSError
        assert path.exists()

    def test_kill_while_saving_leaves_a_whole_file(self, tmp_path):
        path = tmp_path / 'epoch_1.pth'
        torch.save(dict(round=0, data=torch.zeros(100_000)), path)
        rounds = set()
        for delay in (.005, .01, .02, .03, .04, .05):
            before = path.stat().st_mtime_ns
            child = os.fork()
            if child == 0:  # saves until it is killed
                number = 0
                try:
                    while True:
                        number += 1
                        torch.save(
                            dict(round=number,
                                 data=torch.full((100_000, ), number)),
                            tmp_path / 'buffer')
                        put((tmp_path / 'buffer').read_bytes(), path, BACKEND)
                finally:
                    os._exit(1)
            while path.stat().st_mtime_ns == before:  # its first save
                time.sleep(.001)
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL
            assert damage(path) == ''
            loaded = torch.load(path)
            assert (loaded['data'] == loaded['round']).all()
            rounds.add(loaded['round'])
        assert min(rounds) > 0


class TestSaving:

    def test_refuses_an_unknown_argument(self):
        with pytest.raises(TypeError, match='max_keep_ckpt'):
            HOOKS.build(
                dict(type='mmpose_ext.ResumableCheckpointHook',
                     max_keep_ckpt=3))

    def test_leaves_other_backends_alone(self):
        hook = HOOKS.build(
            dict(type='mmpose_ext.ResumableCheckpointHook',
                 out_dir='s3://bucket/runs'))
        assert hook.backend_args is None

    def test_keeps_what_it_should(self, toy_runner, tmp_path):
        toy_runner().train()
        found = names(tmp_path / 'run')
        assert {'epoch_3.pth', 'epoch_4.pth'} < found and len(found) == 3
        assert sum(name.startswith('best_error') for name in found) == 1
        pointer = (tmp_path / 'run' / 'last_checkpoint').read_text()
        assert pointer == str(tmp_path / 'run' / 'epoch_4.pth')

    def test_says_nothing_that_no_one_can_act_on(self, toy_runner, tmp_path):
        toy_runner().train()
        log = next((tmp_path / 'run').glob('*/*.log')).read_text()
        assert 'FileClient' not in log and 'HardDisk' not in log
        assert 'prefix is not set' in log  # other warnings are written

    def test_new_file_is_there_before_the_old_one_goes(
            self, toy_runner, tmp_path, monkeypatch):
        remove, seen = os.remove, []

        def watch(path):
            seen.append((Path(path).name, names(tmp_path / 'run')))
            remove(path)

        monkeypatch.setattr(os, 'remove', watch)
        toy_runner(**{'default_hooks.checkpoint.max_keep_ckpts': 1}).train()
        steps = dict(seen)
        for step in (1, 2, 3):
            assert f'epoch_{step + 1}.pth' in steps[f'epoch_{step}.pth']
        for name, present in seen:
            if name.startswith('best'):
                assert sum(n.startswith('best') for n in present) == 2

    def test_full_disk(self, undisturbed, toy_runner, tmp_path, monkeypatch):
        put_whole, full = AtomicLocalBackend.put, []

        def fill(self, obj, filepath):
            if str(filepath).endswith('epoch_3.pth'):
                full.append(filepath)
                raise OSError(errno.ENOSPC, 'No space left on device')
            put_whole(self, obj, filepath)

        runner = toy_runner(**{'default_hooks.checkpoint.max_keep_ckpts': 1})
        monkeypatch.setattr(AtomicLocalBackend, 'put', fill)
        with pytest.raises(OSError, match='older ones are intact') as caught:
            runner.train()
        assert full and caught.value.errno == errno.ENOSPC
        assert re.search('No space left on device, [0-9]+ MB are free',
                         str(caught.value))
        assert damage(tmp_path / 'run' / 'epoch_2.pth') == ''

        monkeypatch.undo()
        toy_runner(resume=True).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(undisturbed))


class TestResume:
    """A resumed run ends as one that was never interrupted."""

    @pytest.mark.parametrize('stage, at', [
        ('after_train_iter', 1),  # nothing is saved yet
        ('before_train_iter', 15),
        ('after_train_epoch', 13),  # saved, not validated
        ('after_val_iter', 13),
        ('after_val', 13),
    ])
    def test_is_exact(self, toy_runner, train_killed, undisturbed, tmp_path,
                      stage, at):
        ToyMetric.seen.clear()
        train_killed('run', stage, at)
        toy_runner(resume=True).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(undisturbed))
        assert names(tmp_path / 'run') == names(undisturbed)
        errors = json.loads((undisturbed / 'errors.json').read_text())
        assert list(dict.fromkeys(ToyMetric.seen)) == errors

    def test_is_exact_after_several_kills(
            self, undisturbed, toy_runner, train_killed, tmp_path):
        for at in (8, 13, 14, 20):
            train_killed('run', 'before_train_iter', at, resume=True)
        toy_runner(resume=True).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(undisturbed))

    def test_is_exact_with_workers(self, undisturbed, toy_runner,
                                   train_killed, tmp_path):
        workers = {'train_dataloader.num_workers': 2}
        train_killed('run', 'before_train_iter', 15, **workers)
        toy_runner(resume=True, **workers).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(undisturbed))

    def test_is_exact_by_iterations(self, toy_runner, train_killed, tmp_path):
        changes = {
            'train_cfg': dict(
                _delete_=True, by_epoch=False, max_iters=24, val_interval=4),
            'train_dataloader.sampler.infinite': True,
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': 4,
        }
        toy_runner('whole', **changes).train()
        train_killed('run', 'after_train_iter', 11, **changes)
        assert 'iter_8.pth' in names(tmp_path / 'run')
        toy_runner(resume=True, **changes).train()
        assert_same(final_states(tmp_path / 'run', 'iter_24.pth'),
                    final_states(tmp_path / 'whole', 'iter_24.pth'))

    @pytest.mark.parametrize('at', [9, 13, 17])
    def test_is_exact_in_the_middle_of_an_epoch(self, toy_runner,
                                                train_killed, tmp_path, at):
        changes = {
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': 2,
        }
        toy_runner('whole', **changes).train()
        train_killed('run', 'after_train_iter', at, **changes)
        toy_runner(resume=True, **changes).train()
        assert_same(final_states(tmp_path / 'run', 'iter_24.pth'),
                    final_states(tmp_path / 'whole', 'iter_24.pth'))

    def test_is_exact_with_waiting_gradients(self, toy_runner, train_killed,
                                             tmp_path):
        changes = {'optim_wrapper.accumulative_counts': 4}  # 6 iterations
        toy_runner('whole', **changes).train()
        train_killed('run', 'before_train_iter', 9, **changes)
        toy_runner(resume=True, **changes).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(tmp_path / 'whole'))

    def test_is_exact_with_a_random_seed(self, toy_runner, train_killed,
                                         tmp_path):
        train_killed('run', 'before_train_iter', 9,
                     **{'randomness.seed': None})
        saved = torch.load(tmp_path / 'run' / 'epoch_1.pth',
                           weights_only=False)
        toy_runner(resume=True, **{'randomness.seed': None}).train()
        toy_runner('whole', **{'randomness.seed': saved['meta']['seed']
                               }).train()
        assert_same(final_states(tmp_path / 'run'),
                    final_states(tmp_path / 'whole'))

    def test_validation_that_is_not_due_is_not_made_up_for(
            self, toy_runner, train_killed):
        changes = {'train_cfg.val_interval': 3}
        train_killed('run', 'before_train_iter', 14, **changes)  # after two
        ToyMetric.seen.clear()
        runner = toy_runner(resume=True, **changes)
        runner.register_hook(KillHook('before_train_iter', 13))
        with pytest.raises(Killed):
            runner.train()
        assert ToyMetric.seen == []

    def test_validation_saved_with_the_best_is_not_repeated(
            self, toy_runner, train_killed):
        train_killed('run', 'before_train_iter', 7)
        ToyMetric.seen.clear()
        runner = toy_runner(resume=True)
        assert runner.message_hub.get_info('last_validation') is None
        runner.register_hook(KillHook('before_train_iter', 7))
        with pytest.raises(Killed):
            runner.train()
        # the first epoch is always the best so far, hence saved again
        assert ToyMetric.seen == []

    def test_validation_made_up_for_is_saved_with_the_best(
            self, toy_runner, train_killed, tmp_path):
        train_killed('run', 'after_train_epoch', 7)
        train_killed('run', 'before_train_iter', 7, resume=True)
        saved = torch.load(tmp_path / 'run' / 'epoch_1.pth',
                           weights_only=False)
        info = saved['message_hub']['runtime_info']
        assert info['last_validation'] == 1
        assert info['best_ckpt'].endswith('best_error_epoch_1.pth')

    def test_best_replaced_under_its_own_name_stays(
            self, toy_runner, train_killed, tmp_path):
        train_killed('run', 'before_train_iter', 7)
        path = tmp_path / 'run' / 'epoch_1.pth'
        # as MMEngine's hook leaves it, and a metric that rounds differently
        saved = torch.load(path, weights_only=False)
        info = saved['message_hub']['runtime_info']
        del info['last_validation']
        info['best_score'] *= 1.001
        torch.save(saved, path)
        train_killed('run', 'before_train_iter', 7, resume=True)
        assert 'best_error_epoch_1.pth' in names(tmp_path / 'run')

    def test_moved_folder_keeps_to_itself(
            self, undisturbed, toy_runner, train_killed, tmp_path):
        train_killed('old', 'before_train_iter', 9)
        shutil.copytree(tmp_path / 'old', tmp_path / 'new')
        before = names(tmp_path / 'old')
        truncate(tmp_path / 'old' / 'epoch_1.pth')  # must not be looked at
        toy_runner('new', resume=True).train()
        assert_same(final_states(tmp_path / 'new'),
                    final_states(undisturbed))
        assert names(tmp_path / 'old') == before
        assert names(tmp_path / 'new') == names(undisturbed)

    def test_out_dir(self, undisturbed, toy_runner, train_killed, tmp_path):
        out = {'default_hooks.checkpoint.out_dir': str(tmp_path / 'out')}
        train_killed('run', 'before_train_iter', 15, **out)
        truncate(tmp_path / 'out' / 'run' / 'epoch_2.pth')
        toy_runner(resume=True, **out).train()
        assert_same(final_states(tmp_path / 'out' / 'run'),
                    final_states(undisturbed))

    def test_leftovers_of_a_kill_are_removed(self, toy_runner, train_killed,
                                             tmp_path):
        train_killed('run', 'before_train_iter', 9)
        leftover = tmp_path / 'run' / '.epoch_2.0123abcd.pth'
        leftover.write_bytes(b'PK')
        kept = tmp_path / 'run' / '.notes.pth'
        kept.write_bytes(b'')
        toy_runner(resume=True).train()
        assert not leftover.exists() and kept.exists()


class TestDamage:

    def test_truncated_newest_is_named_and_passed_over(
            self, undisturbed, toy_runner, train_killed, tmp_path):
        train_killed('run', 'before_train_iter', 15)
        truncate(tmp_path / 'run' / 'epoch_2.pth')
        runner = toy_runner(resume=True)
        warnings = []
        runner.logger.warning = warnings.append
        runner.train()
        assert any('epoch_2.pth: a truncated file' in text
                   and 'Resuming from epoch_1.pth' in text
                   for text in warnings)
        assert_same(final_states(tmp_path / 'run'),
                    final_states(undisturbed))

    def test_all_broken(self, toy_runner, train_killed, tmp_path):
        train_killed('run', 'before_train_iter', 15)
        for step in (1, 2):
            truncate(tmp_path / 'run' / f'epoch_{step}.pth')
        with pytest.raises(DataError, match='epoch_2.*epoch_1.*from zero'):
            toy_runner(resume=True).train()

    @pytest.mark.parametrize('resume', [True, False])
    def test_named_file(self, toy_runner, train_killed, tmp_path, resume):
        train_killed('run', 'before_train_iter', 9)
        path = tmp_path / 'run' / 'epoch_1.pth'
        truncate(path)
        with pytest.raises(DataError, match='epoch_1.pth.*truncated'):
            toy_runner(resume=resume, load_from=str(path)).train()

    def test_nothing_to_resume_from_starts_anew(self, toy_runner, tmp_path):
        toy_runner(resume=True).train()
        assert 'epoch_4.pth' in names(tmp_path / 'run')
