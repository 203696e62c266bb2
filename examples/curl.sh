#!/bin/sh
# Drive a worker with curl alone: post commands, fetch outcomes, cancel, and decide about errors.
#
#     sh examples/curl.sh
#
# PYTHON names the interpreter that has asyncbridge; python3 by default. Callbacks, arrays and all
# else that the routes take: docs/http.md.
set -eu

folder=$(mktemp -d)
"${PYTHON:-python3}" -m asyncbridge worker --backend none --folder "$folder" 2>"$folder/log" &
worker=$!
trap 'kill $worker; wait $worker || true; rm -rf "$folder"' EXIT

# It has said where it listens once it does.
until grep -q "asyncbridge worker:" "$folder/log" 2>/dev/null; do
    kill -0 $worker 2>/dev/null || { cat "$folder/log" >&2; trap - EXIT; exit 1; }
    sleep 0.1
done

# The secret goes by a file: what stands in a command line, other users can read.
(umask 077 && echo "Authorization: Bearer $(cat "$folder/token")" >"$folder/header")
ask() {
    path=$1
    shift
    curl --silent --show-error --max-time 30 --unix-socket "$folder/worker.sock" \
        --header "@$folder/header" "$@" "http://asyncbridge/v1/$path"
    echo
}

echo "# A command is answered at once, with its position in the queue."
ask commands --data '{"id": 1, "code": "x + 1", "bindings": {"x": 41}}'

echo "# Its outcome is waited for, 30 seconds at most."
ask 'commands/1?wait=30'

echo "# The same command again is not run again; the answer tells what is known."
ask commands --data '{"id": 1, "code": "x + 1", "bindings": {"x": 41}}'

echo "# Several at once run in their order, over one namespace."
ask commands --data '[{"id": 2, "code": "squares = [n * n for n in range(5)]"},
                      {"id": 3, "code": "sum(squares)"}]'
ask 'commands/3?wait=30'

echo "# An error is data."
ask commands --data '{"id": 4, "code": "1 / 0"}' >"$folder/posted"
ask 'commands/4?wait=30'

echo "# It can halt the session instead, until somebody decides: here to run it again, with another n."
ask commands --data '{"id": 5, "code": "6 / n", "bindings": {"n": 0}, "halt_on_error": true}' >"$folder/posted"
ask 'commands/5?wait=30'
echo "# Whoever has the token may decide. All that is halted is listed, with the ids to decide by."
ask errors | tee "$folder/errors"
error=$(sed 's/.*"error_id":"\([^"]*\)".*/\1/' "$folder/errors")
ask decisions --data "{\"error_id\": \"$error\", \"decision\": \"retry\", \"bindings\": {\"n\": 2}}" >"$folder/posted"
ask 'commands/5?wait=30'

echo "# What waits can be taken back."
ask commands --data '[{"id": 6, "code": "import time; time.sleep(30)"},
                      {"id": 7, "code": "never = 1"}]' >"$folder/posted"
ask commands/7 --request DELETE
