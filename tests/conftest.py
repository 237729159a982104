"""Rules for the suite: slow tests only with SLOW=1, one thread per process, a last word on what did not run."""

import os
from collections import Counter
from typing import Any

import pytest
import torch

SLOW_TESTS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    # PyTorch decides once, at the first backward pass, whether autograd gets threads, which a fork does not survive. A
    # fake GPU (tests/trainers/test_device.py) that came first would give it some, and tests fork their runs.
    torch.ones(1, requires_grad=True).sum().backward()
    config.stash[SLOW_TESTS] = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("SLOW") == "1":
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    config.stash[SLOW_TESTS] = len(slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # in a worker of pytest-xdist, which the main process hears of so
        session.config.workeroutput["slow_tests"] = session.config.stash[SLOW_TESTS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # each worker collects the whole suite
    node.config.stash[SLOW_TESTS] = getattr(node, "workeroutput", {}).get("slow_tests", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A skipped test is not a passed one: say how many were, and why."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped: {count} × {reason}")
    if config.stash[SLOW_TESTS]:
        terminalreporter.write_line(f"not run: {config.stash[SLOW_TESTS]} × slow, only with SLOW=1")
