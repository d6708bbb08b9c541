import { en } from "../messages/en";
import style from "./readiness_notice.module.css";
import { useReadiness } from "./use_readiness";
import { stateText } from "./words";

/** Says what is not ready and what to do meanwhile. Shows nothing once both services are ready, and until they were asked. */
export function ReadinessNotice() {
  const { render, separation } = useReadiness();
  const waiting = [render, separation].some(({ state }) => state !== "serving" && state !== "unknown");
  if (!waiting || render.state === "signed-out") return null;
  const unreachable = [render.state, separation.state].includes("unreachable");
  return (
    <section className={style.notice} role="status">
      <h2>{en.readiness.noticeTitle}</h2>
      {render.state !== "serving" && <p>{en.readiness.noticeRender(stateText(render))}</p>}
      {render.state === "serving" && separation.state !== "serving" && (
        <p>{en.readiness.noticeSeparation(stateText(separation))}</p>
      )}
      {render.detail !== "" && <p className="muted">{render.detail}</p>}
      {unreachable && <p>{en.readiness.noticeUnreachable}</p>}
      {render.state !== "serving" && <p>{en.readiness.noticeMeanwhile}</p>}
    </section>
  );
}
