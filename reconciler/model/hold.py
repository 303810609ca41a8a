"""Why an upgrade waits. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class HoldReason(StrEnum):
    """Why an upgrade waits; the text goes into result lines (`held-<reason>`) and alert file names."""

    MAJOR = "major"
    MANUAL_MIGRATION = "manual-migration"
    COOLDOWN = "cooldown"
    WATCHED = "watched"
    UNTESTED = "untested"
    WINDOW = "window"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"
    TAG_MOVED = "tag-moved"
    UNSIGNED = "unsigned"
    APP_VERSION_UNCLEAR = "app-version-unclear"
    VOLUMES_CHANGED = "volumes-changed"
    PRIOR_UNHEALTHY = "prior-unhealthy"
    PREFLIGHT = "preflight"
    POLICY = "policy"
    HOST = "host"
    STACK_CHANGED = "stack-changed"
    STATE = "state"
    RECIPE = "recipe"
    DATA_NEWER = "data-newer"
    ELSEWHERE = "elsewhere"
    TRAIN_STOPPED = "train-stopped"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """One reason to wait. `detail` may change from pass to pass; `clears_when` tells the operator what to do."""

    reason: HoldReason
    detail: str
    clears_when: str

    def to_json(self) -> dict[str, str]:
        """The hold as programs read it."""
        return {"reason": self.reason, "detail": self.detail, "clears_when": self.clears_when}
