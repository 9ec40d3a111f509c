"""Kept parts of photographs beside MMPose's own crops of the whole."""
import itertools
import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmpose.datasets.transforms import (
    GetBBoxCenterScale,
    LoadImage,
    RandomBBoxTransform,
    RandomHalfBody,
    TopdownAffine,
)
from mmpose.structures.bbox import flip_bbox
from mmpose.structures.keypoint import flip_keypoints

from mmpose_ext.equine.crop_cache import (
    CropCache,
    Part,
    Reach,
    find_part,
    read_part,
)
from mmpose_ext.equine.datasets import HorsePoseDataset
from mmpose_ext.equine.horse26 import FLIP_INDICES, NAMES, SKELETON
from mmpose_ext.storage import DataError
from mmpose_ext.training.draws import DrawSampler

UPPER, LOWER = list(range(12)), list(range(12, 26))
BOXES = dict(
    large=(200, 150, 900, 600),
    at_corner=(0, 0, 640, 420),
    at_other_corner=(700, 330, 1280, 720),
    small=(600, 300, 700, 420),
    tall=(500, 40, 700, 700))


def photograph(size=(1280, 720), seed=0):
    """A bright picture of soft shapes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 256, (size[1] // 40, size[0] // 40, 3),
                          np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).clip(40)


def sample(path, box, number=1, size=(1280, 720)):
    rng = np.random.default_rng(number)
    corner, side = np.array(box[:2]), np.subtract(box[2:], box[:2])
    return dict(
        id=number,
        img_path=str(path),
        img_size=size,
        bbox=np.array([box], np.float32),
        keypoints=(corner + side * rng.random((1, 26, 2))).astype('f4'),
        keypoints_visible=np.ones((1, 26), np.float32),
        upper_body_ids=UPPER,
        lower_body_ids=LOWER)


def crop(info, shift=(0, 0), scale=1., rotate=0., half=None, flip=False):
    """What MMPose crops from a sample with the draws given."""
    info = GetBBoxCenterScale()(LoadImage()(dict(info)))
    if flip:
        height, width = info['img_shape']
        info['img'] = info['img'][:, ::-1]
        info['bbox_center'] = flip_bbox(
            info['bbox_center'], (width, height), 'center')
        info['keypoints'], _ = flip_keypoints(
            info['keypoints'], info['keypoints_visible'], (width, height),
            list(FLIP_INDICES))
    if half is not None:
        centre, sides = RandomHalfBody()._get_half_body_bbox(
            info['keypoints'][0], half)
        info['bbox_center'], info['bbox_scale'] = centre[None], sides[None]
    info['bbox_center'] = info['bbox_center'] + np.multiply(
        shift, info['bbox_scale'])
    info['bbox_scale'] = info['bbox_scale'] * scale
    info['bbox_rotation'] = np.array([rotate], np.float32)
    info = TopdownAffine((256, 256))(info)
    return info['img'].astype(float), info['transformed_keypoints']


@pytest.fixture
def path(tmp_path):
    cv2.imwrite(str(tmp_path / 'horse.png'), photograph())
    return tmp_path / 'horse.png'


def test_a_point_keeps_its_place_in_the_picture(tmp_path):
    ramp = np.zeros((120, 252, 3), np.uint8)
    ramp[..., 0] = np.arange(252)
    ramp[..., 1] = np.arange(120)[:, None]
    cv2.imwrite(str(tmp_path / 'ramp.png'), ramp)
    for factor in (1, 2, 3, 4, 6):
        part = Part(12, 24, 180 // factor, 84 // factor, factor)
        pixels = read_part(tmp_path / 'ramp.png', part, (252, 120))
        assert pixels.shape == (part.height, part.width, 3)
        for x, y in ((40.25, 60.5), (100., 77.)):
            place = part.to_part(np.array([x, y]))
            for channel, value in enumerate((x, y)):
                found = cv2.getRectSubPix(
                    pixels[..., channel].astype('f4'), (1, 1),
                    tuple(map(float, place)))
                # means are rounded to levels
                assert found.item() == pytest.approx(value, abs=.51)


@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES)
@pytest.mark.parametrize('half', [None, UPPER, LOWER],
                         ids=['whole', 'upper', 'lower'])
def test_crops_are_those_of_the_whole_photograph(path, box, half):
    info = sample(path, box)
    kept = CropCache([info]).load(info)
    whole = dict(info, img=cv2.imread(str(path)))
    draws = itertools.product([(-.16, -.16), (.16, -.16), (.16, .16)],
                              [.7, 1.3], [-40, 0, 40])
    for number, (shift, scale, rotate) in enumerate(draws):
        changes = shift, scale, rotate, half, number % 2 == 1
        stock, stock_points = crop(whole, *changes)
        image, points = crop(kept, *changes)
        np.testing.assert_allclose(points, stock_points, atol=1e-3)
        noise = np.square(image - stock).mean()
        assert noise < 255**2 / 10**3  # 30 dB


def test_nothing_that_a_crop_can_show_is_left_out(tmp_path):
    white = np.full((720, 1280, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / 'white.png'), white)
    rng = np.random.default_rng(0)
    for name, box in BOXES.items():
        info = sample(tmp_path / 'white.png', box)
        part = CropCache([info]).load(info)
        whole = dict(info, img=white)
        for _ in range(60):
            draws = (rng.choice([-.16, .16], 2), rng.uniform(.7, 1.3),
                     rng.uniform(-40, 40),
                     [None, UPPER, LOWER][rng.integers(3)])
            stock, kept = crop(whole, *draws)[0], crop(part, *draws)[0]
            # black only where the photograph ends, but for its last pixels;
            # it may end just beyond the crop
            near = np.ones((9, 9))
            inside = cv2.erode(stock, near, borderValue=(0, ) * 3) == 255
            assert inside.any() and (kept[inside] == 255).all(), name
            outside = cv2.dilate(stock, near, borderValue=(255, ) * 3) == 0
            assert (kept[outside] == 0).all(), name


@pytest.mark.parametrize('half', [None, UPPER], ids=['whole', 'half'])
def test_the_farthest_crops_lie_inside_the_part(tmp_path, half):
    white = np.full((720, 1280, 3), 255, np.uint8)
    cv2.imwrite(str(tmp_path / 'white.png'), white)
    info = sample(tmp_path / 'white.png', BOXES['small'])
    info['keypoints_visible'][:, LOWER if half else slice(None)] = 0
    part = CropCache([info]).load(info)
    for shift, rotate in itertools.product(
            itertools.product([-.16, .16], repeat=2), [-40, 40]):
        stock, _ = crop(dict(info, img=white), shift, 1.3, rotate, half)
        kept, _ = crop(part, shift, 1.3, rotate, half)
        assert (stock == 255).all()
        assert (kept == 255).all()


def test_a_part_has_the_pixels_that_the_network_sees(path):
    part = find_part(sample(path, BOXES['large']), 256, Reach())
    assert part.factor == 3  # 1.25 * 700 px / 256 px
    assert find_part(sample(path, BOXES['small']), 256, Reach()).factor == 1
    assert (part.left, part.top) == (0, 0)
    assert (part.width, part.height) == (427, 240)
    small = find_part(sample(path, BOXES['small']), 256, Reach())
    assert small.width < 1280 / 2 and small.left > 0


def test_reduction_by_libjpeg_is_that_of_squares(tmp_path):
    picture = photograph()
    cv2.imwrite(str(tmp_path / 'a.jpg'), picture)
    whole = cv2.imread(str(tmp_path / 'a.jpg'))
    for factor in (2, 4, 6, 8):
        part = Part(factor * 10, factor * 5, 40, 30, factor)
        corner = whole[part.top:part.top + 30 * factor,
                       part.left:part.left + 40 * factor].astype(float)
        means = corner.reshape(30, factor, 40, factor, 3).mean((1, 3))
        found = read_part(tmp_path / 'a.jpg', part, (1280, 720))
        assert np.abs(found - means).mean() < 1
        assert np.abs(found - means).max() < 12


def test_sizes_that_are_no_multiple_end_in_black(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.full((101, 203, 3), 200, 'u1'))
    part = Part(0, 0, 102, 51, 2)
    pixels = read_part(tmp_path / 'a.jpg', part, (203, 101))
    assert pixels.shape == (51, 102, 3)
    np.testing.assert_array_equal(pixels[:-1, :-1], 200)
    np.testing.assert_array_equal(pixels[:-1, -1], 100)
    np.testing.assert_array_equal(pixels[-1, -1], 50)


def test_photographs_are_read_once(path):
    info = sample(path, BOXES['large'])
    cache = CropCache([info])
    first = cache.load(info)
    path.unlink()
    again = cache.load(info)
    np.testing.assert_array_equal(first['img'], again['img'])
    assert not again['img'].flags.writeable
    assert 'img' not in info and info['bbox'][0, 2] == 900


def test_what_does_not_fit_is_read_each_time_and_looks_the_same(path):
    infos = [sample(path, box, number)
             for number, box in enumerate(BOXES.values())]
    ample, scarce, none = (
        CropCache(infos, megabytes=m) for m in (100, .5, 0))
    assert str(ample).startswith('5 of 5 crops kept, ')
    assert scarce.used <= .5 * 2**20
    assert str(scarce)[0] in '1234' and str(none).startswith('0 of 5')
    for _ in range(2):
        for info in reversed(infos):
            expected = ample.load(info)
            for other in (scarce, none):
                found = other.load(info)
                for key in ('img', 'bbox', 'keypoints'):
                    np.testing.assert_array_equal(
                        found[key], expected[key])


def test_a_copy_for_a_spawned_process_has_no_memory_but_the_samples(path):
    info = sample(path, BOXES['tall'])
    cache = CropCache([info])
    expected = cache.load(info)['img']
    text = pickle.dumps(cache)
    assert len(text) < 5000
    copy = pickle.loads(text)
    np.testing.assert_array_equal(copy.load(info)['img'], expected)
    assert copy._filled is None


class Samples(torch.utils.data.Dataset):
    def __init__(self, infos):
        self.infos, self.cache = infos, CropCache(infos)

    def __len__(self):
        return len(self.infos)

    def __getitem__(self, index):
        return self.cache.load(self.infos[index])['img'].copy()


@pytest.mark.dist
def test_what_workers_read_is_there_for_all(tmp_path):
    infos = []
    for number, box in enumerate(BOXES.values()):
        path = tmp_path / f'{number}.png'
        cv2.imwrite(str(path), photograph(seed=number))
        infos.append(sample(path, box, number))
    samples = Samples(infos)
    loader = torch.utils.data.DataLoader(
        samples, batch_size=None, num_workers=2,
        multiprocessing_context='fork')
    first = [image.numpy() for image in loader]
    for info in infos:
        (tmp_path / f'{info["id"]}.png').unlink()
    for index, image in enumerate(first):
        np.testing.assert_array_equal(samples[index], image)
    for index, image in enumerate(loader):
        np.testing.assert_array_equal(image.numpy(), first[index])


def write_coco(folder, count=6):
    """A data set of one horse a photograph."""
    rng = np.random.default_rng(5)
    images, annotations = [], []
    for number in range(count):
        name = f'{number}.jpg'
        cv2.imwrite(str(folder / name), photograph((640, 360), number))
        images.append(dict(id=number, file_name=name, width=640, height=360))
        x, y = rng.uniform(0, 250), rng.uniform(0, 100)
        points = np.full((26, 3), 2.)
        points[:, :2] = (x, y) + rng.random((26, 2)) * (350, 240)
        annotations.append(dict(
            id=number, image_id=number, category_id=1, iscrowd=0,
            bbox=[x, y, 350, 240], area=44520, num_keypoints=26,
            keypoints=points.ravel().tolist()))
    (folder / 'horses.json').write_text(json.dumps(dict(
        images=images, annotations=annotations, categories=[dict(
            id=1, name='horse', supercategory='animal',
            keypoints=list(NAMES),
            skeleton=[[a + 1, b + 1] for a, b in SKELETON])])))


@pytest.mark.dist
def test_memory_and_workers_do_not_change_what_a_sample_looks_like(tmp_path):
    write_coco(tmp_path)

    def dataset(**cache):
        return HorsePoseDataset(
            data_root=str(tmp_path), ann_file='horses.json', cache=cache,
            data_prefix=dict(img=''), pipeline=[
                dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
                dict(type='mmpose_ext.HorseRandomFlip'),
                dict(type='RandomHalfBody', min_total_keypoints=13),
                dict(type='RandomBBoxTransform', scale_factor=(.7, 1.3),
                     rotate_factor=40.),
                dict(type='TopdownAffine', input_size=(128, 128)),
                dict(type='mmpose_ext.HorsePhotometricDistortion'),
                dict(type='mmpose_ext.HorseGaussNoise', prob=.5),
                dict(type='mmpose_ext.HorseOcclusion', prob=.5),
                dict(type='PackPoseInputs', pack_transformed=True)])

    def epochs(samples, workers, epochs=2):
        sampler = DrawSampler(samples, seed=3)
        loader = torch.utils.data.DataLoader(
            samples, batch_size=None, num_workers=workers, sampler=sampler,
            multiprocessing_context='fork' if workers else None)
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            for item in loader:
                points = item['data_samples'].gt_instances
                yield item['inputs'], points.transformed_keypoints

    with DefaultScope.overwrite_default_scope('mmpose'):
        runs = [epochs(dataset(side=128, megabytes=megabytes), workers)
                for megabytes, workers in ((50, 0), (50, 2), (.2, 2), (0, 1))]
        seen = 0
        for items in zip(*runs, strict=True):
            seen += 1
            for other, points in items[1:]:
                assert torch.equal(other, items[0][0])
                np.testing.assert_array_equal(points, items[0][1])
    assert seen == 12


def test_pictures_that_are_not_as_annotated_are_refused(path, tmp_path):
    turned = sample(path, BOXES['small'], size=(720, 1280))
    with pytest.raises(DataError, match='720 x 1280 px.*1280 x 720.*EXIF'):
        CropCache([turned]).load(turned)
    (tmp_path / 'text.jpg').write_text('no picture')
    broken = sample(tmp_path / 'text.jpg', BOXES['small'])
    with pytest.raises(DataError, match='a picture'):
        CropCache([broken]).load(broken)
    gone = sample(tmp_path / 'gone.jpg', BOXES['small'])
    with pytest.raises(DataError, match='a file, found nothing'):
        CropCache([gone]).load(gone)


def test_a_pipeline_that_shows_more_than_is_kept_is_refused(path):
    cache = CropCache([sample(path, BOXES['small'])])

    def pipeline(size=256, **changes):
        return Compose([
            GetBBoxCenterScale(), RandomHalfBody(),
            RandomBBoxTransform(**{
                **dict(scale_factor=(.7, 1.3), rotate_factor=40),
                **changes
            }),
            TopdownAffine((size, size))
        ])

    cache.check_pipeline(pipeline())
    cache.check_pipeline(pipeline(scale_factor=(.8, 1.2), rotate_factor=20))
    for changes in (dict(rotate_factor=80.), dict(scale_factor=(.5, 1.5)),
                    dict(shift_factor=.3)):
        with pytest.raises(ValueError, match='cache.reach'):
            cache.check_pipeline(pipeline(**changes))
    with pytest.raises(ValueError, match='cache.side'):
        cache.check_pipeline(pipeline(size=384))
    wide = CropCache([sample(path, BOXES['small'])],
                     reach=dict(rotate_deg=80))
    wide.check_pipeline(pipeline(rotate_factor=80.))
