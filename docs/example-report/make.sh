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
