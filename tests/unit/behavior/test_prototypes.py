"""Prototypes: filters, distances and clusters, against plain ways."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.signal import savgol_filter
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_samples, silhouette_score

from mmpose_ext.behavior import prototypes
from mmpose_ext.behavior.prototypes import (
    PrototypeOptions,
    jaccard_distances,
    select_prototypes,
    smooth_scores,
)
from mmpose_ext.storage import DataError

LENGTHS = [300, 340, 260]


def make_motifs(groups: int = 4, copies: int = 5,
                seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Motifs of a few true ones, each copy with some frames changed."""
    generator = np.random.default_rng(seed)
    true = np.repeat(generator.integers(0, groups, 45), 20)
    columns, names = [], []
    for copy in range(copies):
        states = true.copy()
        for start in generator.integers(0, len(true) - 25, 6):
            states[start:start + 25] = generator.integers(0, groups)
        columns += [states == i for i in range(groups)]
        names += [f'HMM_{copy + 8}_Motif_{i}' for i in range(groups)]
    return names, np.stack(columns, 1).astype(np.uint8)


def select(names: list[str], motifs: np.ndarray, **options: object):
    return select_prototypes(names, motifs, LENGTHS, 30.,
                             PrototypeOptions(**options), Path('motifs'))


@pytest.mark.parametrize('rows', [7, 64, 10000])
def test_distances_are_those_of_scipy(monkeypatch: pytest.MonkeyPatch,
                                      rows: int) -> None:
    monkeypatch.setattr(prototypes, '_ROWS', rows)
    motifs = np.random.default_rng(0).random((200, 9)) < .4
    motifs[:, 3:5] = False
    wanted = squareform(pdist(motifs.T, 'jaccard'))
    assert np.allclose(jaccard_distances(motifs), wanted, atol=1e-12)


def test_selection_is_the_published_recipe() -> None:
    names, motifs = make_motifs()
    found = select(names, motifs)
    # everything passes; step by step, with scipy and scikit-learn alone
    condensed = pdist(motifs.T.astype(bool), 'jaccard')
    links = linkage(condensed, 'average', optimal_ordering=True)
    assert found.names == tuple(names)
    assert np.allclose(found.distances, condensed)
    assert np.allclose(found.links, links)
    numbers = np.arange(2, 20)
    labels = [fcluster(links, k, 'maxclust') for k in numbers]
    scores = [silhouette_score(squareform(condensed), one,
                               metric='precomputed') for one in labels]
    smooth = savgol_filter(scores, 3, 2)
    best = int(np.argmax(smooth))
    assert np.allclose(found.scores, scores)
    assert np.allclose(found.smoothed, smooth)
    assert found.numbers[found.best] == numbers[best] == 4
    assert np.array_equal(found.labels, labels[best])
    samples = silhouette_samples(squareform(condensed), labels[best],
                                 metric='precomputed')
    for cluster, motif in enumerate(found.chosen, 1):
        members = labels[best] == cluster
        assert members[motif]
        assert samples[motif] == samples[members].max()


def test_first_of_each_cluster_by_the_other_method() -> None:
    names, motifs = make_motifs()
    found = select(names, motifs, method='min')
    for cluster, motif in enumerate(found.chosen, 1):
        assert motif == np.flatnonzero(found.labels == cluster)[0]
    assert sorted(found.chosen) == [0, 1, 2, 3]


def test_rare_short_and_lonely_motifs_are_left_out() -> None:
    names, motifs = make_motifs()
    count = len(motifs)
    rare = np.zeros(count, np.uint8)
    rare[:30] = 1
    short = (np.arange(count) % 8 < 4).astype(np.uint8)  # 4 frames each
    lonely = np.zeros(count, np.uint8)
    lonely[::2] = 1
    lonely[1:400:2] = 1
    motifs = np.concatenate([
        motifs, np.stack([rare, short, lonely], 1)], 1)
    found = select([*names, 'rare', 'short', 'lonely'], motifs,
                   bout_threshold=.15)
    assert found.names == tuple(names)
    wide = select([*names, 'rare', 'short', 'lonely'], motifs,
                  frame_threshold=0., bout_threshold=0.,
                  distance_threshold=1.1)
    assert len(wide.names) == len(names) + 3


def test_bouts_end_with_their_record_unless_in_parity() -> None:
    names, motifs = make_motifs()
    # 10 frames to each side of each border: 1/3 s, or 2/3 s if they run on
    across = np.zeros((len(motifs), 2), np.uint8)
    for border in np.cumsum(LENGTHS)[:-1]:
        across[border - 10:border + 10] = 1
    motifs = np.concatenate([motifs, across], 1)
    names = [*names, 'HMM_20_Motif_0', 'HMM_20_Motif_1']
    options = dict(frame_threshold=.01, bout_threshold=.5)
    assert 'HMM_20_Motif_0' not in select(names, motifs, **options).names
    parity = select(names, motifs, parity=True, **options)
    assert 'HMM_20_Motif_0' in parity.names
    # the original sorts names as text: 10 before 8
    assert list(parity.names) == sorted(parity.names)
    assert parity.names[0] == 'HMM_10_Motif_0'


def test_motifs_that_are_all_alike_in_groups_form_clusters() -> None:
    names, motifs = make_motifs(copies=1)
    doubled = np.repeat(motifs, 3, 1)
    names = [f'{name}_{i}' for name in names for i in range(3)]
    found = select(names, doubled)
    assert found.numbers[found.best] == 4
    assert len(found.chosen) == 4


@pytest.mark.parametrize('columns, options, what', [
    (2, {}, r'at least three motifs in 5%.*--frame-threshold'),
    (8, dict(frame_threshold=.9), '--frame-threshold'),
    (8, dict(bout_threshold=60.), '--bout-threshold'),
    (8, dict(distance_threshold=.01), '--distance-threshold'),
])
def test_too_few_motifs_are_told_with_the_option(
        columns: int, options: dict, what: str) -> None:
    names, motifs = make_motifs()
    with pytest.raises(DataError, match=what):
        select(names[:columns], motifs[:, :columns], **options)


def test_motifs_without_clusters_are_told() -> None:
    _, motifs = make_motifs()
    same = np.repeat(motifs[:, :1], 4, 1)
    with pytest.raises(DataError, match='motifs that form clusters'):
        select(list('abcd'), same)


def test_few_scores_are_not_smoothed() -> None:
    assert smooth_scores(np.array([.3, .2])).tolist() == [.3, .2]
    assert np.isnan(smooth_scores(np.array([.3, np.nan, .2, .1]))[1])
    three = select(['a', 'b', 'c'], make_motifs(copies=1)[1][:, [0, 0, 1]],
                   distance_threshold=1.1)
    assert three.numbers.tolist() == [2]
    assert len(three.chosen) == 2


def test_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match='method'):
        PrototypeOptions(method='mean')
