#!/usr/bin/env bash
# Runs every test. First installs what tests need: the Debian packages in apt.txt (as root, with apt), npm packages and rclone; and
# builds the page for browsers.
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
    echo "CI requires these Debian packages: ${missing[*]}" >&2
    exit 1
  else
    echo "these Debian packages are not installed; the tests that need them are skipped and listed at the end: ${missing[*]}" >&2
  fi
fi

if command -v npm >/dev/null; then
  make --silent node_modules/.installed web
else
  echo "npm is not installed; the tests of buf, of the TypeScript client and of the page are skipped and listed at the end" >&2
fi
scripts/fetch_rclone.sh || echo "rclone could not be downloaded; its tests are skipped and listed at the end" >&2

# Tests start hundreds of processes, which compile the sources only once if they may store the result.
unset PYTHONDONTWRITEBYTECODE

# More processes than two cores, because most tests also wait for services, files and clocks.
# A process takes whole files, in the order of tests/conftest.py.
exec .venv/bin/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder "$@"
