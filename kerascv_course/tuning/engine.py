"""The part that speaks to KerasTuner: who runs which trial. Importing it needs the extra `tuning`.

KerasTuner hands out the trials, to this process or through its chief to workers anywhere, and keeps score. What
makes a search resumable does not depend on its files, which a killed process can leave half written: the values of
trial n are known beforehand, and a trial that has a result in the folder is answered from there.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from grpc import RpcError
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.errors import FailedTrialError

OBJECTIVE = "val_accuracy"


class PlannedOracle(keras_tuner.Oracle):
    """Hands out trials whose values have been drawn beforehand."""

    def __init__(self, plan: Sequence[Mapping[str, Any]], on_end: Callable[[], None]) -> None:
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            max_trials=len(plan),
            max_consecutive_failed_trials=len(plan) + 1,  # failed trials are reported; they stop nothing
            seed=1,  # not used: the plan has been drawn
        )
        self.plan, self.on_end = plan, on_end

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of a trial."""
        return {"status": "RUNNING", "values": dict(self.plan[int(trial_id)])}

    @keras_tuner.synchronized
    def end_trial(self, trial: Any) -> None:
        """Count a trial that is done."""
        super().end_trial(trial)
        self.on_end()


class PlannedTuner(BaseTuner):
    """Runs the trials that it is given."""

    def __init__(
        self, oracle: PlannedOracle, run: Callable[[int], tuple[float | None, str]], folder: Path
    ) -> None:
        super().__init__(oracle, directory=str(folder), project_name="keras_tuner")
        self.run = run

    def run_trial(self, trial: Any, **options: Any) -> dict[str, float]:
        """Run one trial; KerasTuner marks it as failed where this raises."""
        accuracy, error = self.run(int(trial.trial_id))
        if error or accuracy is None:
            raise FailedTrialError(error)
        return {OBJECTIVE: accuracy}

    def save(self) -> None:
        """Keep nothing: the results are in the folder."""


def search(
    plan: Sequence[Mapping[str, Any]],
    run: Callable[[int], tuple[float | None, str]],
    folder: Path,
    *,
    on_end: Callable[[], None],
    all_done: Callable[[], bool],
) -> None:
    """Run all trials of the plan, or this worker's share; the chief waits until the workers have done theirs."""
    tuner = PlannedTuner(PlannedOracle(plan, on_end), run, folder)
    try:
        tuner.search(verbose=0)
    except RpcError:
        if not all_done():  # after the last trial the chief may be gone before its last answer
            raise
