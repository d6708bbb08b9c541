// Texts of the sign-in.

export const session = {
  title: "Sign in",
  missing: "This host needs an API key or a token.",
  expired: "Your token has expired. Enter a new one.",
  invalid: "The host refused the key or token: it is unknown, revoked or not complete.",
  malformed: "Enter a key or token: printable ASCII characters without spaces.",
  label: "API key or token",
  stays: "It stays in this tab: it is sent to this host only, and forgotten when you close the tab.",
  signIn: "Sign in",
  signedIn: "This tab sends a key or token.",
  forget: "Forget it",
} as const;
