// The state of the services in words.

import { en } from "../messages/en";
import type { Readiness } from "./readiness_poller";
import { deviceName, type ServiceReadiness } from "./service_readiness";

/** "loading its models". */
export function stateText({ state }: ServiceReadiness): string {
  return en.readiness.states[state];
}

/** Both services in one line. */
export function summaryText(readiness: Readiness): string {
  const { render, separation, renderModel, separationModel } = readiness;
  const states = [render.state, separation.state];
  if (states.includes("signed-out")) return en.readiness.signedOut;
  if (states.every((state) => state === "unknown")) return en.readiness.unknown;
  if (states.every((state) => state === "unreachable")) return en.readiness.bothUnreachable;
  if (states.every((state) => state === "serving"))
    return renderModel && separationModel
      ? en.readiness.ready(renderModel.name, separationModel.name, deviceName(renderModel.fingerprint))
      : en.readiness.readyShort;
  const renderText = stateText(render);
  const separationText = stateText(separation);
  const { renderer, separator } = en.readiness;
  if (renderText === separationText) return en.readiness.notServing([renderer, separator], renderText);
  const texts = [];
  if (render.state !== "serving") texts.push(en.readiness.notServing([renderer], renderText));
  if (separation.state !== "serving") texts.push(en.readiness.notServing([separator], separationText));
  return texts.join("; ");
}

/** Why a take cannot be submitted now. Empty if it can. */
export function blockedReason({ render, separation }: Readiness, stems: boolean): string {
  if (render.state === "unknown") return en.readiness.unknown;
  if (render.state !== "serving") return en.readiness.blockedRender(stateText(render));
  if (stems && separation.state !== "serving") return en.readiness.blockedSeparation(stateText(separation));
  return "";
}
