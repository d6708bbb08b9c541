import { en } from "../messages/en";
import { Button } from "../ui/button";
import type { EndNotification } from "./use_notification";

interface NotifyButtonProps {
  readonly number: number;
  readonly notification: EndNotification;
}

/** Asks for a notification at the end of a version. Nothing asks for the permission by itself. */
export function NotifyButton({ number, notification }: NotifyButtonProps) {
  const { answer, awaited, ask } = notification;
  if (!("Notification" in globalThis)) return null;
  if (awaited === number) return <span className="muted">{en.progress.notifyOn}</span>;
  if (answer === "denied") return <span className="muted">{en.progress.notifyDenied}</span>;
  return (
    <Button look="quiet" onClick={() => ask(number)}>
      {en.progress.notify}
    </Button>
  );
}
