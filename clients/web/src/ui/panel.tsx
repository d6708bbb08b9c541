import { type ReactNode, useId } from "react";

import style from "./panel.module.css";

interface PanelProps {
  readonly title: string;
  readonly children: ReactNode;
}

/** A titled region of a page. */
export function Panel({ title, children }: PanelProps) {
  const id = useId();
  return (
    <section className={style.panel} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}
