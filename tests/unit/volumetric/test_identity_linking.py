"""Identities over time, against all orders tried one by one."""
from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mmpose_ext.volumetric.identity_linking import (
    best_assignment,
    link_identities,
)

Array = np.ndarray
NAN = np.nan


def walk(animals: int, count: int = 200, seed: int = 0) -> Array:
    """Smooth paths (T, I, 3) of animals that do not meet, mm."""
    generator = np.random.default_rng(seed)
    time = np.arange(count)[:, None] / 60
    while True:
        phase = generator.uniform(0, 2 * np.pi, (2, 1, animals))
        speed = generator.uniform(.5, 1.5, (2, 1, animals))
        place = 250 * np.sin(speed * time + phase).transpose(1, 2, 0)
        apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1)
        if (apart + 99 * np.eye(animals)).min() > 40:
            return np.concatenate(
                [place, np.full((count, animals, 1), 30.)], -1)


def exchanged(points: Array, seed: int = 1) -> tuple[Array, Array]:
    """Places in any order from the second time point on, and the order."""
    generator = np.random.default_rng(seed)
    orders = np.stack([generator.permutation(points.shape[1])
                       for _ in points])
    orders[0] = np.arange(points.shape[1])
    return np.take_along_axis(points, orders[..., None], 1), orders


@pytest.mark.parametrize('animals', [1, 2, 3, 5])
def test_exchanged_places_are_put_right(animals: int) -> None:
    points = walk(animals)
    places, orders = exchanged(points)
    linked = link_identities(places, np.arange(len(points)), named=False)
    np.testing.assert_array_equal(linked.sort(places), points)
    np.testing.assert_array_equal(linked.sort(orders[..., None])[..., 0],
                                  np.tile(np.arange(animals), (200, 1)))


@pytest.mark.parametrize('animals', [2, 3, 4])
def test_without_gaps_each_step_is_the_shortest_of_all_orders(
        animals: int) -> None:
    """Places at random: the sum of squares is least, as scipy finds it."""
    places = np.random.default_rng(animals).normal(0, 50, (40, animals, 3))
    linked = link_identities(places, np.arange(40), named=False)
    last = places[0]
    for row in range(1, 40):
        squares = np.square(last[:, None] - places[row]).sum(-1)
        wanted = linear_sum_assignment(squares)[1]
        best = min(permutations(range(animals)),
                   key=lambda order: squares[range(animals), order].sum())
        assert tuple(wanted) == best == tuple(linked.order[row])
        last = places[row][wanted]


def test_gaps_are_bridged_by_the_last_known_places() -> None:
    points = walk(3)
    generator = np.random.default_rng(2)
    points[generator.random((200, 3)) < .2] = NAN
    points[50:60, 1] = NAN
    points[0] = walk(3)[0]
    points[120:124] = NAN  # nobody is found
    places, _ = exchanged(points)
    linked = link_identities(places, np.arange(200), named=False)
    np.testing.assert_array_equal(linked.sort(places), points)


def test_the_longer_ago_the_further_an_animal_may_be() -> None:
    """One was not found for long and is found while the other is not."""
    points = np.zeros((42, 2, 3))
    points[:, 0, 0] = np.arange(42) * 2.
    points[:, 1, 0] = 300.
    points[1:40, 1] = NAN
    points[40:, 1, 0] = 190.  # 110 mm in 40 steps
    points[40, 0] = NAN  # 112 mm from there, a step ago
    places = points.copy()
    places[40:] = places[40:, ::-1]
    linked = link_identities(places, np.arange(42), named=False)
    np.testing.assert_array_equal(linked.sort(places), points)


def test_time_points_left_out_count_as_time() -> None:
    points = walk(2)
    rows = np.sort(np.random.default_rng(3).permutation(200)[:120])
    places, _ = exchanged(points[rows])
    linked = link_identities(places, 1 + 10 * rows, named=False)
    np.testing.assert_array_equal(linked.sort(places), points[rows])


def test_an_animal_found_late_takes_the_number_that_is_left() -> None:
    points = walk(2)
    points[:30, 1] = NAN
    places = points.copy()
    places[30:] = places[30:, ::-1]
    linked = link_identities(places, np.arange(200), named=False)
    np.testing.assert_array_equal(linked.sort(places), points)


