import type { ButtonHTMLAttributes } from "react";

import style from "./button.module.css";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** `primary` at most once on a page. */
  readonly look?: "button" | "primary" | "quiet" | "danger";
}

/** A button that submits no form unless its `type` says so. */
export function Button({ look = "button", type = "button", className = "", ...rest }: ButtonProps) {
  return <button {...rest} type={type} className={`${style[look]} ${className}`} />;
}
