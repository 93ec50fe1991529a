"""The sample photo: three people before a plain wall, drawn by this file and so free of anybody's rights.

`python -m simulators.sample` writes it anew. It is the same on every machine: every wrinkle comes from a seeded random
number, and only the JPEG encoder may round otherwise. A person's outlines are in halves of a head's height, from the
point between the eyes, to the right and downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

SAMPLE = Path(__file__).with_name("assets") / "sample.jpg"
SIZE = (1800, 1200)
FINER = 3  # outlines are drawn this much larger and reduced: smooth edges

Point = tuple[float, float]
Outline = Sequence[Point]


def path(text: str, *, mirrored: bool = False, steps: int = 10) -> list[Point]:
    """A closed, smooth (Catmull-Rom) outline through points `x,y x,y …`; `mirrored` adds the left half to a right."""
    points = [(float(x), float(y)) for x, y in (point.split(",") for point in text.split())]
    if mirrored:
        points += [(-x, y) for x, y in reversed(points) if x]
    outline = []
    for index in range(len(points)):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (points[(index + near) % len(points)] for near in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            doubled = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            a, b, c, d = (weight / 2 for weight in doubled)
            outline.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return outline


def ellipse(x: float, y: float, across: float, down: float) -> list[Point]:
    """An outline around (x, y) with these radii."""
    turns = [math.tau * step / 48 for step in range(48)]
    return [(x + across * math.cos(turn), y + down * math.sin(turn)) for turn in turns]


def stroke(text: str, *, across: float = 0, down: float = 0) -> list[Point]:
    """A bent line (start, pull, end) that swells to this width in its middle."""
    (ax, ay), (bx, by), (cx, cy) = ((float(x), float(y)) for x, y in (point.split(",") for point in text.split()))
    outline = []
    for t, side in [(step / 24, 0.5) for step in range(25)] + [(step / 24, -0.5) for step in range(24, -1, -1)]:
        x, y = ((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c for a, b, c in ((ax, bx, cx), (ay, by, cy)))
        swell = side * math.sin(math.pi * t)
        outline.append((x + across * swell, y + down * swell))
    return outline


FACE = path("0,-1 .42,-.93 .67,-.58 .73,-.08 .69,.36 .54,.7 .27,.94 0,1", mirrored=True)
NECK = path("0,.4 .33,.5 .33,.9 .38,1.14 .62,1.32 .34,1.66 0,1.86", mirrored=True)
BODY = path(".3,1.16 .8,1.32 1.3,1.5 1.6,1.84 1.75,2.6 1.78,4 1.74,7.5", mirrored=True)
LONG_HAIR = path("0,-1.2 .5,-1.1 .84,-.7 .93,0 .98,.8 1.04,1.6 .92,2.3 .6,2.45 .42,1.6 .2,.8", mirrored=True)
FRINGE = path("-.76,.6 -.95,-.1 -.65,-1 0,-1.24 .65,-1 .95,-.1 .76,.6 .7,0 .36,-.64 .2,-.86 -.1,-.66 -.46,-.4 -.69,0")
CROP = path("-.74,0 -.84,-.45 -.68,-1 -.15,-1.27 .42,-1.2 .84,-.5 .74,0 .69,-.3 .58,-.62 .2,-.7 -.56,-.63 -.69,-.3")
BEARD = path("-.73,0 -.68,.46 -.5,.8 0,1.05 .5,.8 .68,.46 .73,0 .6,.32 .36,.44 0,.42 -.36,.44 -.6,.32")


def toned(colour: str, factor: float) -> str:
    """Darker below 1, lighter above it; 2 is white."""
    goal, share = (0, 1 - factor) if factor < 1 else (255, factor - 1)
    levels = [round(level + (goal - level) * share) for level in ImageColor.getrgb(colour)[:3]]
    return "#" + bytes(levels).hex()


@dataclass(frozen=True)
class Person:
    """One of the three. `style` (long, short, curly) is the hair, and the clothes that go with it."""

    photo: Image.Image
    chance: Random
    place: Point
    size: float
    style: str
    skin: str
    hair: str
    eyes: str
    lips: str
    cloth: str

    def fill(
        self, outline: Outline, colour: str, *, blur: float = 0, strength: float = 1, within: Outline | None = None
    ) -> None:
        """Fill an outline, cut to another one if told `within`."""
        box = self._box(outline, margin=3 * blur + 0.05)
        mask = self._mask(outline, box).filter(ImageFilter.GaussianBlur(blur * self.size))
        if within is not None:
            mask = ImageChops.multiply(mask, self._mask(within, box))
        self.photo.paste(colour, box, mask.point(_ramp(0, 255 * strength)))

    def shade(self, outline: Outline, factor: float, *, blur: float, strength: float = 0.5) -> None:
        """Darken (above 1: lighten) the skin there."""
        self.fill(outline, toned(self.skin, factor), blur=blur, strength=strength)

    def model(self, outline: Outline, colour: str, *, depth: float) -> None:
        """Fill an outline as a body under a light from the upper left, round at its edges to this depth."""
        self.fill(outline, colour)
        box, steps = self._box(outline, margin=0.05), depth * self.size
        mask = self._mask(outline, box)
        for sign, tone, most in ((-1, toned(colour, 0.45), 150), (1, toned(colour, 1.5), 100)):
            moved = Image.new("L", mask.size)
            moved.paste(mask, (round(sign * steps), round(sign * steps * 0.6)))
            edge = ImageChops.subtract(mask, moved.filter(ImageFilter.GaussianBlur(steps)))
            self.photo.paste(tone, box, ImageChops.multiply(edge, mask).point(_ramp(0, most)))

    def _box(self, outline: Outline, *, margin: float) -> tuple[int, int, int, int]:
        (x, y), across, down = self.place, [point[0] for point in outline], [point[1] for point in outline]
        left, top = x + self.size * (min(across) - margin), y + self.size * (min(down) - margin)
        right, bottom = x + self.size * (max(across) + margin), y + self.size * (max(down) + margin)
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

    def _mask(self, outline: Outline, box: tuple[int, int, int, int]) -> Image.Image:
        (x, y), (left, top, right, bottom) = self.place, box
        mask = Image.new("L", ((right - left) * FINER, (bottom - top) * FINER))
        moved = [((x + self.size * a - left) * FINER, (y + self.size * b - top) * FINER) for a, b in outline]
        ImageDraw.Draw(mask).polygon(moved, fill=255)
        return mask.reduce(FINER)


def _clothes(person: Person) -> None:
    cloth, chance = person.cloth, person.chance
    person.model(BODY, cloth, depth=0.3)
    for side in (-1, 1):
        arm = stroke(f"{side * 1.12},2.3 {side * 1.24},3.6 {side * 1.18},7.5", across=0.09)
        person.fill(arm, toned(cloth, 0.3), blur=0.06, strength=0.8, within=BODY)
    for _ in range(26):
        x, y, lean, length = (chance.uniform(*span) for span in ((-1.8, 1.8), (1.9, 5.5), (-0.5, 0.5), (0.6, 1.6)))
        fold = stroke(f"{x},{y} {x + lean},{y + 0.5} {x * 0.8},{y + length}", across=0.12)
        person.fill(fold, toned(cloth, chance.choice((0.5, 1.3))), blur=0.07, strength=0.28, within=BODY)
    person.model(NECK, toned(person.skin, 0.94), depth=0.12)
    person.fill(ellipse(0.06, 0.98, 0.62, 0.36), toned(person.skin, 0.45), blur=0.1, strength=0.75, within=NECK)
    for side in (-1, 1):
        edge = stroke(f"{side * 0.66},1.28 {side * 0.4},1.72 0,1.88", across=0.07 * side, down=0.07)
        person.model(edge, toned(cloth, 0.8 if person.style == "long" else 1.12), depth=0.04)
        if person.style == "short":
            collar = path(f"{side * 0.4},1 {side * 0.7},1.24 {side * 0.62},1.7 {side * 0.4},1.78 {side * 0.1},1.8")
            person.model(collar, toned(cloth, 1.1), depth=0.05)
    if person.style == "short":
        for row in range(6):
            person.model(ellipse(0, 2.2 + row * 0.75, 0.045, 0.045), "#d9d4cb", depth=0.02)


def _head(person: Person) -> None:
    for side in (-1, 1):
        person.model(ellipse(side * 0.74, 0.12, 0.11, 0.22), toned(person.skin, 0.9), depth=0.06)
    person.model(FACE, person.skin, depth=0.22)
    person.shade(ellipse(-0.15, -0.6, 0.3, 0.16), 1.6, blur=0.14, strength=0.4)
    person.shade(path(".05,-.1 .1,.15 .17,.34 .08,.4 .04,.2"), 0.6, blur=0.035)
    person.shade(stroke("-.03,-.1 -.05,.1 -.02,.3", across=0.06), 1.5, blur=0.025)
    person.shade(stroke("-.15,.36 0,.47 .15,.36", down=0.06), 0.5, blur=0.025, strength=0.6)
    for side in (-1, 1):
        person.fill(ellipse(side * 0.42, 0.36, 0.2, 0.15), "#d0504c", blur=0.1, strength=0.2, within=FACE)
        person.shade(stroke(f"{side * 0.2},.36 {side * 0.38},.46 {side * 0.38},.64", across=0.04), 0.5, blur=0.02)
        person.shade(ellipse(side * 0.075, 0.385, 0.038, 0.02), 0.25, blur=0.012, strength=0.8)
        _eye(person, side=side)
    if person.style == "short":
        person.fill(BEARD, person.hair, blur=0.05, strength=0.62, within=FACE)
        person.fill(stroke("-.34,.52 0,.38 .34,.52", down=0.1), person.hair, blur=0.03, strength=0.7)
    person.model(path("-.3,.55 -.1,.51 0,.53 .1,.51 .3,.55 .17,.72 0,.765 -.17,.72"), person.lips, depth=0.03)
    mouth = path("-.29,.55 -.1,.545 0,.56 .1,.545 .29,.55 .16,.68 0,.71 -.16,.68")
    person.fill(mouth, "#5a2222", blur=0.006)
    person.fill(path("-.25,.555 0,.565 .25,.555 .13,.625 0,.645 -.13,.625"), "#f3ece4", blur=0.008, within=mouth)


def _eye(person: Person, *, side: int) -> None:
    x, strong = 0.3 * side, person.style == "short"
    person.shade(ellipse(x, 0, 0.24, 0.14), 0.6, blur=0.07, strength=0.4)
    white = path(f"{x - 0.16},.02 {x - 0.06},-.065 {x + 0.07},-.065 {x + 0.16},.01 {x + 0.05},.06 {x - 0.06},.06")
    person.model(white, "#f4efe9", depth=0.02)
    for radius, colour in ((0.078, toned(person.eyes, 0.6)), (0.062, toned(person.eyes, 1.15)), (0.034, "#0c0a0a")):
        person.fill(ellipse(x, -0.003, radius, radius), colour, blur=0.005, within=white)
    person.fill(ellipse(x - 0.025, -0.03, 0.016, 0.016), "#ffffff")
    lashes = stroke(f"{x - 0.18},.03 {x},-.16 {x + 0.18},.02", down=0.06 if strong else 0.085)
    person.fill(lashes, "#201612", blur=0.008, strength=0.9)
    person.shade(stroke(f"{x - 0.17},-.05 {x},-.22 {x + 0.17},-.06", down=0.03), 0.5, blur=0.012, strength=0.6)
    brow = stroke(f"{x - 0.21 * side},-.2 {x},-.32 {x + 0.22 * side},-.2", down=0.11 if strong else 0.075)
    person.fill(brow, toned(person.hair, 0.8), blur=0.018, strength=0.85)


def _combed(person: Person, outline: Outline, *, tone: float, length: float) -> None:
    person.model(outline, toned(person.hair, tone), depth=0.12)
    for _ in range(140):
        lean, end, width = (person.chance.uniform(*span) for span in ((-1, 1), (length / 2, length), (0.02, 0.06)))
        strand = stroke(f"{0.1 + lean * 0.3},-1.25 {lean * 1.25},{-0.7 + length / 4} {lean},{end}", across=width)
        shine = person.chance.choice((0.55, 0.7, 1.2, 1.35))
        person.fill(strand, toned(person.hair, shine), blur=0.008, strength=0.5, within=outline)


def _curls(person: Person, *, count: int, turns: Point, far: Point) -> None:
    """Curls in a ring around the head, from one turn to another: 0 is to the right, a quarter is up."""
    for _ in range(count):
        turn, out, size, tone = (person.chance.uniform(*span) for span in (turns, far, (0.1, 0.19), (0.8, 1.12)))
        x, y = math.cos(turn * math.tau) * out, -0.15 - math.sin(turn * math.tau) * out * 1.05
        person.model(ellipse(x, y, size, size), toned(person.hair, tone), depth=0.04)


def _ramp(first: float, last: float) -> list[int]:
    return [max(0, round(first + (last - first) * level / 255)) for level in range(256)]


def _grained(photo: Image.Image, grain: Image.Image, *, levels: int) -> Image.Image:
    grain = grain.point(_ramp(128 - levels, 128 + levels))
    return ImageChops.add(photo, Image.merge("RGB", [grain] * 3), 1, -128)


def draw() -> Image.Image:
    """The sample photo, RGB, 1800 x 1200 pixels."""
    chance = Random(2026)
    bands = [Image.linear_gradient("L").point(_ramp(top, top - 34)) for top in (206, 203, 196)]
    photo, light = Image.merge("RGB", bands).resize(SIZE), Image.new("L", SIZE)
    light.paste(ImageChops.invert(Image.radial_gradient("L")).resize((2600, 1900)), (-700, -650))
    photo.paste("#fff8ec", None, light.point(_ramp(0, 150)))
    plaster = Image.frombytes("L", (180, 120), chance.randbytes(180 * 120)).resize(SIZE)
    photo = _grained(photo, plaster, levels=4)
    people = (
        Person(photo, chance, (905, 400), 142, "short", "#daaa8c", "#3e2e26", "#5c4832", "#b26c62", "#364864"),
        Person(photo, chance, (455, 485), 130, "long", "#f0cab2", "#8e5830", "#54746e", "#c65c60", "#8c303e"),
        Person(photo, chance, (1350, 500), 128, "curly", "#9c6a4e", "#2c221f", "#3a281e", "#944a48", "#d8aa54"),
    )
    for person in people:
        for outline in (BODY, ellipse(0, 0, 0.95, 1.15)):
            person.fill([(x + 0.42, y + 0.2) for x, y in outline], "#5c5450", blur=0.22, strength=0.5)
    for person in people:
        _clothes(person)
        if person.style == "long":
            _combed(person, LONG_HAIR, tone=0.75, length=2.6)
        if person.style == "curly":
            _curls(person, count=260, turns=(-0.14, 0.64), far=(0.5, 1.25))
        _head(person)
        if person.style == "curly":
            _curls(person, count=110, turns=(0.02, 0.48), far=(0.8, 1.15))
        else:
            _combed(person, FRINGE if person.style == "long" else CROP, tone=1, length=0.7)
    photo = photo.filter(ImageFilter.GaussianBlur(0.7))
    photo.paste("#28221e", None, Image.radial_gradient("L").resize(SIZE).point(_ramp(-30, 90)))
    grain = Image.frombytes("L", SIZE, chance.randbytes(SIZE[0] * SIZE[1])).filter(ImageFilter.GaussianBlur(0.6))
    return _grained(photo, grain, levels=12)


if __name__ == "__main__":
    SAMPLE.parent.mkdir(exist_ok=True)
    draw().save(SAMPLE, quality=93, optimize=True)
