// Texts of progress.

export const progress = {} as const;
