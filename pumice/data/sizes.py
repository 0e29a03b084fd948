"""Height and width of many image files, each decoded once to find the damaged ones."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pumice.data.image import BadImage, check_image, read_header
from pumice.progress import track

HEADER_ONLY_ABOVE = 100_000  # files


def image_sizes(files: Sequence[str]) -> list[tuple[int, int] | str]:
    """Height and width of each image as `read_image` gives it, or why it cannot be read, as the end of a sentence.

    On all cores; of more than 100,000 files only the headers are read.
    """
    header_only = len(files) > HEADER_ONLY_ABOVE
    chunks = [files[start : start + 32] for start in range(0, len(files), 32)]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = pool.map(lambda chunk: [_size(file, header_only) for file in chunk], chunks)
        return [one for some in track(results, "Checking images", len(chunks)) for one in some]
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def _size(file: str, header_only: bool) -> tuple[int, int] | str:
    try:
        width, height = read_header(file).upright
        if not header_only:
            check_image(file)
    except BadImage as error:
        return error.reason
    return height, width
