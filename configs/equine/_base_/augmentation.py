# Three strengths, strongest first: what happens to the box, then to pixels.
_flip = dict(type='mmpose_ext.HorseRandomFlip')
_half_body = dict(
    type='RandomHalfBody', min_total_keypoints=13, min_upper_keypoints=5)
augmentations = [
    dict(
        box=[
            _flip, _half_body,
            dict(
                type='RandomBBoxTransform',
                shift_factor=0.16,
                scale_factor=(0.7, 1.3),
                rotate_factor=40)
        ],
        pixels=[
            dict(type='mmpose_ext.HorsePhotometricDistortion'),
            dict(type='mmpose_ext.HorseBlur', limit=5, prob=0.15),
            dict(type='mmpose_ext.HorseBlur', kind='median', limit=5,
                 prob=0.15),
            dict(type='mmpose_ext.HorseGaussNoise', prob=0.15),
            dict(type='mmpose_ext.HorseCoarseDropout', prob=0.15),
            dict(type='mmpose_ext.HorseOcclusion', prob=0.2),
        ]),
    dict(
        box=[
            _flip, _half_body,
            dict(
                type='RandomBBoxTransform',
                shift_factor=0.14, scale_factor=(0.75, 1.25),
                rotate_factor=30)
        ],
        pixels=[
            dict(
                type='mmpose_ext.HorsePhotometricDistortion',
                brightness_delta=24,
                contrast_range=(0.6, 1.4), saturation_range=(0.6, 1.4),
                hue_delta_deg=14),
            dict(type='mmpose_ext.HorseBlur', limit=3, prob=0.1),
            dict(type='mmpose_ext.HorseBlur', kind='median', limit=3,
                 prob=0.1),
        ]),
    dict(
        box=[
            _flip,
            dict(
                type='RandomBBoxTransform',
                shift_factor=0.1, scale_factor=(0.8, 1.2),
                rotate_factor=20)
        ],
        pixels=[
            dict(
                type='mmpose_ext.HorsePhotometricDistortion',
                brightness_delta=16,
                contrast_range=(0.7, 1.3), saturation_range=(0.7, 1.3),
                hue_delta_deg=9)
        ]),
]
del _flip, _half_body
