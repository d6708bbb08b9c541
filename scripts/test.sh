#!/usr/bin/env bash
# Runs every test. Installs what they need: Debian packages of apt.txt where apt and root are at hand, npm packages, rclone.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
while read -r package; do
  [[ -z "$package" || "$package" == \#* ]] && continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done < apt.txt
if ((${#missing[@]})); then
  if command -v apt-get >/dev/null && [[ "$(id -u)" == 0 ]]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  elif [[ -n "${CI:-}" ]]; then
    echo "CI needs these Debian packages: ${missing[*]}" >&2
    exit 1
  else
    echo "not installed (tests that need them are listed at the end): ${missing[*]}" >&2
  fi
fi

if command -v npm >/dev/null; then
  make --silent node_modules/.installed
  folder=clients/typescript
  if [[ ! -e "$folder/node_modules/.installed" || "$folder/package-lock.json" -nt "$folder/node_modules/.installed" ]]; then
    (cd "$folder" && npm ci --silent --no-audit --no-fund && touch node_modules/.installed)
  fi
else
  echo "npm is not installed; the tests of the wire's rules and of the TypeScript client are listed at the end" >&2
fi
scripts/link_googleapis.sh
scripts/fetch_rclone.sh || echo "rclone could not be fetched; its tests are listed at the end" >&2

# Two processes, a file of tests to each, in the order of their names so that the long ones do not come last: most tests wait for
# services, files and clocks as much as they compute.
exec .venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@"
