# As hrnet-w32_ap10k, from AnimalPose's weights: 20 points, ears and withers
# among them.
_base_ = ['hrnet-w32_ap10k_horse26-256x256.py']
pretrained = 'checkpoints/' \
    'hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth'
randomness = dict(seed=42)
