import { create } from "@bufbuild/protobuf";
import { AuditRowSchema } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { describe, expect, it } from "vitest";

import { factsOf, isPromptErased } from "./row_words";

const BODY = {
  tenant: "local",
  licence: { tier: "sync", terms: "https://example.com", covers: "bounce" },
  lufs: -16.02,
  truePeakDbtp: -1.04,
  plan: { personaId: "velvet-lounge", seed: 7 },
  renderer: { name: "starter", licence: "Apache-2.0", digests: { denoiser: "a", vocoder: "b" } },
  promptSha256: "c",
  bounce: { sha256: "d" },
};
const PERSONAL = { labels: { project: "film" }, "licence.licensee": "North Films", "plan.personaPrefix": "smoky" };

function row(prompt: string, personal: object = PERSONAL, body: object = BODY) {
  return create(AuditRowSchema, {
    prompt,
    bodyJson: JSON.stringify(body),
    personalJson: JSON.stringify(personal),
    digest: "e",
  });
}

describe("an audit row in words", () => {
  it("says who asked, under which licence, and what was recorded", () => {
    expect(Object.fromEntries(factsOf(row("a waltz")))).toEqual({
      "Requested by": "local",
      Prompt: "a waltz",
      Persona: "velvet-lounge (smoky)",
      Seed: "7",
      Licence: "North Films may use it. Tier: sync. It covers the bounce only. Terms: https://example.com",
      Labels: "project = film",
      Loudness: "−16.0 LUFS, true peak −1.0 dBTP",
      "Rendered by": "starter, licence of the weights: Apache-2.0; 2 model files are recorded by digest",
      "SHA-256 of the bounce": "d",
      "Chain digest": "e",
    });
  });

  it("says that a prompt was erased, and nothing personal after an erasure", () => {
    const erased = row("", {});
    expect(isPromptErased(erased)).toBe(true);
    const facts = Object.fromEntries(factsOf(erased));
    expect(facts.Prompt).toMatch(/^Erased/);
    expect(facts.Licence).toMatch(/^No licensee was named/);
    expect(facts.Labels).toBeUndefined();
  });

  it("knows an upload, which never had a prompt, from an erased one", () => {
    const upload = row("", {}, { tenant: "local", licence: {}, lufs: null, bounce: { sha256: "d" } });
    expect(isPromptErased(upload)).toBe(false);
    const facts = Object.fromEntries(factsOf(upload));
    expect(facts.Prompt).toBeUndefined();
    expect(facts.Loudness).toBe("Silence");
  });

  it("survives a body that is not JSON", () => {
    const broken = create(AuditRowSchema, { bodyJson: "{", personalJson: "", digest: "e" });
    expect(Object.fromEntries(factsOf(broken))["Chain digest"]).toBe("e");
  });
});
