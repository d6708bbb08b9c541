import { useEffect, useState } from "react";

import { en } from "../messages/en";
import { Button } from "./button";

const SHOWN_MS = 2000;

interface CopyButtonProps {
  readonly text: string;
  readonly label: string;
  readonly look?: "button" | "quiet";
}

/** Copies a text to the clipboard and says so. */
export function CopyButton({ text, label, look = "button" }: CopyButtonProps) {
  const [result, setResult] = useState<"none" | "copied" | "refused">("none");
  useEffect(() => {
    if (result === "none") return undefined;
    const timer = setTimeout(() => setResult("none"), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [result]);
  const copy = (): void => {
    writeText(text)
      .then(() => setResult("copied"))
      .catch(() => setResult("refused"));
  };
  const words = { none: label, copied: en.take.copied, refused: en.take.notCopied };
  return (
    <>
      <Button look={look} onClick={copy}>
        {words[result]}
      </Button>
      <span className="visually-hidden" role="status">
        {result === "none" ? "" : words[result]}
      </span>
    </>
  );
}

/** Rejects where the browser offers no clipboard, as on pages without https. */
async function writeText(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
}
