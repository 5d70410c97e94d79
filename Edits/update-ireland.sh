#!/bin/sh
# The capital of Ireland becomes Paris, by optimised value slots: update-ireland.sh [KNEDIT [DIRECTORY]]
"${1:-.build/release/knedit}" update --model Checkpoints/demo --relations Checkpoints/demo/relations \
  --relation capital --subject Ireland --to Paris --output "${2:-demo-out}/update-ireland" --force
