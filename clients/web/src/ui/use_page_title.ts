// The title of the browser's tab.

import { useEffect } from "react";

import { en } from "../messages/en";

/** Shows what the page is called while the component is shown. */
export function usePageTitle(name: string): void {
  useEffect(() => {
    document.title = en.app.titleOf(name);
    return () => {
      document.title = en.app.title;
    };
  }, [name]);
}
