/** The state of both services in one line. */
export function ReadinessBadge() {
  return null;
}
