"""The scope that each RPC needs. Every RPC of both services is here; a method without a scope is refused to everyone."""

from __future__ import annotations

from collections.abc import Mapping

from servicekit.access.caller import Scope
from servicekit.journal import OwningService

_JOBS = "/sonichaos.jobs.v1.JobsService"
_RENDER = "/sonichaos.render.v1.RenderService"
_SEPARATION = "/sonichaos.separation.v1.SeparationService"
_HANDOFF = "/sonichaos.handoff.v1.HandoffService"
_OPERATIONS = "/sonichaos.operations.v1.OperationsService"
_WEBHOOKS = "/sonichaos.webhooks.v1.WebhooksService"
_WORK = {OwningService.RENDER: Scope.RENDER, OwningService.SEPARATION: Scope.SEPARATE}

RPC_SCOPES: Mapping[str, Scope | Mapping[OwningService, Scope]] = {
    f"{_JOBS}/GetJob": Scope.READ,
    f"{_JOBS}/ListJobs": Scope.READ,
    f"{_JOBS}/WatchJob": Scope.READ,
    f"{_JOBS}/WatchJobs": Scope.READ,
    f"{_JOBS}/CreateSignedUrl": Scope.READ,
    f"{_JOBS}/GetUsage": Scope.READ,
    f"{_JOBS}/GetWaveforms": Scope.READ,
    f"{_JOBS}/CancelJob": _WORK,
    f"{_JOBS}/DeleteJob": _WORK,
    f"{_JOBS}/DeleteVersion": _WORK,
    f"{_JOBS}/EraseJob": _WORK,
    f"{_JOBS}/AddStems": _WORK,
    f"{_JOBS}/RetryVersion": _WORK,
    f"{_RENDER}/CreateRender": Scope.RENDER,
    f"{_RENDER}/RerenderStem": Scope.RENDER,
    f"{_RENDER}/CreatePersona": Scope.RENDER,
    f"{_RENDER}/DeletePersona": Scope.RENDER,
    f"{_RENDER}/ReplayTake": Scope.RENDER,
    f"{_RENDER}/ErasePrompt": Scope.RENDER,
    f"{_RENDER}/ListPersonas": Scope.READ,
    f"{_RENDER}/GetPersona": Scope.READ,
    f"{_RENDER}/DownloadPersonaClip": Scope.READ,
    f"{_RENDER}/AnalyzePrompt": Scope.READ,
    f"{_RENDER}/EstimateRender": Scope.READ,
    f"{_RENDER}/ListAuditRows": Scope.READ,
    f"{_RENDER}/VerifyAuditChain": Scope.READ,
    f"{_RENDER}/GetModelInfo": Scope.READ,
    f"{_RENDER}/GetDriftReport": Scope.OPERATE,
    f"{_SEPARATION}/CreateSeparation": Scope.SEPARATE,
    f"{_SEPARATION}/AnalyzeAudio": Scope.SEPARATE,
    f"{_SEPARATION}/GetModelInfo": Scope.READ,
    f"{_SEPARATION}/SeparateTensor": Scope.PEER,
    f"{_SEPARATION}/ReplaceStem": Scope.PEER,
    f"{_OPERATIONS}/EraseTenant": Scope.OPERATE,
    f"{_OPERATIONS}/Drain": Scope.OPERATE,
    f"{_WEBHOOKS}/ListWebhooks": Scope.READ,
    f"{_WEBHOOKS}/ListWebhookDeliveries": Scope.READ,
    f"{_WEBHOOKS}/CreateWebhook": _WORK,
    f"{_WEBHOOKS}/DeleteWebhook": _WORK,
    f"{_WEBHOOKS}/RetryWebhookDelivery": _WORK,
    f"{_HANDOFF}/SendTensor": Scope.PEER,
    f"{_HANDOFF}/WithdrawTensor": Scope.PEER,
}
"""By full method name. What changes jobs needs the scope of the service that it is called on."""


def rpc_scopes(owner: OwningService) -> dict[str, Scope]:
    """The table for one service."""
    return {method: scope if isinstance(scope, Scope) else scope[owner] for method, scope in RPC_SCOPES.items()}
