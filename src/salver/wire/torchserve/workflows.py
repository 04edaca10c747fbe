"""The management calls for workflows: register, describe, list, delete, in TorchServe's words."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations import workflows
from salver.operations.base import Answer, Request, Route
from salver.operations.workflows import Workflow
from salver.wire.torchserve.answers import json_answer, pretty, usual_headers, without_nulls
from salver.wire.torchserve.dialect import NOT_ALLOWED, Dialect
from salver.wire.torchserve.errors import Subject, error_answer
from salver.wire.torchserve.flow import NOT_FOUND, workflow_error
from salver.wire.torchserve.listing import MAX_LIMIT, java_integer
from salver.wire.torchserve.registration import NO_URL, parameters, status_answer

ADDRESS = "/workflows"
INVALID_GRAPH = "InvalidDAGException"
INVALID_WORKFLOW = "InvalidWorkflowException"
FAILED = "WorkflowException"
GRAPH_WORDS = ("Self loop exception", "loop exception", "Not a valid DAG", "DAG should have only one start node")
NOT_FETCHED = "Failed to download archive"


def workflow_name(request: Request) -> str:
    """The workflow that is registered, for the permission."""
    try:
        given = parameters(request)
    except RequestError:
        return ""
    return workflows.name_for(given.get("workflow_name", ""), given.get("url", ""))


class WorkflowCalls:
    """The rows, and the errors on them."""

    def __init__(self, dialect: Dialect, *, is_allowed: bool) -> None:
        """Unless `is_allowed`, workflows are neither registered nor removed."""
        self._dialect = dialect
        self._is_allowed = is_allowed

    def routes(self) -> tuple[Route, ...]:
        one = f"{ADDRESS}/{{model}}"
        rows: tuple[tuple[str, str, str, Any, Any], ...] = (
            ("GET", ADDRESS, workflows.LIST.name, lambda _: workflows.ListWorkflows(), write_list),
            ("GET", one, workflows.GET.name, read_one, write_one),
            ("DELETE", one, workflows.DELETE.name, self.read_delete, write_delete),
        )
        register = Route(
            methods=("POST",),
            path=ADDRESS,
            operation=workflows.REGISTER.name,
            read=self.read_register,
            write=write_register,
            model=workflow_name,
        )
        others = (
            Route(methods=(method,), path=path, operation=operation, read=read, write=write)
            for method, path, operation, read, write in rows
        )
        return (register, *others)

    def read_register(self, request: Request) -> workflows.RegisterWorkflow:
        self._check_allowed()
        given = parameters(request)
        if not given.get("url"):
            raise RequestError(Code.INVALID_INPUT, NO_URL, fix="")
        timeout_s = java_integer(given.get("response_timeout"), 0)
        return workflows.RegisterWorkflow(
            name=workflow_name(request),
            location=given["url"],
            has_own_name=not given.get("workflow_name"),
            deadline_s=float(timeout_s) if timeout_s > 0 else None,
        )

    def read_delete(self, request: Request) -> workflows.DeleteWorkflow:
        self._check_allowed()
        return workflows.DeleteWorkflow(name=request.path_params["model"])

    def _check_allowed(self) -> None:
        if not self._is_allowed:
            raise RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED, fix="")

    def error(self, error: SalverError, request: Request) -> Answer:
        """TorchServe's status and the name of its exception; where its words say nothing, ours."""
        name = request.path_params.get("model", "")
        if name:
            return workflow_error(error, name, request.request_id, self._dialect)
        match error.code:
            case Code.MODEL_NOT_FOUND:
                return _answer(404, NOT_FOUND, error, request)
            case Code.INVALID_INPUT if error.message.startswith(GRAPH_WORDS):
                return _answer(400, INVALID_GRAPH, error, request)
            case Code.INVALID_INPUT if error.message.startswith(NOT_FETCHED):
                return _answer(400, "DownloadArchiveException", error, request)
            case Code.MANIFEST_INVALID:
                return _answer(500, INVALID_WORKFLOW, error, request)
            case Code.LOAD_FAILED:
                return _answer(500, FAILED, error, request)
            case Code.CONFLICT:
                error = RequestError(Code.CONFLICT, error.message, fix="")
        return error_answer(error, Subject(name), request.request_id, self._dialect)


def _answer(status: int, type: str, error: SalverError, request: Request) -> Answer:
    document = {"code": status, "type": type, "message": error.message}
    return Answer(status, pretty(document), headers=usual_headers(request.request_id), close=True)


def read_one(request: Request) -> workflows.GetWorkflow:
    return workflows.GetWorkflow(name=request.path_params["model"])


def write_register(result: Workflow, request: Request) -> Answer:
    return status_answer(200, f"Workflow {result.name} has been registered and scaled successfully.", request)


def write_delete(result: Workflow, request: Request) -> Answer:
    return status_answer(200, f'Workflow "{result.name}" unregistered', request)


def write_one(result: Workflow, request: Request) -> Answer:
    words = result.words
    document = {
        "workflowName": result.name,
        "workflowUrl": result.url,
        "minWorkers": words.min_workers,
        "maxWorkers": words.max_workers,
        "batchSize": words.batch_size,
        "maxBatchDelay": words.max_batch_delay_ms,
        "workflowDag": result.graph,
    }
    return json_answer([document], request)


def write_list(result: tuple[Workflow, ...], request: Request) -> Answer:
    """One page, as those of models are."""
    size = java_integer(request.query_value("limit"), MAX_LIMIT)
    size = size if 0 <= size <= MAX_LIMIT else MAX_LIMIT
    begin = max(0, java_integer(request.query_value("next_page_token"), 0))
    end = begin + size
    page = [{"workflowName": found.name, "workflowUrl": found.url} for found in result[begin:end]]
    token = str(end) if end <= len(result) else None
    return json_answer(without_nulls({"nextPageToken": token, "workflows": page}), request)
