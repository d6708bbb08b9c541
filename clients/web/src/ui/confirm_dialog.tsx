import { type ReactNode, useEffect, useId, useRef } from "react";

import { Button } from "./button";
import { CallProblem } from "./call_problem";
import style from "./confirm_dialog.module.css";

interface ConfirmDialogProps {
  readonly title: string;
  readonly children: ReactNode;
  readonly confirm: string;
  readonly cancel: string;
  readonly busy: boolean;
  readonly problem: unknown;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/** Asks before something that cannot be undone. Escape and the cancel button leave everything as it is. */
export function ConfirmDialog({
  title,
  children,
  confirm,
  cancel,
  busy,
  problem,
  onConfirm,
  onClose,
}: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} className={style.dialog} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
      {problem !== undefined && <CallProblem thrown={problem} />}
      <div className={style.actions}>
        <Button onClick={onClose}>{cancel}</Button>
        <Button look="danger" onClick={onConfirm} disabled={busy}>
          {confirm}
        </Button>
      </div>
    </dialog>
  );
}