def test_maps_that_know_the_animals_outvote_the_first_time_point() -> None:
    points = walk(2)
    places = points.copy()
    places[:3] = places[:3, ::-1]
    for named, wanted in ((True, points), (False, points[:, ::-1])):
        linked = link_identities(places, np.arange(200), named)
        np.testing.assert_array_equal(linked.sort(places), wanted)


def test_maps_name_the_tracks_anew_after_a_doubtful_link() -> None:
    """Both are lost in a huddle; who leaves it, only the maps can tell."""
    points = np.zeros((300, 2, 3))
    away = 3. * abs(np.arange(300) - 150)
    points[:, 0, 0], points[:, 1, 0] = away, -away  # they meet and part
    crossed = points.copy()
    crossed[150:] = crossed[150:, ::-1]  # the maps say that they passed
    apart = abs(np.arange(300) - 150) > 3
    for places in (points, crossed):
        linked = link_identities(places, np.arange(300), named=True)
        np.testing.assert_array_equal(linked.sort(places)[apart],
                                      places[apart])
        assert linked.doubtful[145:155].any()
        assert not linked.doubtful[apart].any()


def test_a_few_exchanged_maps_name_nothing_anew() -> None:
    points = walk(3)
    places = points.copy()
    places[70:78] = places[70:78][:, [1, 0, 2]]
    places[90] = places[90][[2, 0, 1]]
    linked = link_identities(places, np.arange(200), named=True)
    np.testing.assert_array_equal(linked.sort(places), points)
    assert not linked.doubtful.any()


def test_a_label_names_the_tracks_of_all_time_points() -> None:
    points = walk(3)
    places = points[:, [2, 0, 1]]
    labels = np.full_like(points, NAN)
    labels[77] = points[77] + [3, -2, 1]
    labels[77, 1] = NAN
    linked = link_identities(places, np.arange(200), False, labels)
    np.testing.assert_array_equal(linked.sort(places), points)
    # and outweighs a few maps that say otherwise
    linked = link_identities(places[:80], np.arange(80), True, labels[:80])
    np.testing.assert_array_equal(linked.sort(places[:80]), places[:80])
    labels[5:35:3] = points[5:35:3]
    linked = link_identities(places[:80], np.arange(80), True, labels[:80])
    np.testing.assert_array_equal(linked.sort(places[:80]), points[:80])


def test_links_are_doubtful_only_where_another_order_would_do() -> None:
    points = walk(2)
    points[:, 1] = points[:, 0] + [100, 0, 0]
    linked = link_identities(points, np.arange(200), named=False)
    assert not linked.doubtful.any()
    points[100, :, 0] = points[99, :, 0].mean()  # both in one place
    linked = link_identities(points, np.arange(200), named=False)
    assert np.flatnonzero(linked.doubtful).tolist() == [100, 101]


def test_assignment_takes_as_few_impossible_pairs_as_can_be() -> None:
    generator = np.random.default_rng(4)
    for _ in range(50):
        costs = generator.random((4, 4)) * 10**generator.uniform(-6, 6)
        costs[generator.random((4, 4)) < .4] = NAN

        def judge(order: tuple[int, ...], costs: Array = costs
                  ) -> tuple[int, float]:
            taken = costs[range(4), order]
            return int(np.isnan(taken).sum()), float(np.nansum(taken))

        best = min(map(judge, permutations(range(4))))
        found = judge(tuple(best_assignment(costs)))
        assert found[0] == best[0]
        assert found[1] == pytest.approx(best[1], rel=1e-6)
    assert best_assignment(np.full((3, 3), NAN)).tolist() == [0, 1, 2]


def test_none_and_one_time_point() -> None:
    for count in (0, 1):
        linked = link_identities(np.zeros((count, 2, 3)), np.arange(count),
                                 named=True)
        assert linked.order.tolist() == [[0, 1]] * count
        assert not linked.doubtful.any()
    lost = np.full((5, 2, 3), NAN)
    linked = link_identities(lost, np.arange(5), named=True)
    assert linked.order.tolist() == [[0, 1]] * 5
