"""TV-L1's inner loops as Triton kernels: the linearised warp, and one or two primal-dual steps.

Operations, their order and their rounding are those of ``extract.flow.tvl1.numba_engine``, so both
give the same bits if launched with ``enable_fp_fusion=False``. Within a launch, no program reads
what another writes, so there is nothing to synchronise.

A step reads ten floats per pixel and writes six, 64 bytes; ``steps`` takes two steps for these. A
GPU warp moves down a strip of ``LANES`` columns, one pixel per thread, with the row above in
registers: the second step follows one row behind the first, as in the CPU engine. Neighbours in a
row are shuffled between threads. A strip stores only ``OWNED`` of its columns, because the outer
ones, like the first and last rows, lack a neighbour; adjacent strips compute them as well.

Layout, for P pairs of ``[H, W]``:
    state ``[2, 6, P, H, W]``: u, v, ux, uy, vx, vy. A launch reads one half and writes the other.
    linear ``[4, P, H, W]``: ix, iy, rho_c, inverse.
    status ``[2, P] int32``: the half with a pair's newest state, plus ``STOPPED`` once it has met
        the stop test. A launch reads row ``slot`` and writes the other.
    sums ``[2, P, programs] float64``: square changes of the flow; rows as in ``status``.
"""

import triton
import triton.language as tl

LANES = tl.constexpr(32)
"""Columns of a strip: one per thread of a warp, so that a shift by a column is a shuffle."""
OWNED = tl.constexpr(28)
"""Columns that a strip stores: two steps lose two on either side."""
STOPPED = tl.constexpr(2)
FIELDS = tl.constexpr(6)
FLAT = tl.constexpr(1.1920928955078125e-07)
"""Squared gradients below this have no direction (float32 epsilon)."""
CHUNK = tl.constexpr(128)


