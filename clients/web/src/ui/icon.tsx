const PATHS = {
  play: "M7 4v16l13-8z",
  stop: "M6 6h12v12H6z",
  close: "M6 4.6 4.6 6l6 6-6 6L6 19.4l6-6 6 6 1.4-1.4-6-6 6-6L18 4.6l-6 6z",
  dice: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm0 2v14h14V5zm3 1.5A1.5 1.5 0 1 1 8 9.500a1.5 1.5 0 0 1 0-3zm8 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zm-4 4a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zm-4 4a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zm8 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3z",
  trash: "M9 3h6l1 2h4v2H4V5h4zM6 9h12l-1 12H7zm3 2 .5 8h1.500L10.500 11zm4.500 0L13 19h1.500l.5-8z",
  busy: "M12 3a9 9 0 1 1-9 9h2.500a6.500 6.500 0 1 0 6.500-6.500z",
} as const;

interface IconProps {
  readonly name: keyof typeof PATHS;
}

/** A drawing for sighted people: the element around it has the name. */
export function Icon({ name }: IconProps) {
  return (
    <svg viewBox="0 0 24 24" width="18" height="18" fill="currentColor" fillRule="evenodd" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
