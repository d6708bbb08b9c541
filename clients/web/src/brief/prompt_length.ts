// How long a prompt may be.

export const MAX_PROMPT_CHARACTERS = 2000;

/** Characters as the services count them: an emoji is one, though a string of JavaScript has two units for it. */
export function characterCount(text: string): number {
  return [...text].length;
}
