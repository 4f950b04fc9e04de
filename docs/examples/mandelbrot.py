"""
The Mandelbrot set, computed by all cores and written row by row into a PNG file.

The library that writes the file wants to be handed an iterator of rows, and blocks
until it has had the last one. So it runs in a thread, where an OrderedItemProducer
is that iterator. The rows are computed by worker processes, as many at a time as
there are, and are ready in any order; the writer gets them from top to bottom. Rows
are asked for no faster than they are written, so that few are in memory at once,
however many the image has.

    python mandelbrot.py [FILE] [--width PIXELS] [--height PIXELS]

This needs pypng: pip install 'asynqueue[examples]'
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from time import perf_counter
from typing import Any, BinaryIO

import png
from twisted.internet.task import react

from asynqueue import DeferredTracker, ProcessQueue
from asynqueue.threads import OrderedItemProducer

LIMIT = 100
"""
How many steps a point may take to leave the circle before it is held to be in the
set.
"""


def escape(point: complex) -> int:
    """
    @return: After how many steps a point leaves the circle of radius 2 about 0 for
        good; 0 if it is in the set.
    """
    z = 0j
    for step in range(1, LIMIT + 1):
        z = z * z + point
        if abs(z) > 2:
            return step
    return 0


def color(steps: int) -> tuple[int, int, int]:
    """
    @return: Red, green and blue, 0-255 each: black in the set, and the brighter the
        nearer to it.
    """
    share = steps / LIMIT
    return int(255 * share**0.25), int(255 * share**0.5), int(255 * share)


def row(y: int, width: int, height: int) -> bytes:
    """
    Runs in a worker process.

    @param y: Which row, 0 at the top.
    @return: Three bytes for each pixel of it. The image is 3 wide, about -0.75.
    """
    scale = 3 / width
    imaginary = ((height - 1) / 2 - y) * scale
    reals = [-0.75 + (x - (width - 1) / 2) * scale for x in range(width)]
    return bytes(
        channel for real in reals for channel in color(escape(complex(real, imaginary)))
    )


def write(rows: Iterable[bytes], file: BinaryIO, width: int, height: int) -> int:
    """
    Runs in a thread, and blocks until all rows are written.

    @return: How many there were.
    """
    writer = png.Writer(width, height, greyscale=False)
    return int(writer.write(file, rows))


async def main(reactor: Any, options: Namespace) -> None:
    width, height = options.width, options.height
    began = perf_counter()
    queue = ProcessQueue()
    underWay = DeferredTracker()
    rows = OrderedItemProducer()
    with open(options.file, "wb") as file:
        await rows.start(write, file, width, height)
        for y in range(height):
            # Enough for each worker to have one and find another when it is done.
            await underWay.deferUntilFewer(2 * len(queue))
            d = rows.produceItem(queue.call, row, y, width, height)
            # If this fails, so does stop(), which is where it is told.
            underWay.put(d).addErrback(lambda _: None)
        written = await rows.stop()
    seconds = perf_counter() - began
    print(f"{options.file} has {written} rows of {width} pixels,")
    print(f"computed by {len(queue)} processes in {seconds:.1f} seconds.")
    await queue.shutdown()


if __name__ == "__main__":
    parser = ArgumentParser(description="Draws the Mandelbrot set.")
    parser.add_argument("file", nargs="?", default="mandelbrot.png")
    parser.add_argument("--width", type=int, default=640, metavar="PIXELS")
    parser.add_argument("--height", type=int, default=480, metavar="PIXELS")
    react(main, [parser.parse_args()])
