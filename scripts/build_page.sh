#!/usr/bin/env bash
# Builds the composer page (clients/web, with the TypeScript client) into hostctl/web/page, which `sonichaos up --web` serves and
# wheels contain. `make web` installs the npm packages first.
set -euo pipefail
cd "$(dirname "$0")/.."
npm run --silent --prefix clients/typescript build
npm run --silent --prefix clients/web build
rm -rf hostctl/web/page.new
cp -r clients/web/dist hostctl/web/page.new
rm -rf hostctl/web/page
mv hostctl/web/page.new hostctl/web/page
