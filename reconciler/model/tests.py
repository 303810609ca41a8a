"""How a recipe is tested: stages, checks and surroundings, from a canonical's spec and the recipe's `ci/`. Pure.

Read by `state.specs`; units: durations are seconds.
"""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from reconciler.model.base import Seconds, Strict, Variables


class Stage(StrEnum):
    """The stages of a cold run, in order; the level counts them."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    BACKUP = "backup"
    RESTORE = "restore"
    CUSTOM = "custom"


STAGES = tuple(Stage)
METADATA = "ci/tests.yaml"
"""Where a recipe says how it is tested."""


class CheckSpec(Strict):
    """One command that judges the app; exit 0 = good."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")
    run: tuple[str, ...] = Field(min_length=1, description="argument list; a relative path lies in the recipe's head")
    stage: Stage = Field(Stage.CUSTOM, description="after which stage; of backup: before it, to plant data")
    timeout: Seconds = Field(300.0, gt=0, le=86400, description="deadline of this check")
    required: bool = Field(True, description="false: its failure is told and fails nothing")

    @field_validator("run")
    @classmethod
    def _run(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value[0] or any("\0" in word for word in value):
            raise ValueError("the first word must be a program")
        if ".." in value[0].split("/"):
            raise ValueError("must not lead out of the recipe")
        return value


class TestSpec(Strict):
    """`tests:` of a canonical's spec, and `ci/tests.yaml` of a recipe; what the spec says wins key by key."""

    __test__: ClassVar[bool] = False  # pytest takes every name that begins so for tests

    stages: tuple[Stage, ...] = Field(STAGES, min_length=1)
    base: str | None = Field(None, description="version or ref that the upgrade starts from; default: see runs.md")
    needs: tuple[Literal["keycloak"], ...] = Field((), description="shared services that a run gets its own part of")
    overlay: str = Field("ci/compose.ci.yml", description="environment overlay in the recipe; may not change images")
    previous: str = Field("ci/previous", description="folder of what only the old version needs")
    env: Variables = Field(default_factory=dict, description="for test deploys; may use ${CI_WARM_...}")
    checks: tuple[CheckSpec, ...] = ()
    recipe_checks: bool = Field(False, description="spec only: also run the checks that ci/tests.yaml names")
    deadline: Seconds = Field(3600.0, gt=0, le=7 * 86400, description="of a whole run; teardown comes after it")

    @field_validator("overlay", "previous")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("must be a path inside the recipe")
        return value

    @field_validator("checks")
    @classmethod
    def _names(cls, value: tuple[CheckSpec, ...]) -> tuple[CheckSpec, ...]:
        names = [check.name for check in value]
        if len(names) != len(set(names)):
            raise ValueError("two checks have one name")
        return value

    @model_validator(mode="after")
    def _reachable(self) -> "TestSpec":
        unasked = [f"{check.name} ({check.stage})" for check in self.checks if check.stage not in self.stages]
        if unasked:
            raise ValueError(f"checks of stages that are not asked for would never run: {', '.join(unasked)}")
        return self

    @field_validator("stages")
    @classmethod
    def _in_order(cls, value: tuple[Stage, ...]) -> tuple[Stage, ...]:
        return tuple(stage for stage in STAGES if stage in value)
