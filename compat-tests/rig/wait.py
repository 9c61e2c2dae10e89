"""Waiting for conditions. No test sleeps a fixed time: it waits for what it needs and fails at a deadline."""
import time


def until(what, condition, seconds=30, every=0.02):
    """The first true value of `condition()`; an AssertionError naming `what` when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
        every = min(every * 1.5, 0.5)
