// Texts of player.

export const player = {} as const;
