#!/bin/sh
# Makes the example reports from two output directories: make.sh SQUAD_DIR DEMO_DIR
set -eu
here=$(dirname "$0")
for name in squad demo; do
    tunelab report "$1" > /dev/null
    cp "$1/report.html" "$here/$name.html"
    cp "$1/table.md" "$here/$name.md"
    shift
done
# The picture in the README: the first screen of the first report.
if command -v chromium > /dev/null; then
    chromium --headless --no-sandbox --hide-scrollbars --window-size=1240,1170 \
        --screenshot="$here/../images/report.png" "file://$(cd "$here" && pwd)/squad.html"
fi
