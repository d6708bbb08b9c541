"""What a journal must do, as a model in plain Python: versions with their states, claims, crashes and places in the queue."""

from __future__ import annotations

from dataclasses import dataclass, field

from servicekit.journal import Claim, JobState

MAX_CRASHES = 3


@dataclass
class ModelVersion:
    """One version; ``token`` is its current claim, ``lost_token`` the claim whose loss was counted as a crash."""

    job_id: str
    number: int
    place: int
    state: JobState = JobState.QUEUED
    attempt: int = 0
    crashes: int = 0
    token: str | None = None
    host: int | None = None
    lost_token: str | None = None

    def leave(self, state: JobState) -> None:
        """A state without a worker."""
        self.state, self.token, self.host = state, None, None


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

    def add(self, job_id: str, number: int) -> None:
        """A new version, at the end of the queue."""
        self.versions[job_id, number] = ModelVersion(job_id, number, self.next_place())

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
        """Why ``host`` may take a claimed version: "unused" is no crash, "crash" is one; None where it may not."""
        assert version.token is not None
        assert version.host is not None
        if version.host == host.number:
            return None if version.token in host.held else "unused"
        if self.sees_death and version.host not in self.alive:
            return "crash"
        return "crash" if version.token in host.silent else None

    def reap(self, host: ModelHost) -> None:
        """End what no worker will end."""
        for version in self._claimed():
            loss = self.loss(version, host)
            if loss is None:
                continue
            if version.state is JobState.CANCELLING:
                version.leave(JobState.CANCELLED)
            elif loss == "crash" and version.crashes + 1 >= MAX_CRASHES:
                version.leave(JobState.FAILED)

    def claim(self, host: ModelHost) -> ModelVersion | None:
        """The version that ``host`` gets now, with the new attempt counted; its claim is not set yet."""
        self.reap(host)
        lost = [(one, loss) for one in self._claimed() if (loss := self.loss(one, host)) is not None]
        if lost:
            version, loss = lost[0]
            version.lost_token = version.token if loss == "crash" else None
            version.crashes += loss == "crash"
        else:
            queued = sorted(
                (one for one in self.versions.values() if one.state is JobState.QUEUED), key=lambda one: one.place
            )
            if not queued:
                return None
            version = queued[0]
            version.lost_token = None
        version.attempt += 1
        version.state = JobState.RUNNING
        return version

    def excuse(self, claim: Claim) -> None:
        """A worker that lost its claim has shown that it lives."""
        version = self.versions.get((claim.version.job_id, claim.version.number))
        if version is not None and version.lost_token == claim.token:
            version.crashes -= 1
            version.lost_token = None

    def _claimed(self) -> list[ModelVersion]:
        claimed = [one for one in self.versions.values() if one.state in {JobState.RUNNING, JobState.CANCELLING}]
        return sorted(claimed, key=lambda one: one.place)
