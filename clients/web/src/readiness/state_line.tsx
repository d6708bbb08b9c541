import { useEffect, useState } from "react";

import { en } from "../messages/en";
import { type ServiceReadiness, STEP_COUNT, stepsDone } from "./service_readiness";
import style from "./state_line.module.css";
import { stateText } from "./words";

interface StateLineProps {
  /** What the service is called. */
  readonly name: string;
  readonly service: ServiceReadiness;
}

/** Seconds since `since`, counted while it is shown. */
function Elapsed({ since }: { readonly since: Date }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <>{en.readiness.since(Math.max(0, Math.round((now - since.getTime()) / 1000)))}</>;
}

/** What a service does before it serves, and how far it is. Shows nothing once it serves. */
export function StateLine({ name, service }: StateLineProps) {
  const { state, since, detail } = service;
  if (state === "serving") return null;
  const steps = stepsDone(state);
  return (
    <div className={style.state}>
      <p>
        {en.readiness.noticeState(name, stateText(service))}{" "}
        {steps !== undefined && since !== undefined && <Elapsed since={since} />}
      </p>
      {steps !== undefined && <progress aria-label={en.readiness.stepsOf(name)} max={STEP_COUNT} value={steps} />}
      {detail !== "" && <p className={style.detail}>{detail}</p>}
    </div>
  );
}
