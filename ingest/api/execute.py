"""From a request to its answer, away from the event loop: checked, run, and written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import structlog
from pydantic import BaseModel

from ingest.api.call import Call, Reply
from ingest.api.callers import Caller
from ingest.api.idempotency import Answer, KeptAnswers
from ingest.api.ledger import ApiLedger
from ingest.api.problem import MEDIA_TYPE, ApiError, Fault, problem_of
from ingest.api.route import Route
from tasks.errors import UNREADABLE

log = structlog.get_logger()


@dataclass(frozen=True)
class ApiRequest:
    """A request whose caller is known."""

    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


class Executor:
    """Runs operations. Its calls wait for Redis."""

    def __init__(self, ledger: ApiLedger) -> None:
        self._ledger, self._answers = ledger, KeptAnswers(ledger.reader)

    def answer(self, route: Route, request: ApiRequest) -> Answer:
        """Return what is answered, be it a success or a problem."""
        assigned: list[str] = []
        try:
            return self._once(route, request, assigned)
        except Exception as error:
            problem = problem_of(error, assigned)
            if problem is None:
                log.exception("unexpected error: a request of the API failed", path=route.path)
                problem = ApiError(500, "an unexpected error: ingest's log tells more")
            return problem_answer(problem)

    def _once(self, route: Route, request: ApiRequest, assigned: list[str]) -> Answer:
        call = self._understood(route, request, assigned)
        key = request.headers.get("Idempotency-Key", "")
        if not (route.changes and key):
            return self._run(route, call)
        parts = [route.method, route.path, dict(call.path), dict(request.query), sorted(call.if_match or ())]
        hashed = msgspec.json.encode(parts, order="sorted") + b"\n" + request.body
        return self._answers.once(key, call.caller.name, hashed, lambda: self._run(route, call))

    def _understood(self, route: Route, request: ApiRequest, assigned: list[str]) -> Call:
        query = route.query.model_validate(_query(route.query, request.query))
        body = route.body.model_validate(_json(request)) if route.body else None
        if not route.body and request.body:
            raise ApiError(400, "this operation takes no body", "invalid-request")
        assigned += [*(getattr(body, "parameters", None) or getattr(body, "values", None) or ())]
        if_match = request.headers.get("If-Match") if route.changes else None
        if if_match is not None and not route.has_etag:
            raise ApiError(412, "this has no ETag: leave If-Match out")
        tags = None if if_match is None else _tags(if_match)
        claimed = request.headers.get("X-Changed-By", "")
        return Call(self._ledger, request.caller, request.path, query, body, claimed, tags)

    def _run(self, route: Route, call: Call) -> Answer:
        try:
            reply = route.run(call)
        except Exception as error:
            if call.changed:
                _log_change(route, call, call.changed | {"failed": str(error) or type(error).__name__})
            raise
        if route.changes and reply.change is not None:
            _log_change(route, call, reply.change)
        headers = {"Content-Type": "application/json"} | ({"ETag": reply.etag} if reply.etag else {})
        return Answer(200, headers, _written(reply))


def _log_change(route: Route, call: Call, change: Mapping[str, Any]) -> None:
    log.info(
        "the API changed something",
        operation=route.operation_id,
        caller=call.author,
        **{f"of_{name}": value for name, value in call.path.items()},
        **change,
        **({"reason": call.reason} if call.reason else {}),
    )


def problem_answer(problem: ApiError) -> Answer:
    """Return the answer of a failure."""
    headers = {"Content-Type": MEDIA_TYPE} | problem.headers
    return Answer(problem.status, headers, msgspec.json.encode(problem.facts()))


def _written(reply: Reply) -> bytes:
    told = {"success": True, "data": _plain(reply.data), "metadata": _plain(reply.metadata)}
    return msgspec.json.encode(told, enc_hook=str)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=value.model_config.get("extra") == "allow")
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _json(request: ApiRequest) -> Any:
    if not request.body:
        return {}
    kind = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"Content-Type must be application/json, not {kind}")
    try:
        return msgspec.json.decode(request.body)
    except UNREADABLE as error:
        raise ApiError(400, f"the body is no JSON: {error}", "malformed-json") from None


def _query(model: type[BaseModel], arguments: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the arguments of a query: lists where the model has them. Raises ApiError: one is there twice."""
    found: dict[str, Any] = {}
    for name, values in arguments.items():
        field = model.model_fields.get(name)
        if field is not None and _is_list(field.annotation):
            found[name] = values
        elif len(values) > 1:
            raise ApiError(422, f"{name} is given twice", "invalid-request", [Fault(name, "is given twice")])
        else:
            found[name] = values[0]
    return found


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in {Union, UnionType}:
        return any(map(_is_list, get_args(annotation)))
    return annotation is list or get_origin(annotation) is list


def _tags(header: str) -> frozenset[str]:
    """Return the ETags of If-Match; a weak one matches none."""
    return frozenset(filter(None, (tag.strip() for tag in header.split(","))))
