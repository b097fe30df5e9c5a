#!/bin/sh
# pack.sh PYTHON MODELS ABSA_JSON: the artifact that is served, as it is in production, in ./model. Once for all rounds.
set -eu
[ -d model ] && exit
"$1" -c 'from absa_server.cli import main; main()' package-model --models "$2" --absa-json "$3" --compiled-only \
  --out model.tar.gz
mkdir model
tar xzf model.tar.gz -C model
