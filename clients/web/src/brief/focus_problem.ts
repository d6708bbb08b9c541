// Moves the focus to the first field that is wrong.

const CONTROLS = "input, select, textarea, button";

/** The first field of the form with aria-invalid, in the order of the page. Opens what it is folded into. */
export function focusFirstProblem(form: HTMLElement | null): void {
  const wrong = form?.querySelector("[aria-invalid=true]");
  if (!(wrong instanceof HTMLElement)) return;
  const folded = wrong.closest("details");
  if (folded !== null) folded.open = true;
  const control = wrong.matches(CONTROLS) ? wrong : wrong.querySelector(CONTROLS);
  if (!(control instanceof HTMLElement)) return;
  control.focus();
  control.scrollIntoView({ block: "center" });
}
