"""Task pool and prefetch: order, bounds, and a clean end whatever goes wrong."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

from extract.pipeline.prefetch import Prefetch
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


def test_items_are_made_ahead_and_no_more_than_were_asked_for():
    made = []

    def items():
        for n in range(100):
            made.append(n)
            yield n

    with Prefetch(items(), 3) as ahead:
        deadline = time.monotonic() + PATIENCE
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert made == [0, 1, 2, 3]  # three lie ready, one in hand
        assert [next(ahead) for _ in range(50)] == list(range(50))
        assert len(made) <= 54
        assert list(ahead) == list(range(50, 100))


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield from (1, 2)
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"), Prefetch(items(), 5) as ahead:
        seen.extend(ahead)
    assert seen == [1, 2]


@pytest.mark.parametrize("count", [1, 3])
def test_the_generator_is_closed_where_it_stands(count):
    closed = []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread().name)

    with Prefetch(items(), count) as ahead:
        assert next(ahead) == 0
    assert closed == ["basnet-prefetch"]


def test_an_error_in_closing_keeps_nobody_waiting():
    def items():
        try:
            yield from range(100)
        finally:
            raise ValueError("at the end")

    with Prefetch(items(), 1) as ahead:
        assert next(ahead) == 0
    with pytest.raises(ValueError, match="at the end"), Prefetch(items(), 1) as ahead:
        list(ahead)


def test_a_wait_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr("extract.pipeline.prefetch.STOP_SECONDS", 0.05)
    gate = threading.Event()

    def items():
        yield 1
        gate.wait(PATIENCE)
        yield 2

    with Prefetch(items(), 1, gate.set) as ahead:
        assert next(ahead) == 1
    assert gate.is_set()
