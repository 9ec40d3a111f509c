"""Names are found from every scope, and what is missing says why."""
import sys

import mmengine.registry as engine
import mmpose.registry as pose
import pytest
from mmengine.registry import DefaultScope

import mmpose_ext.registry as ours
from mmpose_ext import families

KINDS = [name for name in ours.__all__ if name != 'EVALUATORS']


@pytest.fixture(params=['mmpose', 'mmpose_ext', None])
def scope(request):
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


@pytest.mark.parametrize('kind', KINDS)
def test_parents(kind):
    parent = getattr(ours, kind).parent
    only_mmpose = kind in ('KEYPOINT_CODECS', 'BATCH_AUGMENTS')
    assert parent is getattr(pose if only_mmpose else engine, kind)
    assert getattr(ours, kind).scope == 'mmpose_ext'


@pytest.mark.parametrize('build_from', [
    engine.MODELS, pose.MODELS, ours.MODELS])
def test_model_builds_from_every_scope(scope, build_from):
    model = build_from.build(dict(type='mmpose_ext.DirectionCNN'))
    assert type(model).__module__ == 'mmpose_ext.direction.network'


@pytest.mark.parametrize('asked', [
    engine.MODEL_WRAPPERS, pose.MODEL_WRAPPERS, ours.MODEL_WRAPPERS])
def test_bare_get_finds_wrapper(scope, asked):
    """The Runner calls ``MODEL_WRAPPERS.get`` on the root without scope."""
    found = asked.get('mmpose_ext.AnyDeviceDistributedDataParallel')
    assert found.__module__ == 'mmpose_ext.compat.distributed'


def test_codec_builds_from_mmpose(scope):
    codec = pose.KEYPOINT_CODECS.build(
        dict(type='mmpose_ext.CenteredRegressionLabel', input_size=(50, 50)))
    assert codec.input_size == (50, 50)


def test_hook_is_found_without_import(scope):
    """Rooms are imported by their registries, on demand."""
    assert engine.HOOKS.get('mmpose_ext.ResumableCheckpointHook') is not None


@pytest.mark.parametrize('asked', [
    engine.MODELS, pose.MODELS, ours.MODELS])
def test_misspelt_name_gets_a_proposal(scope, asked):
    with pytest.raises(KeyError, match='mmpose_ext.DirectionCNN'):
        asked.build(dict(type='mmpose_ext.DirectionCMM'))


def test_failed_import_shows_its_cause(scope, monkeypatch):
    cause = ImportError("No module named 'something'")

    def fail(name):
        raise cause

    monkeypatch.setattr(families, 'family_names', lambda: ('broken', ))
    monkeypatch.setattr(families.importlib, 'import_module', fail)
    with pytest.raises(KeyError, match='something') as raised:
        ours.MODELS.get('BrokenNetwork')
    assert raised.value.__cause__ is cause


def test_contains_does_not_raise():
    assert 'DirectionCNN' in ours.MODELS
    assert 'NoSuchThing' not in ours.MODELS


def test_no_name_hides_one_of_the_parents():
    families.import_families()
    import mmpose.datasets
    import mmpose.evaluation
    import mmpose.models
    import mmpose.visualization  # noqa: F401
    for kind in KINDS:
        own = set(getattr(ours, kind).module_dict)
        for package in (engine, pose):
            other = getattr(package, kind, None)
            if other is not None:
                assert not own & set(other.module_dict), kind


def test_families_are_found_on_disk():
    assert 'direction' in families.family_names()
    assert not set(families.ROOMS) & set(families.family_names())
    assert families.family_module('direction', 'no_such_file') is None


def test_import_error_inside_a_module_is_passed_on(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmpose_ext.direction.codec', None)
    monkeypatch.delitem(sys.modules, 'mmpose_ext.direction.datasets')
    with pytest.raises(ImportError, match='codec'):
        families.family_module('direction', 'datasets')
