// Texts of take.

export const take = {} as const;
