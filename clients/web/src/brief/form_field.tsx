import type { ReactNode } from "react";

import type { ControlAttributes } from "../ui/control_attributes";
import { Field } from "../ui/field";
import { useBriefForm } from "./brief_form";
import { controlId } from "./field_paths";

interface FormFieldProps {
  /** Path of the field in the request, such as "brief.seconds": violations of it stand here. */
  readonly path: string;
  readonly label: ReactNode;
  readonly hint?: ReactNode;
  readonly labelHidden?: boolean;
  readonly children: (attributes: ControlAttributes) => ReactNode;
}

/** A field of the brief, with what is wrong in it. */
export function FormField({ path, ...rest }: FormFieldProps) {
  const { problems } = useBriefForm();
  return <Field {...rest} id={controlId(path)} problem={problems.get(path)} />;
}
