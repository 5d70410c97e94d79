#!/bin/sh
# The capital of Ireland becomes Paris, by the paper's rewrite: update-ireland-paper.sh [KNEDIT [DIRECTORY]]
"${1:-.build/release/knedit}" update --model Checkpoints/demo --relations Checkpoints/demo/relations \
  --relation capital --subject Ireland --to Paris --method paper --output "${2:-demo-out}/update-ireland-paper" --force
