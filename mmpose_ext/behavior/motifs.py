"""Motifs: hidden Markov models over embeddings.

The states of a model with n states are n motifs. ``hmmlearn`` fits them; its
models are kept as plain arrays.
"""
from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmpose_ext.behavior.bouts import find_bouts
from mmpose_ext.behavior.class_tables import to_table
from mmpose_ext.behavior.extra_packages import require_packages
from mmpose_ext.storage import DataError

Array = np.ndarray

COVARIANCES = ('full', 'diag', 'tied')
_TOLERANCE = 1e-3  # of the log-likelihood between two iterations
_START_FRAMES = 50_000  # for the means to start from
_LEAST_VARIANCE = 1e-9
_LEAST_COUNT = 1e-3  # of each transition, so that no state is without one


@dataclass(frozen=True)
class MotifOptions:
    """How motifs are found.

    Args:
        iterations (int): Of expectation maximisation, at most. Defaults to
            10.
        fit_fraction (float): Share of the records to fit on; the others tell
            how well the model foretells. Defaults to .8.
        seed (int): Defaults to 1991.
        covariance (str): ``full``, ``diag`` or ``tied``. Defaults to
            ``full``.
        whiten (int, optional): Principal components that the embeddings are
            brought to, each of variance 1. Defaults to 16; None leaves the
            embeddings as they are.
        sticky (float): Prior for staying in a state, in frames for each
            frame that a state has on average; more makes longer bouts.
            Defaults to 1.
        parity (bool): As the original does it: no whitening, no prior,
            records drawn with replacement, states in the order of the fit.
            Defaults to False.

    Raises:
        ValueError: If a setting is out of range.
    """

    iterations: int = 10
    fit_fraction: float = .8
    seed: int = 1991
    covariance: str = 'full'
    whiten: int | None = 16
    sticky: float = 1.
    parity: bool = False

    def __post_init__(self) -> None:
        whiten = 1 if self.whiten is None else self.whiten
        for name, value, low, high in (
                ('iterations', self.iterations, 1, math.inf),
                ('fit_fraction', self.fit_fraction, 1e-9, 1),
                ('whiten', whiten, 1, math.inf),
                ('sticky', self.sticky, 0, math.inf)):
            if not low <= value <= high:
                raise ValueError(
                    f'{name}: expected {low:g} to {high:g}, found {value}')
        if self.covariance not in COVARIANCES:
            raise ValueError(f'covariance: expected one of {COVARIANCES}, '
                             f'found {self.covariance!r}')


@dataclass(frozen=True, eq=False)
class MotifModel:
    """A fitted hidden Markov model with n states.

    Attributes:
        start: (n,) probability of each first state.
        transitions: (n, n) from row to column.
        means: (n, K).
        covariances: (n, K, K) ``full``, (n, K) ``diag``, (K, K) ``tied``.
        covariance: Their kind.
        centre: (D,) taken away from embeddings first.
        projection: (D, K) that they are multiplied by next.
        history: Log-likelihood after each iteration.
    """

    start: Array
    transitions: Array
    means: Array
    covariances: Array
    covariance: str
    centre: Array
    projection: Array
    history: Array

    @property
    def num_states(self) -> int:
        """n."""
        return len(self.start)

    def project(self, values: Array) -> Array:
        """Embeddings (T, D) as the model sees them, (T, K) float64."""
        return np.asarray((values - self.centre) @ self.projection)

    def segment(self, values: Array) -> Array:
        """The likeliest path of states through a record.

        Args:
            values (ndarray): (T, D) embeddings.

        Returns:
            ndarray: (T,) int16.
        """
        states: Array = self._machine().predict(self.project(values))
        return states.astype(np.int16)

    def log_likelihood(self, records: Sequence[Array]) -> float:
        """Logarithm of the likelihood of records, natural."""
        machine = self._machine()
        return float(sum(machine.score(self.project(one))
                         for one in records))

    def count_parameters(self) -> int:
        """Free parameters, as hmmlearn counts them."""
        return int(sum(self._machine()._get_n_fit_scalars_per_param()
                       .values()))

    def reordered(self, order: Array) -> MotifModel:
        """The same model with its states in another order."""
        tied = self.covariance == 'tied'
        return replace(
            self, start=self.start[order],
            transitions=self.transitions[np.ix_(order, order)],
            means=self.means[order],
            covariances=self.covariances if tied else self.covariances[order])

    def _machine(self) -> Any:
        machine = _new_machine(self.num_states, self.covariance, 1, 0)
        machine.startprob_, machine.transmat_ = self.start, self.transitions
        machine.means_ = self.means
        machine.n_features = self.means.shape[1]
        machine.covars_ = self.covariances
        return machine


