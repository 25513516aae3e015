"""Work side by side, in threads and in processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing

import cv2
import numpy as np
import pytest

from frx.errors import DataError, ResourceError
from frx.parallel import in_processes, on_all_cores

Way = Callable[[Callable[[int], int], Iterable[int]], Generator[int]]
both = pytest.mark.parametrize("way", [on_all_cores, in_processes])


def squared(number: int) -> int:
    if number == 13:
        raise DataError("13.png: damaged picture")
    time.sleep(0.001 * (number % 3))
    return number**2


@both
def test_results_come_in_order(way: Way) -> None:
    assert list(way(squared, [3, *range(12)])) == [9, *(n**2 for n in range(12))]
    assert list(way(squared, [])) == []


@both
def test_an_error_is_the_works_own(way: Way) -> None:
    results = way(squared, range(100))
    assert [next(results) for _ in range(13)] == [n**2 for n in range(13)]
    with pytest.raises(DataError, match=r"13\.png: damaged picture"):
        next(results)


@both
def test_who_stops_asking_gets_the_cores_back(way: Way) -> None:
    asked = []

    def numbers() -> Iterable[int]:
        for number in range(20, 10_000):
            asked.append(number)
            yield number

    with closing(way(squared, numbers())) as results:
        assert next(results) == 400
    assert len(asked) < 1_000


def blurred(number: int) -> int:
    # Large enough for OpenCV's own threads.
    image = np.full((800, 800, 3), number, np.uint8)
    return int(cv2.GaussianBlur(image, (9, 9), 2.0)[400, 400, 0])


def test_opencv_works_in_processes_after_it_has_worked_here() -> None:
    threads = cv2.getNumThreads()
    assert [blurred(n) for n in range(4)] == list(in_processes(blurred, range(4)))
    assert cv2.getNumThreads() == threads


def dying(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_process_that_dies_is_said() -> None:
    with pytest.raises(ResourceError, match="worked beside this one died"):
        list(in_processes(dying, range(4)))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_process_that_is_killed(number: int) -> None:
    code = (
        "import time\nfrom frx.parallel import in_processes\n"
        "def work(n): print('at work', flush=True); time.sleep(60)\n"
        "if __name__ == '__main__': list(in_processes(work, range(9)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("at work")
    process.send_signal(number)
    # The end of what they print is the end of all of them.
    process.communicate(timeout=30)
    assert process.returncode == -number
