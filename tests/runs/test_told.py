"""A run says which stage it is at, and the second one how long the rest will take."""

import re

from reconciler import app as composition
from reconciler.model.moved import Amount, Counted
from reconciler.model.testrun import RunResult
from reconciler.ports.progress import Listener
from tests.hosts.engine_host import EngineHost


class Heard:
    """What a run told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.amounts: list[Amount] = []

    def listener(self) -> Listener:
        return Listener(step=lambda _name, text: self.steps.append(text), tell=self.amounts.append)

    def stages(self) -> list[str]:
        return [step for step in self.steps if step.startswith("stage ")]

    def counted(self) -> list[Counted]:
        return [amount for amount in self.amounts if isinstance(amount, Counted)]


def test_stages_are_counted_and_the_last_run_tells_how_long_they_take(host: EngineHost) -> None:
    for is_first in (True, False):
        heard = Heard()
        app = composition.build(host.program.config, host.state, listener=heard.listener())
        done = host.program.test(app=app)
        assert done.result is RunResult.GREEN
        count = len(done.asked)
        assert [step.split(", ")[1] for step in heard.stages()] == [f"{n + 1} of {count}" for n in range(count)]
        assert all(re.search(r", \d+ (s|min) so far", step) for step in heard.stages())
        assert all(("left" in step) is not is_first for step in heard.stages()), heard.stages()
        told = heard.counted()
        assert {amount.app for amount in told} == {done.run}
        assert [amount.done for amount in told] == [*range(count), count, 0] and told[-1].over
        left = [amount.left_s for amount in told[:-1] if amount.left_s is not None]
        assert left == sorted(left, reverse=True) and bool(left) is not is_first