@dataclass(frozen=True, eq=False)
class MotifScan:
    """What one number of states came to.

    Attributes:
        model: The fitted model.
        states: (T,) int16 of each record.
        figures: One line of the table: ``ll``, ``aic``, ``bic`` over all
            records, and more.
    """

    model: MotifModel
    states: list[Array]
    figures: dict[str, float]


def scan_motifs(records: Sequence[Array],
                numbers: Sequence[int],
                options: MotifOptions,
                fps: float | None = None,
                models: dict[int, MotifModel] | None = None,
                jobs: int = 1) -> Iterator[tuple[int, MotifScan]]:
    """Fit a model for each number of states, and segment all records.

    Args:
        records (Sequence[ndarray]): Embeddings (T, D) of each record.
        numbers (Sequence[int]): Numbers of states, each at least 2.
        options (MotifOptions): How.
        fps (float, optional): For mean bouts in seconds; None gives frames.
        models (dict, optional): Fitted before, by their number of states;
            these are not fitted again. Defaults to None.
        jobs (int): How many at a time. Defaults to 1.

    Yields:
        tuple: Number of states and what it came to, in the given order.

    Raises:
        DataError: If there are fewer frames than states, or a package is
            not installed.
    """
    require_packages('hmmlearn', 'sklearn', 'threadpoolctl')
    fitted, held_out = draw_records(len(records), options)
    centre, projection = whitening(
        [records[i] for i in np.unique(fitted)], options)
    chosen = [(records[i] - centre) @ projection for i in fitted]
    frames = sum(map(len, chosen))
    if frames < max(numbers):
        raise DataError('embeddings', '--max-states', f'at most {frames}, '
                        'the frames to fit on', str(max(numbers)))

    def work(number: int) -> tuple[int, MotifScan]:
        model = (models or {}).get(number)
        if model is None:
            model = fit_model(chosen, number, options, centre, projection)
        return number, _finish(model, records, held_out, options, fps)

    with _one_thread_each(), ThreadPoolExecutor(max(jobs, 1)) as pool:
        yield from pool.map(work, numbers)


def draw_records(count: int,
                 options: MotifOptions) -> tuple[Array, Array]:
    """Which records to fit on, and which to hold out.

    Returns:
        tuple[ndarray, ndarray]: Numbers of records. In parity the first may
        repeat itself. With a single record none is held out.
    """
    generator = np.random.default_rng(options.seed)
    size = min(math.ceil(options.fit_fraction * count), count)
    if options.parity:
        fitted = (np.arange(count) if options.fit_fraction == 1 else
                  generator.choice(count, size, replace=True))
    else:
        fitted = np.sort(generator.permutation(count)[:size])
    return fitted, np.setdiff1d(np.arange(count), fitted)


def whitening(records: Sequence[Array],
              options: MotifOptions) -> tuple[Array, Array]:
    """Centre (D,) and projection (D, K) of embeddings."""
    width = records[0].shape[1]
    if options.parity or options.whiten is None:
        return np.zeros(width), np.eye(width)
    frames = sum(map(len, records))
    centre = np.sum([one.sum(0, dtype=np.float64) for one in records],
                    0) / frames
    covariance = np.zeros((width, width))
    for one in records:
        away = one - centre
        covariance += away.T @ away
    variances, axes = np.linalg.eigh(covariance / max(frames - 1, 1))
    order = np.argsort(-variances)[:options.whiten]
    # what does not vary tells nothing, and would be blown up
    order = order[variances[order] > 1e-8 * max(variances.max(), 1e-30)]
    if not len(order):
        raise DataError('embeddings', 'values', 'embeddings that vary',
                        'the same in all frames')
    axes = axes[:, order]
    # the sign of an axis is arbitrary, and may differ between machines
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(len(order))])
    return centre, axes / np.sqrt(variances[order])


