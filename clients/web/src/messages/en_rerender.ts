// Texts of the re-render panel and of the drift report.

function ms(value: number): string {
  const size = Math.abs(value);
  return `${size < 20 ? size.toFixed(1).replace(/\.0$/, "") : Math.round(size)} ms`;
}

function late(value: number): string {
  if (Math.abs(value) < 0.05) return "exactly on it";
  return `${ms(value)} ${value > 0 ? "late" : "early"}`;
}

export const rerender = {
  title: "Render one stem again",
  startsFrom: (version: number) => `Starts from v${version}. The other three stems stay as they are.`,
  needsDone: (version: number) => `v${version} is still in progress. Its stems can be rendered again when it is done.`,
  stem: "Stem",
  drumsOff:
    "Drums carry the groove, so rendering them again is switched off here. Whoever runs the service can allow it with SONICHAOS_DRUMS_RERENDER=true.",
  persona: "Persona",
  personaHint: "Whose sound the new stem has.",
  asBase: (id: string) => `${id} (as before)`,
  personaNeeded: "Choose a persona: a recording has none.",
  choosePersona: "Choose a persona",
  prompt: "Prompt",
  promptHint: "Change it to steer the new stem. The rest of the take does not change.",
  promptNeeded: "Write a prompt: a recording has none, and an erased one is gone.",
  promptTooLong: (length: number) => `At most 2000 characters, got ${length}.`,
  seed: "Seed",
  seedRange: (text: string) => `Enter a whole number from 0 to 4294967295, got “${text}”.`,
  draw: "Draw a new seed",
  lock: "Keep this seed",
  bars: "Bars",
  wholeTake: (bars: number) => `The whole take (${bars} bars)`,
  someBars: "Some bars only",
  fromBar: "First bar",
  toBar: "Last bar",
  barRange: (bars: number) => `Enter a bar from 1 to ${bars}.`,
  lastBarRange: (from: number, bars: number) => `Enter a bar from ${from} to ${bars}.`,
  newPart: "Compose a new part",
  newPartHint: "Otherwise the new stem plays the notes of the old one.",
  more: "More",
  allowDrift: "Keep the stem even if it is out of time",
  allowDriftHint: "Otherwise a stem beyond the limits is refused. The manifest records that it was kept.",
  bpm: "Tempo of the recording in BPM",
  bpmHint: "In 4/4 from the first sample. “sonichaos analyze” estimates it.",
  bpmRange: "Enter 30 to 300 BPM.",
  key: "Key of the recording",
  keyHint: "Such as A minor or Eb major.",
  keyNeeded: "Write the key, such as A minor: a recording has none.",
  submit: (stem: string) => `Render ${stem.toLowerCase()} again`,
  submitting: "Sending",
  accepted: (version: number) => `Accepted as v${version}. Its progress is shown above.`,
  drift: {
    title: (stem: string, version: number) => `Timing of the new ${stem.toLowerCase()} in v${version}`,
    loading: "Reading the drift report.",
    verdicts: {
      within: "In time",
      beyond: "Out of time",
      unmeasurable: "Not measurable",
    },
    within: (stem: string) => `The new ${stem} stem is in time.`,
    beyond: (stem: string) => `The new ${stem} stem is out of time.`,
    accepted: "It was kept because you allowed drift.",
    unmeasurable: (stem: string) => `The new ${stem} stem has too few clear onsets to judge its timing.`,
    median: (value: number, against: string) => `It is typically ${late(value)} against ${against}.`,
    medianExact: (against: string) => `It is typically exactly on ${against}.`,
    medianLimit: (min: number, max: number) => `Limit: ${ms(min)} early to ${ms(max)} late.`,
    p95: (value: number) => `95 % of its onsets lie within ${ms(value)}.`,
    p95Limit: (value: number, limit: number) => `95 % of its onsets lie within ${ms(value)}; limit ${ms(limit)}.`,
    scatter: (value: number, limit: number) => `It scatters by ${ms(value)} around that; limit ${ms(limit)}.`,
    steady: "It keeps the tempo from start to end.",
    drags: (value: number) => `It drags: it gets ${ms(value)} later each minute.`,
    rushes: (value: number) => `It rushes: it gets ${ms(value)} earlier each minute.`,
    grid: "the beat grid",
    score: "the notes of its part",
    moved: (value: number) =>
      `The new mix as a whole was ${late(value)} against the grid; the stem was moved by that much.`,
    notMoved: "It needed no alignment.",
    keyFits: (heard: string, percent: number) => `It sounds like ${heard}; ${percent} % of its energy is in the key.`,
    keyDiffers: (heard: string, asked: string, percent: number) =>
      `It sounds like ${heard} instead of ${asked}; ${percent} % of its energy is in the key.`,
    region: (from: number, to: number) => `Bars ${from} to ${to} were replaced.`,
    picture: "Onsets of the new stem over the take",
    pictureText: (before: string, after: string, limit: string) =>
      `Offset from the grid over the take. Before alignment: ${before}. After: ${after}. Limit: ${limit}.`,
    pictureValues: (median: number, p95: number) => `median ${late(median)}, 95 % within ${ms(p95)}`,
    unknown: "not measured",
    limitValues: (min: number, max: number) => `median from ${late(min)} to ${late(max)}`,
    lateUnit: "late (ms)",
    earlyUnit: "early (ms)",
    legendOnsets: "single onsets, against the grid",
    legendAfter: "after alignment",
    legendBefore: "before alignment",
    legendLimit: "limit",
    outside: (count: number) =>
      count === 1
        ? "1 onset lies outside the picture, between the lines of the grid."
        : `${count} onsets lie outside the picture, between the lines of the grid.`,
    axis: (value: number) => (value === 0 ? "0" : value > 0 ? `+${value}` : `−${-value}`),
    second: (value: number) => `${value} s`,
  },
} as const;
