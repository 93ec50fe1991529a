"""Of a sequential JPEG only the beginning is decoded before it goes to a provider: the verdict is that on the whole."""

import random
from collections import Counter

from photochanger.errors import PictureError
from photochanger.picture_bytes import beginning, plain_bytes
from photochanger.picture_kinds import JPEG
from photochanger.picture_pixels import open_picture, read_through
from tests.pictures import jpeg, photo


def verdict(data: bytes) -> str:
    try:
        image = open_picture(data, mime=JPEG)
        width, height = image.size
        read_through(image)
    except PictureError as error:
        return str(error)
    except Exception as error:
        return type(error).__name__
    return f"{width} x {height}"


def test_a_decoder_that_takes_the_beginning_takes_the_whole() -> None:
    whole = photo(1600, 1200)
    chance = random.Random(7)
    verdicts: Counter[str] = Counter()
    for number in range(600):
        damaged = bytearray(whole)
        for _ in range(1 + number % 4):
            place = chance.randrange(20, 640) if number % 2 else chance.randrange(700, len(whole))
            damaged[place] = chance.randrange(256)
        try:
            plain = plain_bytes(bytes(damaged), mime=JPEG)
        except PictureError:
            continue
        begun = None if plain is None else beginning(plain)
        if plain is None or begun is None:
            continue
        assert len(begun) < len(plain)
        assert verdict(begun) == verdict(plain)
        verdicts[verdict(plain)] += 1
    assert verdicts["1600 x 1200"] > 100
    assert sum(verdicts.values()) > verdicts["1600 x 1200"]  # there were some that no decoder takes


def test_a_picture_of_several_scans_is_read_through() -> None:
    plain = plain_bytes(jpeg(800, 600, progressive=True), mime=JPEG)
    assert plain is not None
    assert beginning(plain) is None


def test_a_small_picture_begins_with_all_of_itself() -> None:
    plain = plain_bytes(jpeg(), mime=JPEG)
    assert plain is not None
    begun = beginning(plain)
    assert begun is not None
    assert begun.startswith(plain)
    assert verdict(begun) == verdict(plain)
