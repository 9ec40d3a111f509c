# As hrnet-w32_parity, from AnimalPose's weights.
_base_ = ['hrnet-w32_parity_1xb16-300e_horse26-256x256.py']
pretrained = 'checkpoints/' \
    'hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth'
randomness = dict(seed=42)