@triton.jit
def _cubic_weights(t):  # type: ignore[no-untyped-def]  # triton's types
    """Weights of the neighbours at -1, 0, 1, 2: Keys' kernel with a = -0.5."""
    return (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


@triton.jit
def _column(pixel, stride, mask, weights):  # type: ignore[no-untyped-def]  # triton's types
    """Four pixels below each other, weighted: the image and its two differences."""
    value = tl.load(pixel, mask, 0.0) * weights[0]
    across = tl.load(pixel + 1, mask, 0.0) * weights[0]
    down = tl.load(pixel + 2, mask, 0.0) * weights[0]
    for n in tl.static_range(1, 4):
        value += tl.load(pixel + n * stride, mask, 0.0) * weights[n]
        across += tl.load(pixel + n * stride + 1, mask, 0.0) * weights[n]
        down += tl.load(pixel + n * stride + 2, mask, 0.0) * weights[n]
    return value, across, down


@triton.jit(
    do_not_specialize=["slot", "pairs", "height", "width"],
    do_not_specialize_on_alignment=["first"],
)
def linearise(first, taps, state, linear, status, slot, pairs, height, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # triton's types
    """Linearise the second image at the flow of ``state``, and restart all pairs.

    Grid: pixels / ``BLOCK``, pairs. ``first [P, H, W]``; ``taps [P, H + 4, W + 4, 4]``, see
    ``extract.flow.tvl1.warp.interleave``.
    """
    pair = tl.program_id(1).to(tl.int64)
    half = tl.load(status + slot * pairs + pair) % STOPPED
    if tl.program_id(0) == 0:
        tl.store(status + (1 - slot) * pairs + pair, half)
    size = height.to(tl.int64) * width
    plane = pairs * size
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = place < size
    row, column = place // width, place % width
    flow = state + (half * FIELDS * plane + pair * size) + place
    u = tl.load(flow, mask, 0.0)
    v = tl.load(flow + plane, mask, 0.0)
    right_most, lower_most = (width - 1).to(tl.float32), (height - 1).to(tl.float32)
    x, y = column.to(tl.float32) + u, row.to(tl.float32) + v
    # Pixels that move out of the frame have no data term; smoothness alone determines their flow.
    visible = ((x >= 0) & (x <= right_most) & (y >= 0) & (y <= lower_most)).to(tl.float32)
    x = tl.minimum(tl.maximum(x, 0.0), right_most)
    y = tl.minimum(tl.maximum(y, 0.0), lower_most)
    left, upper = x.to(tl.int32), y.to(tl.int32)
    stride = (width + 4) * 4
    corner = taps + pair * (height + 4) * stride
    corner += (upper + 1) * stride + (left + 1) * 4
    wx, wy = _cubic_weights(x - left.to(tl.float32)), _cubic_weights(y - upper.to(tl.float32))
    v0, x0, y0 = _column(corner, stride, mask, wy)
    v1, x1, y1 = _column(corner + 4, stride, mask, wy)
    v2, x2, y2 = _column(corner + 8, stride, mask, wy)
    v3, x3, y3 = _column(corner + 12, stride, mask, wy)
    value = (v0 * wx[0] + v2 * wx[2]) + (v1 * wx[1] + v3 * wx[3])
    ix = visible * ((x0 * wx[0] + x2 * wx[2]) + (x1 * wx[1] + x3 * wx[3]))
    iy = visible * ((y0 * wx[0] + y2 * wx[2]) + (y1 * wx[1] + y3 * wx[3]))
    rho_c = visible * (value - tl.load(first + pair * size + place, mask, 0.0)) - ix * u - iy * v
    inverse = tl.div_rn(1.0, tl.maximum(ix * ix + iy * iy, FLAT))
    out = linear + pair * size + place
    tl.store(out, ix, mask)
    tl.store(out + plane, iy, mask)
    tl.store(out + 2 * plane, rho_c, mask)
    tl.store(out + 3 * plane, inverse, mask)


@triton.jit
def _row(now, linear, above, x, y, lane, size, numbers):  # type: ignore[no-untyped-def]  # triton's types
    """A primal step on row ``y`` and a dual step on the row above.

    ``now``: flow and dual variables of the row before the step. ``linear``: its ix, iy, rho_c,
    inverse. ``above``: of the row above, the flow after and the dual variables before this step.
    ``x``, ``lane``: columns of the image and of the strip. ``numbers``: threshold, theta, tau /
    theta.

    Returns:
        ``above`` for the next row; flow and dual variables of the row above after the step; square
        changes of the flow of the row.
    """
    height, width = size
    threshold, theta, tau_over_theta = numbers
    u, v, ux, uy, vx, vy = now
    ix, iy, rho_c, inverse = linear
    above_u, above_v, above_ux, above_uy, above_vx, above_vy = above
    # Thresholding (Zach et al., proposition 3).
    move = (rho_c + ix * u + iy * v) * inverse
    move = tl.maximum(tl.minimum(move, threshold), -threshold)
    # Divergence of the dual variables: backward differences, zero before the border.
    left = tl.maximum(lane - 1, 0)
    left_ux = tl.where(x > 0, tl.gather(ux, left, 1), 0.0)
    left_vx = tl.where(x > 0, tl.gather(vx, left, 1), 0.0)
    top_uy = tl.where(y > 0, above_uy, 0.0)
    top_vy = tl.where(y > 0, above_vy, 0.0)
    du = theta * ((ux - left_ux) + (uy - top_uy)) - move * ix
    dv = theta * ((vx - left_vx) + (vy - top_vy)) - move * iy
    new_u, new_v = u + du, v + dv
    # The last column has no right neighbour, the last row none below it.
    right = tl.minimum(lane + 1, LANES - 1)
    inside, over = x < width - 1, y < height
    u_x = tl.where(inside, tl.gather(above_u, right, 1) - above_u, 0.0)
    v_x = tl.where(inside, tl.gather(above_v, right, 1) - above_v, 0.0)
    u_y = tl.where(over, new_u - above_u, 0.0)
    v_y = tl.where(over, new_v - above_v, 0.0)
    # Semi-implicit step of Chambolle (2004).
    shrink_u = tl.div_rn(1.0, tau_over_theta * tl.sqrt_rn(u_x * u_x + u_y * u_y) + 1.0)
    shrink_v = tl.div_rn(1.0, tau_over_theta * tl.sqrt_rn(v_x * v_x + v_y * v_y) + 1.0)
    done = (
        above_u,
        above_v,
        (above_ux + tau_over_theta * u_x) * shrink_u,
        (above_uy + tau_over_theta * u_y) * shrink_u,
        (above_vx + tau_over_theta * v_x) * shrink_v,
        (above_vy + tau_over_theta * v_y) * shrink_v,
    )
    return (new_u, new_v, ux, uy, vx, vy), done, du * du + dv * dv


@triton.jit
def _loaded(fields, plane, mask, COUNT: tl.constexpr):  # type: ignore[no-untyped-def]  # triton's types
    """Load ``COUNT`` fields, 4 or 6, that are ``plane`` floats apart."""
    a, b = tl.load(fields, mask, 0.0), tl.load(fields + plane, mask, 0.0)
    c, d = tl.load(fields + 2 * plane, mask, 0.0), tl.load(fields + 3 * plane, mask, 0.0)
    if COUNT == 4:
        return a, b, c, d
    else:  # Triton compiles one of two branches
        e, f = tl.load(fields + 4 * plane, mask, 0.0), tl.load(fields + 5 * plane, mask, 0.0)
        return a, b, c, d, e, f


@triton.jit
def _changed_more(sums, programs, limit):  # type: ignore[no-untyped-def]  # triton's types
    """Whether the square change of a pair, the sum over all programs, is above the limit."""
    change = tl.zeros((CHUNK,), tl.float64)
    for start in range(0, programs, CHUNK):
        place = start + tl.arange(0, CHUNK)
        change += tl.load(sums + place, place < programs, 0.0)
    return tl.sum(change) > tl.load(limit)


@triton.jit
def _pieces(  # type: ignore[no-untyped-def]  # triton's types
    source,
    target,
    linear,
    plane,
    x,
    first,
    segment,
    lane,
    size,
    numbers,
    STEPS: tl.constexpr,
):
    """Steps on rows ``first`` to ``first + segment`` of strips; the square change per thread.

    ``source``, ``target``: flow and dual variables of a pair, to read and to write, ``plane``
    floats from field to field. ``x``, ``lane``: columns of the image and of the strips, ``[GROUP,
    LANES]``. ``first [GROUP, 1]``: first rows. ``numbers``: threshold, theta, tau / theta.
    """
    height, width = size
    last = tl.minimum(first + segment, height)
    inside = (x >= 0) & (x < width)
    own = (lane >= STEPS) & (lane < STEPS + OWNED) & inside
    nothing = tl.zeros(x.shape, tl.float32)
    above = (nothing, nothing, nothing, nothing, nothing, nothing)
    above_two, held = above, (nothing, nothing, nothing, nothing)
    total = tl.zeros(x.shape, tl.float64)
    for n in range(0, segment + 2 * STEPS):
        y = first - STEPS + n
        place = y * width + x
        mask = inside & (y >= 0) & (y < height)
        now = _loaded(source + place, plane, mask, 6)
        row = _loaded(linear + place, plane, mask, 4)
        above, done, change = _row(now, row, above, x, y, lane, size, numbers)
        if STEPS == 2:
            above_two, done, change = _row(done, held, above_two, x, y - 1, lane, size, numbers)
            held = row
        moved = y - (STEPS - 1)
        counted = own & (moved >= first) & (moved < last)
        total += tl.where(counted, change, 0.0).to(tl.float64)
        out = y - STEPS
        mask = own & (out >= first) & (out < last)
        to = target + (out * width + x)
        for field in tl.static_range(6):
            tl.store(to + field * plane, done[field], mask)
    return total


@triton.jit(do_not_specialize=["slot", "tested", "pairs", "height", "width", "strips", "segment"])
def steps(  # type: ignore[no-untyped-def]  # triton's types
    state,
    linear,
    sums,
    status,
    limit,
    slot,
    tested,
    pairs,
    height,
    width,
    strips,
    segment,
    threshold,
    theta,
    tau_over_theta,
    STEPS: tl.constexpr,
    GROUP: tl.constexpr,
):
    """Take ``STEPS`` (1 or 2) primal-dual steps on all pairs that have not met the stop test.

    Grid: pieces of the image / ``GROUP``, pairs. A piece is ``segment`` rows of one of ``strips``
    strips. ``limit [1] float64``: square change at which a pair stops. If ``tested``, the stop test
    runs first, on the change in the last launch.
    """
    group, pair = tl.program_id(0), tl.program_id(1).to(tl.int64)
    programs = tl.num_programs(0)
    was = tl.load(status + slot * pairs + pair)
    running = was < STOPPED
    if tested:
        running = running & _changed_more(sums + (slot * pairs + pair) * programs, programs, limit)
    half = was % STOPPED
    if group == 0:
        tl.store(status + (1 - slot) * pairs + pair, tl.where(running, 1 - half, half + STOPPED))
    if running:
        piece = group * GROUP + tl.arange(0, GROUP)[:, None]
        lane = tl.arange(0, LANES)[None, :] + tl.zeros((GROUP, LANES), tl.int32)
        x = piece % strips * OWNED - STEPS + lane
        pixels = height.to(tl.int64) * width
        plane = pairs * pixels
        source = state + (half * FIELDS * plane + pair * pixels)
        target = state + ((1 - half) * FIELDS * plane + pair * pixels)
        data, first = linear + pair * pixels, piece // strips * segment
        size, numbers = (height, width), (threshold, theta, tau_over_theta)
        change = _pieces(source, target, data, plane, x, first, segment, lane, size, numbers, STEPS)
        tl.store(sums + ((1 - slot) * pairs + pair) * programs + group, tl.sum(change))
