"""Task pool: order, bounds, and a clean end whatever goes wrong."""

import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError

import pytest

from extract.pipeline.task_pool import TaskPool, result_of

PATIENCE = 600


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("basnet-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert our_threads() == []


def test_results_come_whatever_the_order_of_work():
    with TaskPool(3) as pool:
        tasks = [pool.submit((n,), lambda n=n: n * n) for n in range(50)]
        assert [result_of(task) for task in tasks] == [n * n for n in range(50)]


def test_the_most_urgent_ready_task_is_taken_first():
    gate, order = threading.Event(), []
    with TaskPool(1) as pool:
        pool.submit((0,), gate.wait)
        tasks = [pool.submit((n,), lambda n=n: order.append(n)) for n in (3, 1, 2)]
        last = pool.submit((0,), lambda: order.append("after 3"), after=[tasks[0]])
        gate.set()
        result_of(last)
    assert order == [1, 2, 3, "after 3"]


def test_a_task_waits_for_those_before_it_and_sees_their_error():
    gate = threading.Event()

    def fail():
        gate.wait(PATIENCE)
        raise ValueError("broken")

    with TaskPool(2) as pool:
        first, other = pool.submit((5,), fail), pool.submit((5,), lambda: 1)
        both = pool.submit((0,), lambda: result_of(first) + result_of(other), after=[first, other])
        assert not both.done()
        gate.set()
        with pytest.raises(ValueError, match="broken"):
            result_of(both)
        assert result_of(pool.submit((0,), lambda: 2, after=[first, other])) == 2


def test_as_many_tasks_at_a_time_as_the_pool_is_wide():
    with TaskPool(1) as pool:
        meeting = threading.Barrier(3)
        tasks = [pool.submit((0,), lambda: meeting.wait(PATIENCE)) for _ in range(3)]
        pool.resize(3)  # the three can only meet if all are at work
        for task in tasks:
            result_of(task)
        pool.resize(1)
        at_work, most, lock = [], [0], threading.Lock()

        def work():
            with lock:
                at_work.append(1)
                most[0] = max(most[0], len(at_work))
            time.sleep(0.001)
            with lock:
                at_work.pop()

        for task in [pool.submit((0,), work) for _ in range(20)]:
            result_of(task)
        assert most == [1]


def test_the_end_drops_what_was_not_begun_and_waits_for_what_was():
    begun, gate, done = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        gate.wait(PATIENCE)
        done.append("the first")

    with TaskPool(1) as pool:
        first = pool.submit((0,), work)
        ready = pool.submit((1,), lambda: done.append("ready"))
        waiting = pool.submit((1,), lambda: done.append("waiting"), after=[first])
        assert begun.wait(PATIENCE)
        pool.cancel()
        gate.set()
    assert done == ["the first"]
    for task in (ready, waiting, pool.submit((0,), lambda: 1)):
        with pytest.raises(CancelledError):
            result_of(task)


def test_what_is_called_before_a_task_may_fail():
    def refuse():
        raise MemoryError

    with TaskPool(1, refuse) as pool, pytest.raises(MemoryError):
        result_of(pool.submit((0,), lambda: 1))


def test_a_pool_that_was_never_closed_does_not_keep_the_program():
    """Ctrl-C may come between the first thread's start and the context's begin."""
    program = (
        "from extract.pipeline.task_pool import TaskPool; pool = TaskPool(2); "
        "pool.submit((0,), lambda: 1); raise KeyboardInterrupt"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE)
    assert b"KeyboardInterrupt" in ended.stderr
