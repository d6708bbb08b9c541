// What is heard and how loud: the rules of solo, mute and faders, without any audio.

export const STEMS = ["drums", "bass", "vocals", "other"] as const;
export const LANES = ["bounce", ...STEMS] as const;
export const SIDES = ["main", "against"] as const;
export type StemName = (typeof STEMS)[number];
export type LaneName = (typeof LANES)[number];
/** `main` is the version that the player shows, `against` the one that it is compared with. */
export type SideName = (typeof SIDES)[number];
/** The bounce, or the stems in its place: never both. */
export type Listening = "bounce" | "stems";

export const FADER_DB = { min: -60, max: 6, step: 0.5 } as const;

export interface LaneMix {
  readonly muted: boolean;
  /** Only for stems. */
  readonly soloed: boolean;
  /** -60 to 6; -60 is silence. */
  readonly faderDb: number;
}

export interface Mix {
  readonly lanes: Readonly<Record<LaneName, LaneMix>>;
  readonly masterDb: number;
}

/** What sounds. */
export interface Heard {
  readonly side: SideName;
  readonly listening: Listening;
}

const UNITY: LaneMix = { muted: false, soloed: false, faderDb: 0 };

export const UNITY_MIX: Mix = {
  lanes: { bounce: UNITY, drums: UNITY, bass: UNITY, vocals: UNITY, other: UNITY },
  masterDb: 0,
};

/** Amplitude of a fader. Exactly 1 at 0 dB, so that the stems add up to the bounce. */
export function gainOfDb(db: number): number {
  return db <= FADER_DB.min ? 0 : 10 ** (db / 20);
}

/** Amplitude of a lane, whichever version sounds. */
export function laneGain(mix: Mix, listening: Listening, lane: LaneName): number {
  const { muted, soloed, faderDb } = mix.lanes[lane];
  if (muted || (lane === "bounce") !== (listening === "bounce")) return 0;
  const anySolo = STEMS.some((stem) => mix.lanes[stem].soloed);
  return lane !== "bounce" && anySolo && !soloed ? 0 : gainOfDb(faderDb);
}

/** Gains in dB, 0 or less, that bring two versions to the loudness of the quieter one. 0 where a loudness is not known. */
export function matchingGainsDb(lufs: Readonly<Record<SideName, number | undefined>>): Record<SideName, number> {
  const { main, against } = lufs;
  if (main === undefined || against === undefined) return { main: 0, against: 0 };
  const quieter = Math.min(main, against);
  return { main: quieter - main, against: quieter - against };
}
