import { en } from "../messages/en";
import style from "./readiness_notice.module.css";
import { StateLine } from "./state_line";
import { useReadiness } from "./use_readiness";

/** Says what is not ready and what to do meanwhile. Shows nothing once both services are ready, and until they were asked. */
export function ReadinessNotice() {
  const { render, separation } = useReadiness();
  const states = [render.state, separation.state];
  const waiting = states.some((state) => state !== "serving" && state !== "unknown");
  if (!waiting || states.includes("signed-out")) return null;
  return (
    <section className={style.notice} aria-label={en.readiness.noticeTitle}>
      <h2>{en.readiness.noticeTitle}</h2>
      <StateLine name={en.readiness.renderer} service={render} />
      <StateLine name={en.readiness.separator} service={separation} />
      {states.includes("unreachable") && <p>{en.readiness.noticeUnreachable}</p>}
      <p>{render.state === "serving" ? en.readiness.noticeWithoutStems : en.readiness.noticeMeanwhile}</p>
    </section>
  );
}
