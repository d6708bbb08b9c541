"""Removes what a case created: jobs, personas and webhooks. docs/conformance.md, "Cleaning up", states the rules."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sonichaos_client.testing.conformance.matching import Difference
from sonichaos_client.testing.conformance.wire import Answer, OpenStream, Rpc, Wire

_JOB_CALLS = {"RenderService/CreateRender": "render", "SeparationService/CreateSeparation": "separation"}
_OTHER = {"render": "separation", "separation": "render"}
_GONE = "NOT_FOUND"
_FINAL = frozenset({"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"})


class CreatedThings:
    """What calls created, so that it can be removed. What ``others`` has, which an answer may repeat, is not removed here."""

    def __init__(self, wire: Wire, others: CreatedThings | None = None) -> None:
        self._wire = wire
        self._others = others
        self.jobs: dict[str, str] = {}
        self._calls: dict[tuple[str, str, str], None] = {}

    def note(self, rpc: Rpc, answer: Answer) -> None:
        """Remember what an answer says was created."""
        if answer.code != "OK":
            return
        name = "/".join((rpc.service, rpc.path.rpartition("/")[2]))
        if name in _JOB_CALLS:
            job_id = answer.response["job"]["jobId"]
            if self._others is None or job_id not in self._others.jobs:
                self.jobs[job_id] = _JOB_CALLS[name]
        elif name == "RenderService/CreatePersona":
            self._calls[("RenderService/DeletePersona", "personaId", answer.response["persona"]["id"])] = None
        elif name == "WebhooksService/CreateWebhook":
            self._calls[("WebhooksService/DeleteWebhook", "webhookId", answer.response["webhook"]["webhookId"])] = None

    def remove(self, limit_s: float) -> list[Difference]:
        """Cancel and delete the jobs, then the rest; what could not be removed."""
        deadline_s = time.monotonic() + limit_s
        left = []
        for job_id, owner in self.jobs.items():
            answer = self._remove_job(job_id, owner, deadline_s)
            if answer.code == _GONE:
                answer = self._remove_job(job_id, _OTHER[owner], deadline_s)
            if answer.code not in ("OK", _GONE):
                left.append(Difference(job_id, "the job is deleted", f"{answer.code}: {answer.message}"))
        for name, field, value in self._calls:
            answer = self._call(name, None, {field: value}, deadline_s)
            if answer.code not in ("OK", _GONE):
                left.append(Difference(value, name, f"{answer.code}: {answer.message}"))
        self.jobs.clear()
        self._calls.clear()
        return left

    def _call(self, name: str, to: str | None, body: Mapping[str, Any], deadline_s: float) -> Answer:
        rpc = Rpc.named(name)
        return self._wire.call(rpc, to, [rpc.request(body)], max(0.1, deadline_s - time.monotonic()))

    def _remove_job(self, job_id: str, owner: str, deadline_s: float) -> Answer:
        answer = self._call("JobsService/GetJob", owner, {"jobId": job_id}, deadline_s)
        if answer.code != "OK":
            return answer
        for version in answer.response["job"]["versions"]:
            if version["state"] not in _FINAL:
                request = {"jobId": job_id, "version": version["number"]}
                self._call("JobsService/CancelJob", owner, request, deadline_s)
                self._wait(request, owner, deadline_s)
        return self._call("JobsService/DeleteJob", owner, {"jobId": job_id}, deadline_s)

    def _wait(self, request: Mapping[str, Any], owner: str, deadline_s: float) -> None:
        """Until the version has ended or the time is up, which DeleteJob then reports."""
        rpc = Rpc.named("JobsService/WatchJob")
        stream: OpenStream = self._wire.open(rpc, owner, rpc.request(request))
        try:
            while not isinstance(stream.next(deadline_s), Answer):
                pass
        except TimeoutError:
            stream.cut()
