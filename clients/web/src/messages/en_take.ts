// Texts of the page of one take, its versions and its files.

import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";

const stems: Readonly<Record<Stem, string>> = {
  [Stem.UNSPECIFIED]: "Original",
  [Stem.DRUMS]: "Drums",
  [Stem.BASS]: "Bass",
  [Stem.VOCALS]: "Vocals",
  [Stem.OTHER]: "Other",
};

const sources: Readonly<Record<string, string>> = {
  caller: "from the brief",
  score: "from the score",
  prompt: "from the prompt",
  drawn: "from the seed",
};

function signed(value: number, unit: string): string {
  return `${value.toFixed(1).replace("-", "−")} ${unit}`;
}

export const take = {
  loading: "Reading the take.",
  unreadable: "The take cannot be read",
  reconnecting: "The service does not answer. Trying again.",
  unknown: "There is no take with this id",
  unknownDetail: "It was deleted, or it belongs to another account. Check the address, or look for it in the library.",
  deleted: "This take was deleted",
  deletedDetail: "Its files are gone. Its audit rows stay in the audit chain.",
  toLibrary: "Open the library",
  upload: "Recording without a name",
  erasedPrompt: "The prompt was erased",
  copied: "Copied",
  notCopied: "The browser refused to copy",
  copyId: "Copy id",
  restoreBrief: "Restore brief",
  addStems: "Add stems",
  addStemsHint: "This take has no stems yet. With stems you can solo, download and render each of them again.",
  player: "Player",
  playerWaits: "The take can be played as soon as its bounce is stored.",
  stems,
  facts: "Facts",
  prompt: "Prompt",
  file: "File",
  persona: "Persona",
  seed: "Seed",
  tempo: "Tempo",
  tempoOf: (bpm: string, beats: number, unit: number) => `${bpm} BPM, ${beats}/${unit}`,
  tempoChanges: (changes: number) => (changes === 1 ? "with 1 tempo change" : `with ${changes} tempo changes`),
  swing: (percent: number) => `swing ${percent} %`,
  key: "Key",
  seedDrawn: (seed: number) => `${seed} (drawn)`,
  withSource: (value: string, source: string) => {
    const words = sources[source];
    return words === undefined ? value : `${value} (${words})`;
  },
  length: "Length",
  lengthOf: (seconds: string) => `${seconds} s`,
  loop: "a loop",
  instrumental: "instrumental",
  loudness: "Loudness",
  lufs: (value: number) => signed(value, "LUFS"),
  truePeak: (value: number) => `true peak ${signed(value, "dBTP")}`,
  silent: "silence",
  renderer: "Renderer",
  created: "Created",
  labels: "Labels",
  retention: "Kept",
  keptUntil: (moment: string, duration: string) => `until ${moment}; it is deleted in ${duration}`,
  keptForever: "until you delete it",
  command: "The command that makes it",
  copyCommand: "Copy command",
  commandFiles: "Files that the command names are this page's downloads, or your own.",
  downloadsOf: (version: number) => `Downloads of v${version}`,
  zip: "Bounce, stems and manifest (ZIP)",
  bounce: "Bounce (WAV, 24 bit)",
  midi: "Notes with tempo map (MIDI)",
  manifest: "Manifest (JSON)",
  stemFile: (name: string) => `Stem ${name}`,
  download: "Download",
  downloadNamed: (label: string) => `Download: ${label}`,
  downloading: (name: string) => `Downloading ${name}`,
  downloadDamaged: (name: string) =>
    `${name}: what arrived is not what was recorded, so it was not saved. Download it again.`,
  versions: "Versions",
  version: (number: number) => `v${number}`,
  original: "Original",
  rerendered: (stem: string, base: number) => `${stem} of v${base} rendered again`,
  showAll: (count: number) => `Show all ${count} versions`,
  show: "Show",
  compare: "Compare",
  showVersion: (number: number) => `Show v${number}`,
  compareVersion: (number: number) => `Compare with v${number}`,
  justNow: "just now",
  ago: (duration: string) => `${duration} ago`,
  deletedVersion: "Deleted. Its audit rows stay.",
  deleteVersion: "Delete",
  deleteVersionNamed: (number: number) => `Delete v${number}`,
  deleteVersionTitle: (number: number) => `Delete v${number}?`,
  deleteVersionText: (number: number) =>
    `The files of v${number} are deleted for good. Other versions, also those made from it, stay. Its audit rows stay.`,
  deleteTake: "Delete the take",
  deleteTakeTitle: "Delete this take?",
  deleteUpload: "Delete the recording",
  deleteUploadTitle: "Delete this recording?",
  deleteTakeText: (versions: number) =>
    versions === 1
      ? "Its files are deleted for good. Its audit rows stay."
      : `The files of all ${versions} versions are deleted for good. Their audit rows stay.`,
  keep: "Keep",
  newVersion: (number: number) => `v${number} is ready.`,
  hearBoth: (number: number, base: number) => `Compare v${number} with v${base}`,
} as const;
