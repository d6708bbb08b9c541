"""What a journal must do, as a model in plain Python: versions with their states, claims, crashes and places in the queue."""

from __future__ import annotations

from dataclasses import dataclass, field

from servicekit.journal import Claim, JobState

MAX_CRASHES = 3
LENGTH_S = 8.0
"""Seconds of audio of every version."""


@dataclass
class ModelVersion:
    """One version; ``token`` is its current claim, ``lost_token`` the claim whose loss was counted as a crash.

    ``waiting``: its worker works on nothing. ``suspect``: it was being worked on when its process died. ``deleted``: its files
    were deleted.
    """

    job_id: str
    number: int
    place: int
    tenant: str
    priority: int = 0
    state: JobState = JobState.QUEUED
    attempt: int = 0
    crashes: int = 0
    token: str | None = None
    host: int | None = None
    lost_token: str | None = None
    waiting: bool = False
    suspect: bool = False
    deleted: bool = False

    def leave(self, state: JobState) -> None:
        """A state without a worker."""
        self.state, self.waiting = state, False
        self.revoke()
        if state.ended:
            self.suspect = False

    def revoke(self) -> None:
        """Nobody holds it."""
        self.token, self.host = None, None


@dataclass
class ModelHost:
    """One process: the claims that work holds, and the claims of others that it has observed to be silent."""

    number: int
    held: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)


@dataclass
class Model:
    """The whole journal. ``sees_death``: the death of a process is known at once, as beside a SQLite file."""

    sees_death: bool
    versions: dict[tuple[str, int], ModelVersion] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    alive: set[int] = field(default_factory=set)
    places: int = 0
    turns: dict[str, float] = field(default_factory=dict)
    service_s: float = 0.0

    def add(self, job_id: str, number: int, *, tenant: str, priority: int = 0) -> None:
        """A new version, at the end of its tenant's queue."""
        self.versions[job_id, number] = ModelVersion(job_id, number, self.next_place(), tenant, priority)

    def next_place(self) -> int:
        """The end of the queue."""
        self.places += 1
        return self.places

    def of_job(self, job_id: str) -> list[ModelVersion]:
        """Its versions in order."""
        return sorted((one for one in self.versions.values() if one.job_id == job_id), key=lambda one: one.number)

    def current(self, claim: Claim) -> ModelVersion | None:
        """The version, if the claim is still valid."""
        version = self.versions.get((claim.version.job_id, claim.version.number))
        return version if version is not None and version.token == claim.token else None

    def loss(self, version: ModelVersion, host: ModelHost) -> str | None:
        """Why ``host`` may take a claimed version: "crash", or something that is none; None where it may not."""
        if version.token is None or version.host is None:
            return "revoked"
        if version.host == host.number:
            return None if version.token in host.held else "unused"
        if self.sees_death and version.host not in self.alive:
            return "crash"
        return "crash" if version.token in host.silent else None

    def record_crash(self, worker: int, host: ModelHost) -> None:
        """One executing version, or those suspected before, caused it; if that names none, all executing are suspects now."""
        lost = [one for one in self._claimed() if one.host == worker and self.loss(one, host) == "crash"]
        executing = [one for one in lost if not one.waiting]
        guilty = [one for one in executing if one.suspect] or (executing if len(executing) == 1 else [])
        for one in guilty:
            one.crashes += 1
            one.lost_token = one.token
        for one in executing:
            one.suspect = True
        for one in lost:
            one.revoke()

    def reap(self, host: ModelHost) -> None:
        """End what no worker will end."""
        self.revoke_orphans(host)
        for version in self._orphans(host):
            version.leave(JobState.CANCELLED if version.state is JobState.CANCELLING else JobState.FAILED)

    def revoke_orphans(self, host: ModelHost) -> None:
        """Nobody may write a version that is about to end."""
        for version in self._orphans(host):
            if self.loss(version, host) == "crash" and version.host is not None:
                self.record_crash(version.host, host)
            version.revoke()

    def claim(self, host: ModelHost) -> ModelVersion | None:
        """The version that ``host`` gets now, with the new attempt counted; its claim is not set yet."""
        self.reap(host)
        has_suspect = any(one.suspect and not one.waiting and one.token in host.held for one in self._claimed())
        version = self._lost(host, has_suspect=has_suspect)
        if version is None:
            queued = [one for one in self.versions.values() if one.state is JobState.QUEUED]
            allowed = [one for one in queued if not (one.suspect and has_suspect)]
            if not allowed:
                return None
            version = self._take_turn(allowed)
        version.attempt += 1
        version.state, version.waiting = JobState.RUNNING, False
        return version

    def _take_turn(self, waiting: list[ModelVersion]) -> ModelVersion:
        """The first version of the tenant with the earliest start; among equals the one that has waited longest."""

        def start_s(tenant: str) -> float:
            return max(self.turns.get(tenant, 0.0), self.service_s)

        longest = sorted(waiting, key=lambda one: one.place)
        tenant = min(longest, key=lambda one: start_s(one.tenant)).tenant
        self.service_s = start_s(tenant)
        self.turns[tenant] = self.service_s + LENGTH_S
        return min((one for one in waiting if one.tenant == tenant), key=lambda one: (-one.priority, one.place))

    def give_back(self, version: ModelVersion) -> None:
        """A version returns to the queue, and its tenant has its turn again."""
        self.turns[version.tenant] -= LENGTH_S

    def _lost(self, host: ModelHost, *, has_suspect: bool) -> ModelVersion | None:
        """The first abandoned version that ``host`` may work on."""
        for one in self._claimed():
            loss = self.loss(one, host)
            suspect = one.suspect or (loss == "crash" and not one.waiting)
            if one.state is JobState.RUNNING and loss is not None and not (suspect and has_suspect):
                if loss == "crash" and one.host is not None:
                    self.record_crash(one.host, host)
                return one
        return None

    def _orphans(self, host: ModelHost) -> list[ModelVersion]:
        """Abandoned versions that were cancelled, or whose next counted crash is the last."""
        return [
            one
            for one in self._claimed()
            if self.loss(one, host) is not None
            and (one.state is JobState.CANCELLING or self._crashes(one, host) >= MAX_CRASHES)
        ]

    def _crashes(self, version: ModelVersion, host: ModelHost) -> int:
        """With the one that is not recorded yet."""
        if self.loss(version, host) != "crash" or version.waiting:
            return version.crashes
        beside = [
            one
            for one in self._claimed()
            if one.host == version.host and one is not version and not one.waiting and self.loss(one, host) == "crash"
        ]
        return version.crashes + (version.suspect or not beside)

    def excuse(self, claim: Claim) -> None:
        """A worker that lost its claim has shown that it lives."""
        version = self.versions.get((claim.version.job_id, claim.version.number))
        if version is not None and version.lost_token == claim.token:
            version.crashes -= 1
            version.lost_token = None

    def _claimed(self) -> list[ModelVersion]:
        claimed = [one for one in self.versions.values() if one.state in {JobState.RUNNING, JobState.CANCELLING}]
        return sorted(claimed, key=lambda one: one.place)
