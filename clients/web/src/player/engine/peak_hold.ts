// A peak meter as people read it: it rises at once, falls slowly and holds its peak.

export const METER_FLOOR_DB = -60;
const FALL_DB_PER_S = 24;
const HOLD_S = 1.5;
/** The highest sample of 24 bits: what reaches it counts as clipped. */
const FULL_SCALE = 1 - 2 ** -23;

export interface MeterReading {
  /** Level now, -60 to 6 dBFS or more. */
  readonly db: number;
  /** Highest level of the last 1.5 s. */
  readonly heldDb: number;
  /** True from the first sample at full scale until `reset`. */
  readonly clipped: boolean;
}

/** One meter: rises at once, falls by 24 dB a second, holds its peak. Times are seconds of any steady clock. */
export class PeakHold {
  #db = METER_FLOOR_DB;
  #at = 0;
  #heldDb = METER_FLOOR_DB;
  #heldAt = 0;
  #clipped = false;

  /** The highest sample since the last call, 0 or more. */
  report(peak: number, now: number): void {
    const db = Math.max(METER_FLOOR_DB, 20 * Math.log10(peak));
    const fallen = this.read(now);
    this.#db = Math.max(db, fallen.db);
    this.#at = now;
    if (db >= fallen.heldDb) {
      this.#heldDb = db;
      this.#heldAt = now;
    }
    this.#clipped ||= peak >= FULL_SCALE;
  }

  read(now: number): MeterReading {
    const db = Math.max(METER_FLOOR_DB, this.#db - FALL_DB_PER_S * Math.max(0, now - this.#at));
    const heldDb = now - this.#heldAt > HOLD_S ? db : Math.max(db, this.#heldDb);
    return { db, heldDb, clipped: this.#clipped };
  }

  reset(): void {
    this.#clipped = false;
  }
}
