"""Winograd's convolution of one block of tiles: input transform, products, output transform.

A block holds a few tiles of all frames, so that its transformed inputs stay in the processor's
cache. Over time the convolution is a plain one: the taps of a product are frames of the block. Taps
before the first frame and after the last are skipped.

Common arguments; addresses are in bytes, strides in floats:

- ``tile``: (outputs per side, inputs per side) of a tile.
- ``taps``: (count, stride, frames before the first, pixels before the first).
- ``size``: (frames, height, width, channels) of the inputs; of outputs without the channels.
- ``strides``: from frame to frame, row to row and pixel to pixel.
- ``block``: (first tile, tiles, capacity of the buffers in tiles, tiles per row).
- ``transformed``: address of the inputs ``[side * side, frames, tiles, channels]``.
- ``products``: address of ``[side * side, frames out, tiles, 16]``.
- ``scratch``: address of a buffer for a tile.
"""

from extract.inference.winograd.llvm_vectors import (
    COLUMNS,
    MOST_ROWS,
    copy,
    fill,
    input_transform_6,
    input_transform_7,
    output_transform_f43,
    output_transform_f44,
    output_transform_f53,
    product_4,
    product_5,
    product_6,
)
from extract.machine.numba_cache import compiled

BYTES = 4


@compiled(boundscheck=False)
def space_to_depth(source, target):  # type: ignore[no-untyped-def]  # numba's types
    """Turn each 2x2 pixels into one of four times the channels.

    Args:
        source: ``[H, W, C]``, H and W even.
        target: ``[H/2, W/2, 4 * C]``, channels in order of row, column and source channel.
    """
    height, width, channels = source.shape
    for y in range(height):
        first = y % 2 * 2 * channels
        for x in range(width):
            for c in range(channels):
                target[y // 2, x // 2, first + x % 2 * channels + c] = source[y, x, c]


@compiled(boundscheck=False)
def transform_inputs(tile, source, strides, size, taps, block, transformed, scratch):  # type: ignore[no-untyped-def]  # numba's types
    """Transform a block's inputs, which are at the address ``source``."""
    outputs, side = tile
    frames, height, width, channels = size
    by_frame, by_row, by_pixel = strides
    first, count, capacity, across = block
    plane = frames * capacity * channels + COLUMNS
    for n in range(count):
        top = (first + n) // across * outputs - taps[3]
        left = (first + n) % across * outputs - taps[3]
        inside = top >= 0 and left >= 0 and top + side <= height and left + side <= width
        for frame in range(frames):
            target = transformed + BYTES * (frame * capacity + n) * channels
            start = source + BYTES * frame * by_frame
            row, pixel = by_row, by_pixel
            begin = start + BYTES * (top * row + left * pixel)
            if not inside:
                for y in range(side):
                    for x in range(side):
                        at = scratch + BYTES * (y * side + x) * channels
                        if 0 <= top + y < height and 0 <= left + x < width:
                            place = (top + y) * by_row + (left + x) * by_pixel
                            copy((start + BYTES * place, at, channels))
                        else:
                            fill((at, channels))
                begin, row, pixel = scratch, side * channels, channels
            if side == 6:
                input_transform_6((begin, target, row, pixel, plane, channels))
            else:
                input_transform_7((begin, target, row, pixel, plane, channels))


@compiled(boundscheck=False)
def multiply(tile, size, taps, block, transformed, weights, products, frames_out):  # type: ignore[no-untyped-def]  # numba's types
    """Multiply a block by the ``weights [side * side, taps, channels, 16]`` at that address."""
    side = tile[1]
    frames, channels = size[0], size[3]
    taps_all, stride, before = taps[0], taps[1], taps[2]
    count, capacity = block[1], block[2]
    plane, plane_out = (
        frames * capacity * channels + COLUMNS,
        frames_out * capacity * COLUMNS + COLUMNS,
    )
    groups = (count + MOST_ROWS - 1) // MOST_ROWS
    tap = capacity * channels
    for n in range(side * side):
        for frame in range(frames_out):
            begin = frame * stride - before
            skipped = max(0, -begin)
            used = min(taps_all, frames - begin) - skipped
            panel = weights + BYTES * (n * taps_all + skipped) * channels * COLUMNS
            for group in range(groups):
                row = count * group // groups
                rows = count * (group + 1) // groups - row
                place = n * plane + ((begin + skipped) * capacity + row) * channels
                source = transformed + BYTES * place
                target = products + BYTES * (n * plane_out + (frame * capacity + row) * COLUMNS)
                # Fewer than four rows are computed as four; the buffer has room, nobody reads them.
                if rows == 6:
                    product_6((source, panel, target, channels, tap, used, channels))
                elif rows == 5:
                    product_5((source, panel, target, channels, tap, used, channels))
                else:
                    product_4((source, panel, target, channels, tap, used, channels))


@compiled(boundscheck=False)
def transform_outputs(tile, block, products, bias, target, strides, size, scratch):  # type: ignore[no-untyped-def]  # numba's types
    """Outputs of a block in 16 channels, with ``bias`` and ``target`` at these addresses."""
    outputs, side = tile
    frames, height, width = size
    by_frame, by_row, by_pixel = strides
    first, count, capacity, across = block
    plane = frames * capacity * COLUMNS + COLUMNS
    for frame in range(frames):
        for n in range(count):
            top, left = (first + n) // across * outputs, (first + n) % across * outputs
            source = products + BYTES * (frame * capacity + n) * COLUMNS
            start = target + BYTES * (frame * by_frame + top * by_row + left * by_pixel)
            begin, row, pixel = start, by_row, by_pixel
            inside = top + outputs <= height and left + outputs <= width
            if not inside:
                begin, row, pixel = scratch, outputs * COLUMNS, COLUMNS
            if side == 6:
                output_transform_f43((source, begin, bias, plane, row, pixel))
            elif outputs == 5:
                output_transform_f53((source, begin, bias, plane, row, pixel))
            else:
                output_transform_f44((source, begin, bias, plane, row, pixel))
            if not inside:
                for y in range(min(outputs, height - top)):
                    for x in range(min(outputs, width - left)):
                        place = start + BYTES * (y * by_row + x * by_pixel)
                        copy((scratch + BYTES * (y * outputs + x) * COLUMNS, place, COLUMNS))


@compiled(boundscheck=False)
def convolve(tile, taps, inputs, outputs, block, panels, weights, bias, buffers, fresh):  # type: ignore[no-untyped-def]  # numba's types
    """Convolve a block of tiles in some of the output channels, with bias and ReLU.

    ``inputs`` and ``outputs`` are (address, strides, size); ``panels`` are the first and the end of
    the output channels, in sixteens; ``weights`` is the address of ``[panels, side * side, taps,
    channels, 16]``; ``buffers`` are the addresses of transformed, products and scratch. Unless
    ``fresh``, the transformed inputs are already those of this block.
    """
    source, strides, size = inputs
    target, strides_out, size_out = outputs
    transformed, products, scratch = buffers
    if fresh:
        transform_inputs(tile, source, strides, size, taps, block, transformed, scratch)
    panel_size = tile[1] * tile[1] * taps[0] * size[3] * COLUMNS
    for panel in range(panels[0], panels[1]):
        begin = weights + BYTES * panel * panel_size
        multiply(tile, size, taps, block, transformed, begin, products, size_out[0])
        shift = BYTES * panel * COLUMNS
        transform_outputs(
            tile, block, products, bias + shift, target + shift, strides_out, size_out, scratch
        )
