#!/bin/sh
# What `make demo` shows: the example edits on the demo checkpoint, compared and judged. demo.sh KNEDIT DIRECTORY
set -eu
cd "$(dirname "$0")/.."
knedit=$1 out=$2

step() { printf '\n── %s\n' "$*"; }
differ() { "$knedit" diff Checkpoints/demo "$1" || [ $? = 1 ]; } # 1: they differ, as they should

step 'What the demo checkpoint says'
"$knedit" predict --top 3 'The capital of Ireland is the city of [MASK].'
step "Update a fact, Ireland: capital → Paris, by the paper's rewrite"
sh Edits/update-ireland-paper.sh "$knedit" "$out"
step 'The same fact by optimised value slots'
sh Edits/update-ireland.sh "$knedit" "$out"
step 'What that changed in the file'
differ "$out/update-ireland"
step 'Judge the update, beside the same edit on random neurons'
"$knedit" evaluate "$out/update-ireland"
step 'Erase a relation: currency'
sh Edits/erase-currency.sh "$knedit" "$out"
step 'What changed in the file'
differ "$out/erase-currency"
step 'Judge the erasure, beside the same edit on random neurons'
"$knedit" evaluate "$out/erase-currency"
step 'Ask both checkpoints all facts of all relations'
"$knedit" perplexity --edited "$out/erase-currency"
