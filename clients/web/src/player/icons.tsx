// The signs on the player's buttons. The buttons have texts of their own for screen readers.

const PATHS = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  stop: "M5 5h2.5v14H5zM19 5v14L8.5 12z",
  back: "M11.5 5v14L3 12zM20.5 5v14L12 12z",
  forward: "M12.5 5v14l8.5-7zM3.5 5v14L12 12z",
  download: "M11 4h2v8.2l2.8-2.8 1.4 1.4L12 16l-5.2-5.2 1.4-1.4 2.8 2.8zM5 18h14v2H5z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  minus: "M5 11h14v2H5z",
} as const;

interface IconProps {
  readonly name: keyof typeof PATHS;
}

export function Icon({ name }: IconProps) {
  return (
    <svg viewBox="0 0 24 24" width="20" height="20" fill="currentColor" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
