// Texts of readiness.

export const readiness = {} as const;
