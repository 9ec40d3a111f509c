"""Distributed training without CUDA."""
import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from mmpose_ext.compat import distributed


@pytest.mark.parametrize('words, launcher', [
    (['config.py'], 'none'),
    (['config.py', '--launcher', 'pytorch', '--resume'], 'pytorch'),
    (['config.py', '--launcher=slurm'], 'slurm'),
])
def test_launcher_is_read_from_the_command_line(monkeypatch, words, launcher):
    monkeypatch.setattr('sys.argv', ['train.py', *words])
    assert distributed._launcher_on_command_line() == launcher


def test_no_group_without_launcher(monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', 'config.py'])
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    distributed.join_cpu_process_group()
    assert not torch.distributed.is_initialized()


def test_slurm_variables_are_translated(monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_PORT'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('SLURM_PROCID', '3')
    monkeypatch.setenv('SLURM_NTASKS', '4')
    monkeypatch.setenv('SLURM_LOCALID', '1')
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    distributed._translate_slurm_environment()
    import os
    assert [os.environ[name] for name in
            ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')] == ['3', '4', '1']


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.SyncBatchNorm(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 16, 2))


def step_of_rank(rank, world, folder):
    """Gradients of this rank's part of a batch of six, written to a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/group{world}',
        rank=rank,
        world_size=world)
    model = distributed.AnyDeviceDistributedDataParallel(
        make_model(), device_ids=[0], broadcast_buffers=False)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(6, 1, 6, 6, generator=generator)[rank::world]
    for _ in range(2):
        model.zero_grad()
        model(images).square().mean().backward()
    found = {name: value.grad for name, value in model.named_parameters()}
    found.update(model.named_buffers())
    torch.save(found, folder / f'rank{rank}_of_{world}.pth')


def test_two_cpu_processes_compute_what_one_does(tmp_path):
    """Also the batch statistics, which per-process BN would get wrong."""
    for world in (1, 2):
            mp.start_processes(
            step_of_rank,
            args=(world, tmp_path),
            nprocs=world,
            start_method='forkserver')
    one = torch.load(tmp_path / 'rank0_of_1.pth')
    two = torch.load(tmp_path / 'rank0_of_2.pth')
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_portable_norm_agrees_with_torch_in_eval():
    torch.manual_seed(0)
    model = make_model().eval()
    model[1].running_mean.normal_()
    images = torch.randn(3, 1, 6, 6)
    expected = model(images)
    replaced = distributed.replace_sync_batchnorm(make_model().eval())
    replaced[1].running_mean.copy_(model[1].running_mean)
    assert isinstance(replaced[1], distributed.CpuSyncBatchNorm)
    torch.testing.assert_close(replaced(images), expected)
