"""Features of a volume at points between its voxels."""
from __future__ import annotations

import torch
from torch import Tensor


def sample_features(features: Tensor, points: Tensor,
                    offsets: Tensor) -> Tensor:
    """Interpolate features at points, trilinearly.

    Only the eight voxels about each point are read, in whatever memory format
    the features are. Outside of the cube features are 0; they fade out over
    the last half voxel.

    Differs from the original: there a point lies up to one voxel from where
    its features are read. Here a voxel's value is that at its middle on every
    level, also where the voxels are 2 or 4 times as wide as those of the
    grid.

    Args:
        features (Tensor): (M, C, m, m, m), axes [y, x, z], over the same cube
            as the grid; m may be any number of voxels.
        points (Tensor): (M, K, 3) x, y, z in the grid's axes, mm. They get a
            gradient, too.
        offsets (Tensor): (n, ), centres of the grid's own voxels along every
            axis, mm.

    Returns:
        Tensor: (M, K, C), at least float32.
    """
    side = features.shape[-1]
    voxel = offsets[1] - offsets[0]
    # in voxels of these features, 0 at the middle of the first
    place = ((points - offsets[0]) / voxel + .5) * (
        side / len(offsets)) - .5
    low = place.detach().floor()
    share = place - low  # of the upper neighbour, per axis
    both = torch.stack([low, low + 1], -1)  # (M, K, 3, 2)
    weight = torch.stack([1 - share, share], -1)
    # comparisons with NaN are false
    inside = (both >= 0) & (both < side)
    weight = torch.where(inside, weight, 0.)
    index = torch.where(inside, both, 0.).long()
    x, y, z = index.unbind(-2)
    flat = ((y[..., :, None, None] * side + x[..., None, :, None]) * side
            + z[..., None, None, :]).flatten(2)
    a, b, c = weight.unbind(-2)
    weights = (b[..., :, None, None] * a[..., None, :, None]
               * c[..., None, None, :]).flatten(2)
    # a view of volumes in either order, so that nothing large is copied
    rows = features.movedim(1, -1).flatten(1, 3)
    number = torch.arange(len(rows), device=rows.device)[:, None, None]
    corners = rows[number, flat]
    corners = corners.to(torch.promote_types(corners.dtype, torch.float32))
    return (corners * weights.unsqueeze(-1)).sum(-2)
