import { useEffect, useRef, useState } from "react";

const INTERVAL_MS = 5000;

/** Tells screen readers a text that changes often, politely and at most every few seconds. It is not visible. */
export function Announce({ text }: { readonly text: string }) {
  const [announced, setAnnounced] = useState(text);
  const lastMs = useRef(0);
  useEffect(() => {
    const waitMs = Math.max(0, lastMs.current + INTERVAL_MS - Date.now());
    const timer = setTimeout(() => {
      lastMs.current = Date.now();
      setAnnounced(text);
    }, waitMs);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p className="visually-hidden" role="status">
      {announced}
    </p>
  );
}
