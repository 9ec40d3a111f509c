"""The registries of mmpose_ext, scope ``mmpose_ext``.

Configs keep ``default_scope = 'mmpose'`` and write
``type='mmpose_ext.DirectionCNN'``; MMPose's own names stay bare.

The parents are MMEngine's registries, not MMPose's: the Runner looks some
classes up on MMEngine's root with no scope, and the root sees its direct
children only. The two kinds that MMPose alone has hang below MMPose's.
"""
from __future__ import annotations

import difflib
from typing import Any

import mmengine.registry as engine
import mmpose.registry as pose
from mmengine.registry import Registry

__all__ = [
    'BATCH_AUGMENTS', 'DATASETS', 'DATA_SAMPLERS', 'EVALUATORS', 'FUNCTIONS',
    'HOOKS', 'INFERENCERS', 'KEYPOINT_CODECS', 'LOG_PROCESSORS', 'LOOPS',
    'METRICS', 'MODELS', 'MODEL_WRAPPERS', 'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS', 'OPTIMIZERS', 'PARAM_SCHEDULERS', 'RUNNERS',
    'TASK_UTILS', 'TRANSFORMS', 'VISBACKENDS', 'VISUALIZERS',
    'WEIGHT_INITIALIZERS'
]


class ExtRegistry(Registry):
    """A registry that tells why a name is unknown.

    MMEngine answers a misspelt name, a module that was never imported and a
    module whose import failed with one and the same sentence. A name that is
    missing here makes every family be imported; if that does not help, the
    error names the closest matches and every import that failed.
    """

    def get(self, key: str) -> Any:
        """Return the class registered under a name.

        Raises:
            KeyError: If there is none, with the true cause.
        """
        found = self._look_up(key)
        if found is not None:
            return found
        from mmpose_ext.families import import_families
        failures = import_families()
        found = self._look_up(key)
        if found is not None:
            return found
        raise KeyError(self._explain(key, failures)) from next(
            iter(failures.values()), None)

    def __contains__(self, key: str) -> bool:
        try:
            return self.get(key) is not None
        except KeyError:
            return False

    def _look_up(self, key: str) -> Any:
        try:
            return super().get(key)
        except RuntimeError:  # what MMEngine makes of an unimportable path
            return None

    def _explain(self, key: str, failures: dict[str, Exception]) -> str:
        name = key.rpartition('.')[2]
        text = (f'{self.scope}.{name} is not in the registry '
                f'"{self.name}" of mmpose_ext.')
        near = difflib.get_close_matches(name, self.module_dict, n=3)
        if near:
            options = ' or '.join(f'{self.scope}.{match}' for match in near)
            text += f' Did you mean {options}?'
        for family, error in failures.items():
            text += (f' mmpose_ext.{family} could not be imported: '
                     f'{type(error).__name__}: {error}.')
        if not near and not failures:
            known = ', '.join(sorted(self.module_dict)) or 'nothing'
            text += f' Registered are: {known}.'
        return text


def _child(parent: Registry, locations: tuple[str, ...] = ()) -> ExtRegistry:
    return ExtRegistry(
        parent.name,
        parent=parent,
        scope='mmpose_ext',
        locations=list(locations))


# what runs the training
RUNNERS = _child(engine.RUNNERS)
LOOPS = _child(engine.LOOPS)
HOOKS = _child(engine.HOOKS,
               ('mmpose_ext.training', 'mmpose_ext.drawing.hook'))
LOG_PROCESSORS = _child(engine.LOG_PROCESSORS, ('mmpose_ext.training', ))

# what is learnt from
DATASETS = _child(engine.DATASETS, ('mmpose_ext.training', ))
DATA_SAMPLERS = _child(engine.DATA_SAMPLERS, ('mmpose_ext.training', ))
TRANSFORMS = _child(engine.TRANSFORMS)
FUNCTIONS = _child(engine.FUNCTIONS, ('mmpose_ext.training.batching', ))
KEYPOINT_CODECS = _child(pose.KEYPOINT_CODECS)
BATCH_AUGMENTS = _child(pose.BATCH_AUGMENTS)

# what learns
MODELS = _child(engine.MODELS, ('mmpose_ext.training', ))
MODEL_WRAPPERS = _child(engine.MODEL_WRAPPERS,
                        ('mmpose_ext.compat.distributed', ))
WEIGHT_INITIALIZERS = _child(engine.WEIGHT_INITIALIZERS)
OPTIMIZERS = _child(engine.OPTIMIZERS)
OPTIM_WRAPPERS = _child(engine.OPTIM_WRAPPERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(engine.OPTIM_WRAPPER_CONSTRUCTORS,
                                    ('mmpose_ext.training', ))
PARAM_SCHEDULERS = _child(engine.PARAM_SCHEDULERS, ('mmpose_ext.training', ))
TASK_UTILS = _child(engine.TASK_UTILS)

# what is measured and shown
METRICS = _child(engine.METRICS)
EVALUATORS = _child(engine.EVALUATOR)
VISUALIZERS = _child(engine.VISUALIZERS)
VISBACKENDS = _child(engine.VISBACKENDS, ('mmpose_ext.training', ))
INFERENCERS = _child(engine.INFERENCERS)
