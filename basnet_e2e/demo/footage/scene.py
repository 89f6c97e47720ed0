"""One frame of generated footage: a drifting background, actors that come and go, sensor noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from basnet_e2e.demo.footage.actors import Look, Motion, paint, pose, random_look, random_motion
from basnet_e2e.demo.footage.backgrounds import background
from basnet_e2e.demo.footage.worlds import World, draw

FADE = 0.3
"""Seconds in which an actor appears and disappears."""


@dataclass(frozen=True)
class Act:
    """A stretch of one motion: from ``start`` until ``end`` seconds of the video."""

    motion: Motion
    start: float
    end: float


@dataclass(frozen=True)
class Actor:
    """One actor on stage from its first act's start to its last act's end.

    Attributes:
        look: what it looks like.
        x: column of its place, in picture heights from the picture's centre.
        y: row of its place, likewise.
        radius: in picture heights.
        acts: what it does, in order and without gaps; each act begins where the last one left it.
    """

    look: Look
    x: float
    y: float
    radius: float
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Camera:
    """Slow drift of the view over the background; lengths in picture heights."""

    amplitude: tuple[float, float]
    period: tuple[float, float]
    phase: tuple[float, float]

    def view(self, time: float) -> tuple[float, float]:
        """How far the view lies right and down of its mean at ``time`` seconds."""
        right, down = (
            amplitude * np.sin(2 * np.pi * time / period + phase)
            for amplitude, period, phase in zip(
                self.amplitude, self.period, self.phase, strict=True
            )
        )
        return float(right), float(down)


@dataclass(frozen=True)
class Scene:
    """All that a video shows.

    Attributes:
        world: frame size and rate.
        backdrop: background, larger than the view, ``[H, W, 3] float32`` in 0..255.
        camera: drift of the view.
        actors: everything that is on stage at some time.
        noise: standard deviation of the sensor noise, in grey levels.
        seed: seed of the noise.
    """

    world: World
    backdrop: NDArray[np.float32] = field(repr=False)
    camera: Camera
    actors: tuple[Actor, ...]
    noise: float
    seed: int


def random_scene(rng: Generator, world: World, actors: Sequence[Actor]) -> Scene:
    """The given actors before a random background and under a random camera of the world."""
    family = str(rng.choice(world.backgrounds))
    margin = int(world.pan[1] * world.height) + 2
    return Scene(
        world=world,
        backdrop=background(rng, family, world.height + 2 * margin, world.width + 2 * margin),
        camera=Camera(
            amplitude=(draw(rng, world.pan), draw(rng, world.pan)),
            period=(draw(rng, world.pan_period), draw(rng, world.pan_period)),
            phase=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
        ),
        actors=tuple(actors),
        noise=draw(rng, world.noise),
        seed=int(rng.integers(2**31)),
    )


def random_actor(
    rng: Generator, world: World, pattern: str, acts: Sequence[tuple[str, float, float]]
) -> Actor:
    """An actor of the given pattern near the middle of the view.

    Args:
        rng: source of randomness.
        world: ranges of size and speed.
        pattern: its look.
        acts: ``(motion name, start, end)`` in seconds, in order and without gaps.
    """
    return Actor(
        look=random_look(rng, pattern),
        x=float(rng.uniform(-0.13, 0.13)),
        y=float(rng.uniform(-0.05, 0.15)),
        radius=draw(rng, world.radius),
        acts=tuple(Act(random_motion(rng, name, world), start, end) for name, start, end in acts),
    )


def frames(scene: Scene, duration: float) -> Iterator[NDArray[np.uint8]]:
    """Frames of a scene, ``[H, W, 3] uint8``, from 0 to ``duration`` seconds."""
    rng = np.random.default_rng(scene.seed)
    count = round(duration * scene.world.fps)
    height, width = scene.world.height, scene.world.width
    # One frame's worth of noise is cut from a larger sheet at a random place: much faster than
    # drawing it again, and never the same twice in a row.
    sheet = rng.standard_normal((2 * height, 2 * width, 3), dtype=np.float32) * scene.noise
    for number in range(count):
        picture = render(scene, number / scene.world.fps)
        row, column = rng.integers(height), rng.integers(width)
        picture += sheet[row : row + height, column : column + width]
        yield np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def render(scene: Scene, time: float) -> NDArray[np.float32]:
    """The picture at ``time`` seconds without noise, ``[H, W, 3] float32`` in 0..255."""
    height, width = scene.world.height, scene.world.width
    right, down = scene.camera.view(time)
    picture = window(scene.backdrop, down * height, right * height, height, width)
    for actor in scene.actors:
        begin, end = actor.acts[0].start, actor.acts[-1].end
        if not begin <= time < end:
            continue
        dx, dy, angle = placement(actor, time)
        paint(
            picture,
            actor.look,
            # The camera's drift moves actors as it moves the background.
            x=width / 2 + (actor.x + dx - right) * height,
            y=height / 2 + (actor.y + dy - down) * height,
            radius=actor.radius * height,
            angle=angle,
            opacity=min(1.0, (time - begin) / FADE, (end - time) / FADE),
        )
    return picture


def placement(actor: Actor, time: float) -> tuple[float, float, float]:
    """Offset (right, down, in picture heights) and angle of an actor at ``time`` seconds."""
    right = down = angle = 0.0
    for act in actor.acts:
        if time < act.start:
            break
        now = pose(act.motion, min(time, act.end) - act.start)
        right, down, angle = right + now.right, down + now.down, angle + now.angle
    return right, down, angle


def window(
    texture: NDArray[np.float32], down: float, right: float, height: int, width: int
) -> NDArray[np.float32]:
    """A view of a texture ``[H, W, 3]`` at a fractional offset in pixels from its middle, bilinear.

    The offset must leave the view within the texture.
    """
    down += (texture.shape[0] - height) / 2
    right += (texture.shape[1] - width) / 2
    row, column = int(np.floor(down)), int(np.floor(right))
    y, x = np.float32(down - row), np.float32(right - column)
    part = texture[row : row + height + 1, column : column + width + 1]
    part = part[:-1] * (1 - y) + part[1:] * y
    return part[:, :-1] * (1 - x) + part[:, 1:] * x
