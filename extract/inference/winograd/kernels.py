"""Winograd's convolution of one block of tiles: transform, products, transform back.

A block holds some tiles of all frames, few enough that its factors stay in the processor's cache.
Over time the convolution is the plain one: the taps of a product are frames of the block. Taps
before the first frame and behind the last are left out.

Arguments that several functions have, all addresses in bytes and strides in floats:

- ``form``: (outputs of a tile's side, side) of the form.
- ``taps``: (count, stride, frames before the first, pixels before the first).
- ``size``: (frames, height, width, channels) of the inputs; of outputs without the channels.
- ``strides``: from frame to frame, row to row and pixel to pixel.
- ``block``: (first tile, tiles, tiles that there is room for, tiles of a row).
- ``factors``: address of ``[side * side, frames, tiles, channels]``.
- ``sums``: address of ``[side * side, frames out, tiles, 16]``.
- ``spare``: address of room for a tile.
"""

from extract.inference.winograd.llvm_vectors import (
    COLUMNS,
    MOST_ROWS,
    fill,
    inputs_of_seven,
    inputs_of_six,
    move,
    outputs_of_f43,
    outputs_of_f44,
    outputs_of_f53,
    product_of_4,
    product_of_5,
    product_of_6,
)
from extract.machine.numba_cache import compiled

BYTES = 4


@compiled(boundscheck=False)
def fold(source, target):  # type: ignore[no-untyped-def]  # numba's types
    """Each 2x2 pixels to one of four times the channels.

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
def transform_inputs(form, source, strides, size, taps, block, factors, spare):  # type: ignore[no-untyped-def]  # numba's types
    """Factors of a block's inputs, which stand at the address ``source``."""
    outputs, side = form
    frames, height, width, channels = size
    by_frame, by_row, by_pixel = strides
    first, count, room, across = block
    plane = frames * room * channels + COLUMNS
    for n in range(count):
        top = (first + n) // across * outputs - taps[3]
        left = (first + n) % across * outputs - taps[3]
        inside = top >= 0 and left >= 0 and top + side <= height and left + side <= width
        for frame in range(frames):
            target = factors + BYTES * (frame * room + n) * channels
            start = source + BYTES * frame * by_frame
            row, pixel = by_row, by_pixel
            begin = start + BYTES * (top * row + left * pixel)
            if not inside:
                for y in range(side):
                    for x in range(side):
                        at = spare + BYTES * (y * side + x) * channels
                        if 0 <= top + y < height and 0 <= left + x < width:
                            place = (top + y) * by_row + (left + x) * by_pixel
                            move((start + BYTES * place, at, channels))
                        else:
                            fill((at, channels))
                begin, row, pixel = spare, side * channels, channels
            if side == 6:
                inputs_of_six((begin, target, row, pixel, plane, channels))
            else:
                inputs_of_seven((begin, target, row, pixel, plane, channels))


@compiled(boundscheck=False)
def multiply(form, size, taps, block, factors, weights, sums, frames_out):  # type: ignore[no-untyped-def]  # numba's types
    """Sums of a block with the ``weights [side * side, taps, channels, 16]`` at that address."""
    side = form[1]
    frames, channels = size[0], size[3]
    taps_all, stride, before = taps[0], taps[1], taps[2]
    count, room = block[1], block[2]
    plane, plane_out = frames * room * channels + COLUMNS, frames_out * room * COLUMNS + COLUMNS
    groups = (count + MOST_ROWS - 1) // MOST_ROWS
    tap = room * channels
    for n in range(side * side):
        for frame in range(frames_out):
            begin = frame * stride - before
            skipped = max(0, -begin)
            used = min(taps_all, frames - begin) - skipped
            panel = weights + BYTES * (n * taps_all + skipped) * channels * COLUMNS
            for group in range(groups):
                row = count * group // groups
                rows = count * (group + 1) // groups - row
                place = n * plane + ((begin + skipped) * room + row) * channels
                source = factors + BYTES * place
                target = sums + BYTES * (n * plane_out + (frame * room + row) * COLUMNS)
                # Fewer than four rows are computed as four: there is room, and nobody reads them.
                if rows == 6:
                    product_of_6((source, panel, target, channels, tap, used, channels))
                elif rows == 5:
                    product_of_5((source, panel, target, channels, tap, used, channels))
                else:
                    product_of_4((source, panel, target, channels, tap, used, channels))


@compiled(boundscheck=False)
def transform_outputs(form, block, sums, bias, target, strides, size, spare):  # type: ignore[no-untyped-def]  # numba's types
    """Outputs of a block in 16 channels, of which ``bias`` and ``target`` are the addresses."""
    outputs, side = form
    frames, height, width = size
    by_frame, by_row, by_pixel = strides
    first, count, room, across = block
    plane = frames * room * COLUMNS + COLUMNS
    for frame in range(frames):
        for n in range(count):
            top, left = (first + n) // across * outputs, (first + n) % across * outputs
            source = sums + BYTES * (frame * room + n) * COLUMNS
            start = target + BYTES * (frame * by_frame + top * by_row + left * by_pixel)
            begin, row, pixel = start, by_row, by_pixel
            inside = top + outputs <= height and left + outputs <= width
            if not inside:
                begin, row, pixel = spare, outputs * COLUMNS, COLUMNS
            if side == 6:
                outputs_of_f43((source, begin, bias, plane, row, pixel))
            elif outputs == 5:
                outputs_of_f53((source, begin, bias, plane, row, pixel))
            else:
                outputs_of_f44((source, begin, bias, plane, row, pixel))
            if not inside:
                for y in range(min(outputs, height - top)):
                    for x in range(min(outputs, width - left)):
                        place = start + BYTES * (y * by_row + x * by_pixel)
                        move((spare + BYTES * (y * outputs + x) * COLUMNS, place, COLUMNS))


@compiled(boundscheck=False)
def convolve(form, taps, inputs, outputs, block, panels, weights, bias, rooms, fresh):  # type: ignore[no-untyped-def]  # numba's types
    """A block of tiles in some of the output channels, with bias and ReLU.

    ``inputs`` and ``outputs`` are (address, strides, size); ``panels`` the first and the end of the
    output channels, in sixteens; ``weights`` the address of ``[panels, side * side, taps, channels,
    16]``; ``rooms`` the addresses of factors, sums and spare. The factors are computed where they
    are to be ``fresh``, and else are this block's already.
    """
    source, strides, size = inputs
    target, strides_out, size_out = outputs
    factors, sums, spare = rooms
    if fresh:
        transform_inputs(form, source, strides, size, taps, block, factors, spare)
    panel_size = form[1] * form[1] * taps[0] * size[3] * COLUMNS
    for panel in range(panels[0], panels[1]):
        begin = weights + BYTES * panel * panel_size
        multiply(form, size, taps, block, factors, begin, sums, size_out[0])
        shift = BYTES * panel * COLUMNS
        transform_outputs(
            form, block, sums, bias + shift, target + shift, strides_out, size_out, spare
        )
