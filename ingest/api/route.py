"""One operation of the API: how it is called, what it takes and answers. The served routes and OpenAPI come from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ingest.api.call import Call, Reply

PREFIX = "/api/v1"
_FIELD = re.compile(r"\{(\w+)\}")


class NoQuery(BaseModel):
    """The query of an operation that takes none."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Route:
    """An operation."""

    method: Literal["GET", "POST", "DELETE"]
    #: Below `PREFIX`.
    path: str
    summary: str
    run: Callable[[Call], Reply]
    #: Model of the answer's data; None: any object.
    answer: type[Any] | None
    many: bool = False
    query: type[BaseModel] = NoQuery
    body: type[BaseModel] | None = None
    #: Statuses of failures that not every operation has.
    fails: tuple[int, ...] = ()
    #: Whether the answer has the ETag of the configuration, and a change takes If-Match.
    has_etag: bool = False

    @property
    def fields(self) -> list[str]:
        """The names in the path."""
        return _FIELD.findall(self.path)

    @property
    def pattern(self) -> str:
        """The regular expression of the path."""
        return PREFIX + _FIELD.sub(r"(?P<\1>[^/]+)", self.path)

    @property
    def operation_id(self) -> str:
        """The name of the operation: that of its function."""
        return self.run.__name__

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"
