// Texts of brief.

export const brief = {} as const;