def fit_model(records: Sequence[Array], number: int, options: MotifOptions,
              centre: Array, projection: Array) -> MotifModel:
    """Fit a model with some number of states.

    Args:
        records (Sequence[ndarray]): (T, K), projected already.
        number (int): States.
        options (MotifOptions): How.
        centre (ndarray): (D,) to be noted with the model.
        projection (ndarray): (D, K), likewise.
    """
    values = np.concatenate(records)
    machine = _new_machine(number, options.covariance, options.iterations,
                           options.seed)
    if not options.parity:
        kappa = options.sticky * len(values) / number
        machine.transmat_prior = 1 + _LEAST_COUNT + kappa * np.eye(number)
        machine.startprob_prior = 1 + _LEAST_COUNT
        if options.covariance != 'diag':
            # hmmlearn adds its own to every element, and so leaves that of a
            # state without frames singular
            machine.covars_prior = machine.covars_prior * values.var(
                0).mean() * np.eye(values.shape[1])
        machine.init_params = 'stc'
        machine.means_ = _starting_means(values, number, options.seed)
    with _quiet():
        machine.fit(values, list(map(len, records)))
    return MotifModel(
        _normalised(machine.startprob_), _normalised(machine.transmat_),
        machine.means_, _definite(machine._covars_, options.covariance),
        options.covariance, centre, projection,
        np.array(machine.monitor_.history))


def _finish(model: MotifModel, records: Sequence[Array], held_out: Array,
            options: MotifOptions, fps: float | None) -> MotifScan:
    """Segment all records, order the states and count."""
    number = model.num_states
    states = [model.segment(one) for one in records]
    counts = np.sum([np.bincount(one, minlength=number) for one in states],
                    0)
    if not options.parity:
        order = np.argsort(-counts, kind='stable')
        model = model.reordered(order)
        rank = np.argsort(order).astype(np.int16)
        states, counts = [rank[one] for one in states], counts[order]
    frames = int(counts.sum())
    likelihood = model.log_likelihood(records)
    parameters = model.count_parameters()
    joined = np.concatenate(states)
    bouts = find_bouts(to_table(joined, number), list(map(len, states)))
    held = [records[i] for i in held_out]
    figures = dict(
        n=number, ll=likelihood, aic=2 * parameters - 2 * likelihood,
        bic=parameters * math.log(frames) - 2 * likelihood,
        parameters=parameters, frames=frames,
        ll_per_frame=likelihood / frames,
        held_out_ll_per_frame=model.log_likelihood(held) / sum(
            map(len, held)) if held else math.nan,
        mean_bout=frames / len(bouts) / (fps or 1),
        empty_states=int((counts == 0).sum()),
        iterations=len(model.history))
    return MotifScan(model, states, figures)


def _new_machine(number: int, covariance: str, iterations: int,
                 seed: int) -> Any:
    from hmmlearn.hmm import GaussianHMM
    return GaussianHMM(n_components=number, covariance_type=covariance,
                       n_iter=iterations, tol=_TOLERANCE, random_state=seed)


def _starting_means(values: Array, number: int, seed: int) -> Array:
    """Means (n, K) of clusters of some of the frames."""
    from sklearn.cluster import KMeans
    if len(values) > _START_FRAMES:
        generator = np.random.default_rng(seed)
        values = values[np.sort(generator.choice(
            len(values), _START_FRAMES, replace=False))]
    means: Array = KMeans(number, n_init=3, random_state=seed).fit(
        values).cluster_centers_
    return means


def _normalised(rows: Array) -> Array:
    """Rows that sum to 1; one without any share gets equal ones."""
    total = rows.sum(-1, keepdims=True)
    equal = np.full_like(rows, 1 / rows.shape[-1])
    return np.where(total > 0, rows / np.where(total > 0, total, 1), equal)


def _definite(covariances: Array, kind: str) -> Array:
    """Covariances that are positive-definite, those of empty states too."""
    if kind == 'diag':
        return np.maximum(covariances, _LEAST_VARIANCE)
    least = np.linalg.eigvalsh(covariances)[..., :1, None]
    largest = np.abs(covariances).max((-2, -1), keepdims=True)
    short = np.maximum(_LEAST_VARIANCE * largest - least, 0)
    return np.asarray(covariances + short * np.eye(covariances.shape[-1]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without hmmlearn's words about likelihoods that do not rise."""
    logger = logging.getLogger('hmmlearn')
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _one_thread_each() -> Any:
    """Keep matrix products from taking all cores for each job."""
    from threadpoolctl import threadpool_limits
    return threadpool_limits(limits=1)
