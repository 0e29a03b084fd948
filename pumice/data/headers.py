"""What many image files say of themselves, each decoded once to find the damaged ones."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pumice.data.image import BadImage, Header, check_image, read_header
from pumice.progress import track

HEADER_ONLY_ABOVE = 100_000  # files


def image_headers(files: Sequence[str]) -> list[Header | str]:
    """The header of each image, or why it cannot be read, as the end of a sentence.

    On all cores; of more than 100,000 files only the headers are read.
    """
    header_only = len(files) > HEADER_ONLY_ABOVE
    chunks = [files[start : start + 32] for start in range(0, len(files), 32)]
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        results = pool.map(lambda chunk: [_header(file, header_only) for file in chunk], chunks)
        return [one for some in track(results, "Checking images", len(chunks)) for one in some]
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for the rest


def _header(file: str, header_only: bool) -> Header | str:
    try:
        header = read_header(file)
        if not header_only:
            check_image(file)
    except BadImage as error:
        return error.reason
    return header
