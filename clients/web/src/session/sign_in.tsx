import { type FormEvent, useState, useSyncExternalStore } from "react";

import { currentRefusal, onRefusalChange, setRefusal } from "../api/refusal";
import { currentBearer, onBearerChange, setBearer } from "../api/session";
import { en } from "../messages/en";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Panel } from "../ui/panel";
import style from "./sign_in.module.css";

/** An API key or a JSON Web Token as a header can carry it. */
const CREDENTIAL = /^[\x21-\x7e]+$/;

function refusalText(reason: string, message: string): string {
  if (reason === "CREDENTIALS_MISSING") return en.session.missing;
  if (reason === "CREDENTIALS_EXPIRED") return en.session.expired;
  return reason === "CREDENTIALS_INVALID" ? en.session.invalid : message;
}

/** Asks for a credential once a call was refused for want of a valid one. */
export function SignIn() {
  const refusal = useSyncExternalStore(onRefusalChange, currentRefusal);
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  if (refusal === undefined) return null;

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const credential = text.trim();
    if (!CREDENTIAL.test(credential)) {
      setProblem(en.session.malformed);
      return;
    }
    setText("");
    setProblem("");
    setRefusal(undefined);
    setBearer(credential);
  };

  return (
    <Panel title={en.session.title}>
      <form className={style.form} onSubmit={submit} noValidate>
        <p role="alert">{refusalText(refusal.reason, refusal.message)}</p>
        <Field id="credential" label={en.session.label} hint={en.session.stays} problem={problem}>
          {(aria) => (
            <input
              {...aria}
              type="password"
              autoComplete="off"
              spellCheck={false}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit">{en.session.signIn}</Button>
      </form>
      <SignOut />
    </Panel>
  );
}

function forget(): void {
  setRefusal(undefined);
  setBearer("");
}

/** Forgets the credential of this tab. Shows nothing without one. */
export function SignOut() {
  const bearer = useSyncExternalStore(onBearerChange, currentBearer);
  if (bearer === "") return null;
  return (
    <p className={style.signedIn}>
      {en.session.signedIn} <Button onClick={forget}>{en.session.forget}</Button>
    </p>
  );
}
