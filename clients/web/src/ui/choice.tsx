import { useId } from "react";

import style from "./choice.module.css";

interface ChoiceProps<T extends string> {
  readonly legend: string;
  /** True to give the legend to assistive technology only. */
  readonly legendHidden?: boolean;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly value: T;
  readonly disabled?: boolean;
  readonly onChange: (value: T) => void;
}

/** One of a few values, side by side. */
export function Choice<T extends string>(props: ChoiceProps<T>) {
  const { legend, legendHidden = false, options, value, disabled = false, onChange } = props;
  const name = useId();
  return (
    <fieldset className={style.choice} disabled={disabled}>
      <legend className={legendHidden ? "visually-hidden" : style.legend}>{legend}</legend>
      <div className={style.options}>
        {options.map((option) => (
          <label key={option.value}>
            <input
              type="radio"
              className="visually-hidden"
              name={name}
              value={option.value}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
