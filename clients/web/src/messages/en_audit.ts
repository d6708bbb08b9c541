// Texts of the audit rows and of the check of files.

const witnesses = { job: "the job", manifest: "the manifest", audit: "the audit chain" } as const;

type Witness = keyof typeof witnesses;

function listed(names: readonly Witness[]): string {
  const words = names.map((name) => witnesses[name]);
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function decibels(value: number, unit: string): string {
  return `${value.toFixed(1).replace("-", "−")} ${unit}`;
}

export const audit = {
  title: "Audit and licence",
  loading: "Reading the audit rows.",
  none: "No audit row yet. One is written when the bounce is stored, and one with the stems.",
  rowOf: (version: number, kind: string) =>
    kind === "bounce" ? `v${version}: the bounce` : `v${version}: bounce and stems`,
  earlier: (row: string) => `Earlier row, ${row}`,
  written: "Written",
  tenant: "Requested by",
  prompt: "Prompt",
  promptErased: "Erased. Its salted digest stays in the chain, so the chain is still intact.",
  erased: "The prompt of this take was erased. Files that were stored before may still contain it.",
  persona: "Persona",
  personaWithPrefix: (id: string, prefix: string) => `${id} (${prefix})`,
  seed: "Seed",
  licence: "Licence",
  licensee: (name: string) => `${name} may use it.`,
  noLicensee: "No licensee was named.",
  tier: (tier: string) => `Tier: ${tier}.`,
  terms: (terms: string) => `Terms: ${terms}`,
  coversBounce: "It covers the bounce only.",
  coversAll: "It covers the bounce and its stems.",
  labels: "Labels",
  loudness: "Loudness",
  loudnessOf: (lufs: number, peak: number | undefined) =>
    peak === undefined ? decibels(lufs, "LUFS") : `${decibels(lufs, "LUFS")}, true peak ${decibels(peak, "dBTP")}`,
  silent: "Silence",
  renderer: "Rendered by",
  rendererOf: (name: string, licence: string, models: number) =>
    `${name}${licence === "" ? "" : `, licence of the weights: ${licence}`}; ${models} model files are recorded by digest`,
  separator: "Separated by",
  zip: "SHA-256 of the ZIP",
  bounce: "SHA-256 of the bounce",
  digest: "Chain digest",
  rawJson: "The row as JSON",
  verifyChain: "Verify the audit chain",
  verifying: "Verifying",
  intact: (rows: bigint, digest: string) =>
    `The whole chain is intact: ${rows} rows, each with the digest of the one before. Digest of the newest: ${digest}`,
  empty: "The chain has no rows yet.",
  broken: (sequence: bigint, detail: string) => `The chain is broken at row ${sequence}: ${detail}`,
  filesTitle: "Check the files",
  filesIntro:
    "Downloads each file of this version and compares its SHA-256 with the manifest, the job and the audit chain.",
  checkFiles: (version: number, size: string) => `Check the files of v${version} (${size})`,
  cancelCheck: "Stop",
  checkStopped: "The check was stopped.",
  checking: (name: string) => `Checking ${name}`,
  countOf: (done: number, total: number) => `${done} of ${total}`,
  matches: (name: string, agree: readonly Witness[]) => `${name}: equal to ${listed(agree)}.`,
  differs: (name: string, differ: readonly Witness[]) => `${name}: differs from ${listed(differ)}.`,
  unknown: (name: string) => `${name}: nothing to compare it with.`,
  allMatch: (count: number) => `All ${count} files are what the service recorded.`,
  mismatch: (count: number) =>
    count === 1 ? "1 file differs. Do not use it." : `${count} files differ. Do not use them.`,
  found: (sha256: string) => `SHA-256 ${sha256}`,
  secureOnly: "Browsers compute SHA-256 only on https pages and on this machine. Use “sonichaos verify” instead.",
} as const;
