"""What pydantic finds, in our own words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.configuration import Configuration
from tasks.configuration.registry import builtin_names, find
from tasks.settings import Settings, validation


class Model(BaseModel):
    """A field of every kind that settings, strategies files and parameters have."""

    model_config = ConfigDict(extra="forbid")

    flag: bool = False
    count: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    word: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    name: Annotated[str, Field(pattern="^a+$")] = "a"
    kind: Literal["depth", "trade"] = "depth"
    items: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)] = (1,)
    names: frozenset[str] = frozenset()
    table: dict[str, int] = {}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("flag", "perhaps", "must be true or false"),
        ("flag", [], "must be true or false"),
        ("count", "x", "must be a whole number"),
        ("count", 1.5, "must be a whole number"),
        ("count", {}, "must be a whole number"),
        ("count", "9" * 5000, "must be a whole number"),
        ("count", 0, "must be at least 1"),
        ("count", 10, "must be at most 9"),
        ("share", "x", "must be a number"),
        ("share", [], "must be a number"),
        ("share", 0, "must be above 0.0"),
        ("share", 1, "must be below 1.0"),
        ("share", float("nan"), "must be a finite number"),
        ("word", 1, "must be text"),
        ("word", "", "must have at least 1 characters"),
        ("word", "abcd", "must have at most 3 characters"),
        ("name", "b", "must match ^a+$"),
        ("kind", "x", "must be 'depth' or 'trade'"),
        ("items", 1, "must be a list"),
        ("items", [], "must have at least 1"),
        ("items", [1, 2, 3], "must have at most 2"),
        ("names", 1, "must be a list"),
        ("table", 1, "must be a table"),
        ("colour", 1, "there is no such name"),
    ],
)
def test_each_fault_is_said_in_our_words(field: str, value: Any, said: str):
    with pytest.raises(ValidationError) as raised:
        Model.model_validate({field: value})
    [fault] = raised.value.errors()
    assert (validation.place(fault), validation.say(fault)) == (field, said)


ODD: list[Any] = [None, "", "x", -1, 10**30, 1.5, float("nan"), True, [], ["x"], {}, {"x": 1}, [None], {"x": {"y": 1}}]


@pytest.mark.parametrize("model", [Settings, Configuration, *(find(name).params_type for name in builtin_names())])
def test_nothing_that_we_read_is_refused_in_pydantics_words(model: type[BaseModel]):
    for field in model.model_fields:
        for value in ODD:
            try:
                model.model_validate({field: value})
            except ValidationError as error:
                for fault in error.errors():
                    of_ours = fault["type"] == "value_error"
                    assert of_ours or validation.say(fault) != fault["msg"], fault
