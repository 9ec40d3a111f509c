"""How far off hands, objects and contacts are, all of one evaluation."""
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmpose_ext.handobject.contact import contact_figures
from mmpose_ext.handobject.hand_scores import (
    AUC_RANGE,
    hand_errors,
    hand_figures,
    hand_report,
    pooled_mean,
    relative_errors,
)
from mmpose_ext.handobject.index_files import HandObjectIndex, read_index
from mmpose_ext.handobject.meshes import ObjectModels
from mmpose_ext.handobject.metric_checks import (
    check_meshes,
    check_result_files,
    labelled_modes,
)
from mmpose_ext.handobject.object_scores import (
    object_errors,
    object_figures,
    object_report,
)
from mmpose_ext.handobject.result_files import (
    write_bop_poses,
    write_coco_keypoints,
    write_hand_poses,
)
from mmpose_ext.handobject.score_records import (
    CollectedSamples,
    collect_samples,
    sample_record,
)
from mmpose_ext.handobject.score_tables import (
    leave_scores,
    main_figures,
    render_tables,
)
from mmpose_ext.handobject.trivial_answers import (
    MeanAnswers,
    read_mean_answers,
)
from mmpose_ext.registry import METRICS

MODES = ('hand', 'object', 'contact')


@METRICS.register_module()
class HandObjectMetric(BaseMetric):
    """Errors in mm, px and degrees; ``save_best='hand/PA-MPJPE'``.

    All is compared in the frame of the photograph's own camera. Hands without
    a label do not count. Logged are

    * ``hand/MPJPE`` behind the wrist, ``hand/MPJPE_abs``, ``hand/PA-MPJPE``
      (proper rotations) and ``hand/PA-MPJPE_kit`` (a mirror image will do, as
      in DexYCB's evaluation), pooled over joints; with ``_joints`` the mean
      of joints' means; ``hand/AUC`` (0 to 50 mm), ``hand/PCK3D@20mm``,
      ``hand/PCK2D@5px`` and more; ``hand/spread_ratio``
    * ``object/ADD``, ``object/ADD-S``, ``object/ADD(-S)``,
      ``object/ADD-0.1D``, ``object/AUC`` (0 to 100 mm), ``object/MSSD``,
      ``object/corner``, ``object/rotation_deg`` and
      ``object/translation_mm`` of the object that is held, and
      ``object_all/...`` of all objects; ``object/grasped_acc``
    * ``contact/precision``, ``contact/recall``, ``contact/F1``,
      ``contact/AP``

    ``_trivial`` is the answer of the training data's means put into the box,
    see :mod:`~mmpose_ext.handobject.trivial_answers`.

    Tables by joint, object, subject, camera and side are logged with a line
    that says what was compared how; ``hand_object_scores.json`` and ``.csv``
    hold all figures of the latest evaluation.

    What the index, the meshes and the files of results lack is told when the
    metric learns of the data set, which is before training.

    Args:
        modes (str | Sequence[str]): Of ``hand``, ``object`` and ``contact``.
            What the data have no labels of is left out with a line in the
            log, what the model does not predict with a warning. Defaults to
            all three.
        models_dir (str, optional): Folder of meshes. Defaults to None, that
            of the data set.
        mean_pose_from (str, optional): Index of the training data. Defaults
            to None, no trivial figures.
        symmetric (str | Collection[int]): Objects that count as symmetric,
            see :class:`~mmpose_ext.handobject.meshes.ObjectModels`. Defaults
            to ``ycb-video``.
        symmetries (Mapping, optional): See there. Defaults to None.
        models_info (str, optional): See there. Defaults to None.
        num_points (int): Points on each mesh. Defaults to 1,000.
        all_objects (bool): Whether objects that are not held are compared
            too. Defaults to True.
        include_root (bool): Whether the wrist counts as one of 21 joints
            behind itself, as in DexYCB's evaluation. Defaults to True.
        auc_range (Sequence[float]): mm, of ``hand/AUC``. Defaults to
            (0, 50).
        contact_thr (float): From which a joint is said to touch. Defaults to
            .5.
        format_only (bool): Write result files and compare nothing. Defaults
            to False.
        outfile_prefix (str, optional): Path before ``_hands.txt``,
            ``_objects.csv`` and ``_keypoints.json``, the files of the
            evaluations of DexYCB, BOP and COCO. Defaults to None, no files.
        dump_dir (str, optional): Folder of the tables. Defaults to None, the
            folder of the run's log.
        collect_device (str): As in MMEngine. Defaults to ``cpu``.
        prefix (str, optional): Before the names. Defaults to None.

    Raises:
        ValueError: If an argument is out of range or does not fit the others.
        DataError: If a file that is named is missing or damaged.
    """

    # the names have their own; MMEngine warns of None
    default_prefix = ''

    def __init__(self,
                 modes: str | Sequence[str] = MODES,
                 models_dir: str | None = None,
                 mean_pose_from: str | None = None,
                 symmetric: str | Collection[int] = 'ycb-video',
                 symmetries: Mapping[int, Mapping[str, Any]] | None = None,
                 models_info: str | None = None,
                 num_points: int = 1000,
                 all_objects: bool = True,
                 include_root: bool = True,
                 auc_range: Sequence[float] = AUC_RANGE,
                 contact_thr: float = .5,
                 format_only: bool = False,
                 outfile_prefix: str | None = None,
                 dump_dir: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        modes = (modes, ) if isinstance(modes, str) else tuple(modes)
        if not modes or not {*modes} <= {*MODES}:
            raise ValueError(f'modes: expected some of {MODES}, found '
                             f'{modes}')
        if format_only and outfile_prefix is None:
            raise ValueError('format_only: expected outfile_prefix too')
        if len(auc_range) != 2 or not 0 <= auc_range[0] < auc_range[1]:
            raise ValueError('auc_range: expected two rising mm, found '
                             f'{tuple(auc_range)}')
        self.modes = self._asked = modes
        self.all_objects = all_objects
        self.include_root = include_root
        self.auc_range = (float(auc_range[0]), float(auc_range[1]))
        self.contact_thr = contact_thr
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.dump_dir = dump_dir
        self._model_settings: dict[str, Any] = dict(
            num_points=num_points, symmetric=symmetric,
            symmetries=symmetries, models_info=models_info)
        self._models: ObjectModels | None = None
        if models_dir is not None:
            self._models = ObjectModels(models_dir, **self._model_settings)
        self._index: HandObjectIndex | None = None  # of the data set
        # opened now, so that a wrong file is told before training
        self._training: HandObjectIndex | None = None
        if mean_pose_from is not None:
            self._training = read_index(mean_pose_from)
        self._answers: dict[str, MeanAnswers] = {}
        self.report: dict[str, Any] = {}

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """Meta information of the data set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        """Take the meta information and check what it promises.

        Its meshes are used, if there are no others.

        Raises:
            DataError: If there are no labels, a mesh is missing or damaged,
                or the data set leaves out what result files must have.
            ValueError: If result files are wanted of an unknown index.
        """
        BaseMetric.dataset_meta.fset(self, dataset_meta)
        meta = dataset_meta or {}
        path = meta.get('index_file')
        self.modes, self._index = self._asked, None
        if path is not None:
            self._index = read_index(path)
            self.modes = labelled_modes(self._index, self._asked)
        folder = meta.get('models_dir')
        if (self._models is None and folder is not None
                and 'object' in self.modes and Path(folder).is_dir()):
            self._models = ObjectModels(folder, **self._model_settings)
        if (self._index is not None and 'object' in self.modes
                and not self.format_only):
            check_meshes(self._index, self._models, not self.all_objects)
        if self.outfile_prefix is not None:
            check_result_files(self.outfile_prefix, self._known_index(),
                               self.modes, meta.get('left_out', {}))

    def process(self, data_batch: Any,
                data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is needed of each sample.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[Mapping]): With ``gt_instances`` and
                ``pred_instances``, and meta information beside them.
        """
        self.results.extend(
            sample_record(sample, whole=self.outfile_prefix is not None)
            for sample in data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Main figures for the log; the rest goes to :attr:`report`."""
        samples = collect_samples(results)
        logger = MMLogger.get_current_instance()
        figures = {}
        if not self.format_only:
            figures = self._compare(samples)
        if self.outfile_prefix is not None:  # last, for figures matter more
            for text in self._write_files(samples):
                logger.info(text)
        return figures

    def _compare(self, samples: CollectedSamples) -> dict[str, float]:
        logger = MMLogger.get_current_instance()
        self.report = dict(protocol=self.protocol(samples))
        trivial: dict[str, Any] = {}
        for mode in self.modes:
            report = getattr(self, f'_{mode}_report')(samples, trivial)
            if isinstance(report, str):
                logger.warning(f'{mode}: nothing to compare, {report}')
            else:
                self.report[mode] = report
        if len(self.report) == 1:
            raise ValueError(f'nothing to compare of {self.modes}: neither '
                             'predictions nor labels fit, see the warnings')
        if trivial:
            self.report['trivial'] = trivial
        logger.info(f'{self.protocol_text(samples)}\n'
                    f'{render_tables(self.report)}')
        leave_scores(self.dump_dir, self.report)
        return main_figures(self.report)

    def protocol(self, samples: CollectedSamples) -> dict[str, Any]:
        """What was compared and how, to be told with each figure."""
        meta = self.dataset_meta or {}
        said: dict[str, Any] = dict(
            samples=len(samples), hands=len(samples.hand_rows),
            **{name: str(meta.get(name, 'unknown'))
               for name in ('setup', 'split', 'subset')},
            boxes=', '.join(samples.box_sources),
            bbox_mode=self._bbox_mode,
            left_hands='mirrored' if samples.mirrored else (
                'as they are' if samples.left.any() else 'none'),
            joints='21, the wrist counted' if self.include_root else
            '20, without the wrist')
        if self._models is not None and 'object' in self.modes:
            said.update(symmetric=list(self._models.symmetric),
                        points=self._models.num_points)
        if self._training is not None:
            said['trivial'] = f'means of {self._training.path}'
        return said

    def protocol_text(self, samples: CollectedSamples) -> str:
        """The protocol in one line."""
        said = self.protocol(samples)
        first = (f'protocol: {said["hands"]} hands of {said["samples"]} '
                 'samples')
        rest = (f'{name.replace("_", " ")}: {value}'
                for name, value in said.items()
                if name not in ('samples', 'hands'))
        return '; '.join([first, *rest])

    @property
    def _bbox_mode(self) -> str:
        return str((self.dataset_meta or {}).get('bbox_mode', 'hand'))

    def _mean_answers(self) -> MeanAnswers:
        """Means of the training data in boxes like the evaluated ones."""
        mode = self._bbox_mode
        if self._training is not None and mode not in self._answers:
            self._answers[mode] = read_mean_answers(self._training, mode)
        return self._answers[mode]

    def _hand_report(self, samples: CollectedSamples,
                     trivial: dict[str, Any]) -> dict[str, Any] | str:
        if not samples.has('points'):
            return 'the model predicts no keypoints_cam'
        results = samples.hands()
        if not len(results.ids):
            return 'no sample has a labelled hand'
        report = hand_report(results, self.include_root, self.auc_range)
        rows = samples.hand_rows
        if samples.has('coarse'):
            report['MPJPE_coarse'] = pooled_mean(relative_errors(
                samples.column('coarse')[rows], results.truth, results.valid,
                self.include_root))
        if self._training is not None:
            answer = self._mean_answers()
            points = answer.hands(samples.boxes[rows], samples.cameras[rows],
                                  samples.left[rows])
            trivial['hand'] = dict(all=hand_figures(
                hand_errors(samples.hands(points), self.include_root),
                self.auc_range))
        return report

    def _object_report(self, samples: CollectedSamples,
                       trivial: dict[str, Any]) -> dict[str, Any] | str:
        if not samples.has('rotations'):
            return 'the model predicts no object_rotations'
        if self._models is None:
            raise ValueError(
                'object: expected models_dir, the folder of meshes, or one '
                "in the data set's metainfo; or modes without object")
        results, rows = samples.objects()
        if not self.all_objects:
            results, rows = results.select(results.grasped), rows[
                results.grasped]
        if not len(results.ids):
            return 'no sample has a labelled object'
        report = object_report(results, object_errors(results, self._models))
        accuracy = samples.grasped_accuracy()
        if accuracy is not None:
            report['grasped_acc'] = accuracy
        if self._training is not None and results.grasped.any():
            held = results.select(results.grasped)
            places = rows[results.grasped]
            answer = self._mean_answers()
            poses = answer.objects(
                held.classes, samples.boxes[places], samples.cameras[places],
                samples.left[places])
            trivial['object'] = dict(grasped=object_figures(object_errors(
                held.with_poses(*poses), self._models)))
        return report

    def _contact_report(self, samples: CollectedSamples,
                        trivial: dict[str, Any]) -> dict[str, Any] | str:
        if not samples.has('contact_scores'):
            return 'the model predicts no contact_scores'
        truth, known = samples.contact()
        if not known.any():
            return 'no sample has labels of contact'
        if self._training is not None:
            answer = self._mean_answers()
            trivial['contact'] = dict(all=contact_figures(
                truth, np.broadcast_to(answer.contact, truth.shape), known,
                self.contact_thr))
        return dict(all=contact_figures(
            truth, samples.column('contact_scores'), known,
            self.contact_thr))

    def _known_index(self) -> HandObjectIndex:
        if self._index is None:
            raise ValueError('outfile_prefix: expected index_file in the '
                             "data set's metainfo")
        return self._index

    def _write_files(self, samples: CollectedSamples) -> list[str]:
        """Write the result files; a line about each."""
        index = self._known_index()
        prefix = Path(self.outfile_prefix or '')
        prefix.parent.mkdir(parents=True, exist_ok=True)
        texts = []
        if 'hand' in self.modes and samples.has('points'):
            hands = f'{prefix}_hands.txt'
            write_hand_poses(hands, samples.ids, samples.column('points'),
                             index)
            write_coco_keypoints(
                f'{prefix}_keypoints.json', samples.ids,
                samples.column('keypoints'), samples.column('scores'))
            texts.append(f'hands of {len(samples.hand_rows)} samples in '
                         f'{hands}, keypoints beside them')
        if 'object' in self.modes and samples.has('rotations'):
            objects = f'{prefix}_objects.csv'
            count = write_bop_poses(
                objects, samples.ids, samples.column('rotations'),
                samples.column('translations'),
                samples.column('object_scores'), index)
            texts.append(f'poses of {count} objects in {objects}')
        return texts
