"""What requests hold and what answers hold, as far as several operations share it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]


class Body(BaseModel):
    """A request's JSON: its types are taken as they are, and nothing else may be in it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ChangeBody(Body):
    """Who changes something, and why."""

    changed_by: Annotated[Word, Field(description="who asks; recorded as claimed, beside the caller's own name")] = ""
    reason: Annotated[Text | None, Field(description="why; kept in the history")] = None
    validate_only: Annotated[bool, Field(description="only check: nothing is changed")] = False


class RuntimeValueItem(BaseModel):
    """A value that was set at run time."""

    key: str
    value: Any


class DifferenceItem(BaseModel):
    """A key of the configuration and how it changed; null is the default."""

    key: str
    old: Any
    new: Any


class ChangeItem(BaseModel):
    """The result of a change of the configuration."""

    #: False: nothing differed, or it was only checked.
    changed: bool
    validate_only: bool
    #: The version in force after it; of a check the one that would be.
    config_version: str
    differences: list[DifferenceItem]


class ConfigItem(BaseModel):
    """The configuration of a strategy."""

    strategy_id: str
    symbol: str | None
    pool: str
    #: All, with the defaults.
    parameters: dict[str, Any]
    #: How many changes there were of the whole configuration, by which a rollback names it.
    version: int
    #: The content hash that signals carry.
    config_version: str
    source: Literal["run_time", "file", "default"]
    is_override: bool
    enabled: bool
    gate: dict[str, Any]
    paper: dict[str, Any] | None
    values: Annotated[
        dict[str, Any],
        Field(description="`gate.X` and `paper.X` that it has of its own; what is left out is as for all strategies"),
    ]
    set_at_run_time: list[RuntimeValueItem]
    created_at: str | None
    updated_at: str | None


class ConfigBody(ChangeBody):
    """A change of a strategy's configuration."""

    parameters: Annotated[
        dict[str, Any],
        Field(
            min_length=1,
            max_length=200,
            description="by name; `gate.X` and `paper.X` are of the gate and the paper account, null is the default; "
            "`enabled` false pauses the strategy, true lets it go on",
        ),
    ]
    pool: Annotated[Word, Field(description="only in this pool")] = ""
    force: Annotated[bool, Field(description="accept a symbol that has had no events")] = False


class DeleteQuery(BaseModel):
    """Who deletes something, and why."""

    model_config = ConfigDict(extra="forbid")

    changed_by: Word = ""
    reason: Text = ""


class Metadata(BaseModel):
    """What there is to say about an answer."""

    count: int = 0
    total_count: int = 0
    next_cursor: Annotated[str | None, Field(description="`cursor` of the next page; null: this is the last one")] = (
        None
    )
    action: str = ""
    validation: str = ""
    differences: Annotated[list[DifferenceItem], Field(default_factory=list)]
    notes: Annotated[list[str], Field(default_factory=list)]
