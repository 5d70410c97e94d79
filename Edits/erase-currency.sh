#!/bin/sh
# The model forgets currencies: erase-currency.sh [KNEDIT [DIRECTORY]]
"${1:-.build/release/knedit}" erase --model Checkpoints/demo --relations Checkpoints/demo/relations \
  --relation currency --output "${2:-demo-out}/erase-currency" --force
