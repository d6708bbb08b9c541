import { useId } from "react";

import { en } from "../messages/en";
import { Button } from "../ui/button";
import style from "./transport.module.css";

/** The list of shortcuts. The key "?" opens it too. */
export function ShortcutHelp() {
  const id = useId();
  return (
    <>
      <Button
        look="quiet"
        className={style.square}
        aria-label={en.player.shortcuts}
        title={`${en.player.shortcuts} (?)`}
        popoverTarget={id}
        data-shortcut-help=""
      >
        ?
      </Button>
      <div id={id} popover="auto" className={style.help} role="dialog" aria-label={en.player.shortcuts}>
        <h3>{en.player.shortcuts}</h3>
        <dl>
          {en.player.shortcutKeys.map(([keys, meaning]) => (
            <div key={keys}>
              <dt>{keys}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
    </>
  );
}
