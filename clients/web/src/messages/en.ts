// Every text that the page shows, in English. Each feature has a section of its own; values are inserted by functions.

import { audit } from "./en_audit";
import { brief } from "./en_brief";
import { library } from "./en_library";
import { player } from "./en_player";
import { progress } from "./en_progress";
import { readiness } from "./en_readiness";
import { rerender } from "./en_rerender";
import { session } from "./en_session";
import { take } from "./en_take";

export const en = {
  app: {
    name: "SONICHAOS",
    product: "AI Studio",
    title: "SONICHAOS AI Studio",
    titleOf: (page: string) => `${page} · SONICHAOS AI Studio`,
    compose: "Compose",
    library: "Library",
    skipToContent: "Skip to content",
    navigation: "Pages",
  },
  errors: {
    unreachable:
      "The services do not answer. Check that “sonichaos up --web” still runs; this page tries again by itself.",
    retryAfter: (seconds: number) => `Try again in ${seconds} s.`,
    reason: (reason: string) => `Reason: ${reason}`,
  },
  audit,
  brief,
  library,
  player,
  progress,
  readiness,
  rerender,
  session,
  take,
} as const;
