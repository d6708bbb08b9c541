// Texts of rerender.

export const rerender = {} as const;
